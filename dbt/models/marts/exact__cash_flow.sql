{#-
    Indirect: what cash did is minus what all other accounts did. The result comes first; depreciation, which costs no
    cash, comes back through the movement of accumulated depreciation.
-#}
with movements as (

    select
        ledger.division,
        ledger.fiscal_year,
        ledger.fiscal_period,
        ledger.period_start,
        ledger.period_end,
        case
            when accounts.is_cash then 'cash'
            when ledger.balance_type = 'W' then 'result'
            -- What closes a year moves the result to equity and is no cash flow of financing.
            else coalesce(nullif(accounts.cash_flow_section, 'result'), 'operating')
        end as section,
        case when ledger.balance_type = 'W' then ledger.section else ledger.subsection end as subsection,
        ledger.balance_type,
        ledger.net_dc,
        ledger.net_with_closing_dc
    from {{ ref('exact__general_ledger_by_period') }} as ledger
    inner join {{ ref('int_exact__gl_accounts') }} as accounts
        on accounts.division = ledger.division and accounts.gl_account_id = ledger.gl_account_id

),

closing as (

    -- Closing entries take the result of a year from the accounts of profit and loss: in equity they are no cash flow.
    select
        division,
        fiscal_year,
        fiscal_period,
        min(period_start) as period_start,
        max(period_end) as period_end,
        sum(net_dc - net_with_closing_dc) as moved_dc
    from movements
    where balance_type = 'W'
    group by division, fiscal_year, fiscal_period

)

select
    division,
    fiscal_year,
    fiscal_period,
    section,
    subsection,
    min(period_start) as period_start,
    max(period_end) as period_end,
    {{ exact_online.cents("sum(case when section = 'cash' then net_dc else -net_dc end)") }} as amount_dc
from movements
group by division, fiscal_year, fiscal_period, section, subsection

union all

select
    division,
    fiscal_year,
    fiscal_period,
    'financing' as section,
    'Closing of the year, no cash' as subsection,
    period_start,
    period_end,
    {{ exact_online.cents('moved_dc') }} as amount_dc
from closing
where moved_dc <> 0
