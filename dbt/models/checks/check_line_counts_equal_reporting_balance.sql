with exact as (

    select division, fiscal_year, sum(line_count) as line_count, min(loaded_at) as loaded_at
    from {{ ref('stg_exact__reporting_balance') }}
    where fiscal_period <> 0
    group by division, fiscal_year

),

ledger as (

    select division, fiscal_year, count(*) as line_count, max(modified_at) as last_modified_at
    from {{ ref('stg_exact__transaction_lines') }}
    where gl_account_id is not null
        and fiscal_period <> 0
        and division in (select division from exact)
    group by division, fiscal_year

)

select
    coalesce(exact.division, ledger.division) as division,
    coalesce(exact.fiscal_year, ledger.fiscal_year) as fiscal_year,
    cast(null as bigint) as fiscal_period,
    cast(null as date) as as_of_date,
    coalesce(exact.line_count, 0) as expected,
    coalesce(ledger.line_count, 0) as found,
    coalesce(ledger.line_count, 0) - coalesce(exact.line_count, 0) as difference,
    coalesce(ledger.last_modified_at <= exact.loaded_at, true) as is_comparable,
    'lines' as detail
from exact
full outer join ledger on ledger.division = exact.division and ledger.fiscal_year = exact.fiscal_year
