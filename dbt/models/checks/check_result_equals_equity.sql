with years as (

    select
        ledger.division,
        ledger.fiscal_year,
        coalesce(-sum(ledger.net_dc) filter (where accounts.balance_type = 'W'), 0) as result_dc,
        coalesce(-sum(ledger.net_with_closing_dc) filter (where accounts.balance_type = 'W'), 0) as not_appropriated_dc
    from {{ ref('int_exact__ledger_by_period') }} as ledger
    inner join {{ ref('int_exact__gl_accounts') }} as accounts
        on accounts.division = ledger.division and accounts.gl_account_id = ledger.gl_account_id
    group by ledger.division, ledger.fiscal_year

),

equity as (

    select lines.division, lines.fiscal_year, -sum(lines.amount_dc) as equity_dc
    from {{ ref('stg_exact__transaction_lines') }} as lines
    inner join {{ ref('int_exact__gl_accounts') }} as accounts
        on accounts.division = lines.division and accounts.gl_account_id = lines.gl_account_id
    where accounts.account_type in (50, 52)
        and not lines.is_carry_over
        and not lines.is_opening
        and {{ exact_online.is_counted_status('lines.is_processed') }}
    group by lines.division, lines.fiscal_year

)

select
    years.division,
    years.fiscal_year,
    cast(null as bigint) as fiscal_period,
    cast(null as date) as as_of_date,
    years.result_dc as expected,
    coalesce(equity.equity_dc, 0) + years.not_appropriated_dc as found,
    coalesce(equity.equity_dc, 0) + years.not_appropriated_dc - years.result_dc as difference,
    true as is_comparable,
    case when years.not_appropriated_dc = 0 and years.result_dc <> 0 then 'closed' else 'open' end as detail
from years
left join equity on equity.division = years.division and equity.fiscal_year = years.fiscal_year
