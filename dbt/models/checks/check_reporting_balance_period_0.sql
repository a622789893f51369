{#- Does period 0 of ReportingBalance hold the ledger's own lines of that period, or each year's opening balances as well? -#}
with exact as (

    select division, fiscal_year, gl_account_id, sum(amount_dc) as amount_dc
    from {{ ref('stg_exact__reporting_balance') }}
    where fiscal_period = 0
    group by division, fiscal_year, gl_account_id

),

years as (

    select distinct division, fiscal_year from exact

),

ledger as (

    select
        years.division,
        years.fiscal_year,
        sums.gl_account_id,
        coalesce(sum(sums.all_entries_dc) filter (where sums.fiscal_year = years.fiscal_year and sums.fiscal_period = 0), 0) as own_dc,
        coalesce(sum(sums.after_entry_dc) filter (where sums.fiscal_year < years.fiscal_year and accounts.balance_type = 'B'), 0) as opening_dc
    from years
    inner join {{ ref('int_exact__ledger_by_period') }} as sums
        on sums.division = years.division and sums.fiscal_year <= years.fiscal_year
    inner join {{ ref('int_exact__gl_accounts') }} as accounts
        on accounts.division = sums.division and accounts.gl_account_id = sums.gl_account_id
    group by years.division, years.fiscal_year, sums.gl_account_id

),

compared as (

    select
        ledger.division,
        ledger.fiscal_year,
        coalesce(exact.amount_dc, 0) as exact_dc,
        ledger.own_dc,
        ledger.own_dc + ledger.opening_dc as with_opening_dc
    from ledger
    left join exact
        on exact.division = ledger.division
        and exact.fiscal_year = ledger.fiscal_year
        and exact.gl_account_id = ledger.gl_account_id

),

totals as (

    select
        division,
        fiscal_year,
        coalesce(sum(exact_dc) filter (where exact_dc > 0), 0) as expected,
        coalesce(sum(own_dc) filter (where own_dc > 0), 0) as own_dc,
        coalesce(sum(with_opening_dc) filter (where with_opening_dc > 0), 0) as with_opening_dc,
        sum(abs(exact_dc - own_dc)) as own_difference,
        sum(abs(exact_dc - with_opening_dc)) as opening_difference
    from compared
    group by division, fiscal_year

)

select
    division,
    fiscal_year,
    cast(0 as bigint) as fiscal_period,
    cast(null as date) as as_of_date,
    expected,
    case when opening_difference < own_difference then with_opening_dc else own_dc end as found,
    least(own_difference, opening_difference) as difference,
    true as is_comparable,
    case when opening_difference < own_difference then 'repeats the opening balances' else 'lines of period 0 only' end as detail
from totals
