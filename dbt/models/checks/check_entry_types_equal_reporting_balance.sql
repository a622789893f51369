{#- By type of entry, as an entry of the year's closing that bears another type would be taken for a result. -#}
with exact as (

    select
        division,
        fiscal_year,
        entry_type,
        gl_account_id,
        sum(amount_dc) as amount_dc,
        min(loaded_at) as loaded_at
    from {{ ref('stg_exact__reporting_balance') }}
    where fiscal_period <> 0
    group by division, fiscal_year, entry_type, gl_account_id

),

ledger as (

    select
        division,
        fiscal_year,
        entry_type,
        gl_account_id,
        sum(amount_dc) as amount_dc,
        max(modified_at) as last_modified_at
    from {{ ref('stg_exact__transaction_lines') }}
    where gl_account_id is not null
        and fiscal_period <> 0
        and division in (select division from exact)
    group by division, fiscal_year, entry_type, gl_account_id

),

compared as (

    select
        coalesce(exact.division, ledger.division) as division,
        coalesce(exact.fiscal_year, ledger.fiscal_year) as fiscal_year,
        coalesce(exact.entry_type, ledger.entry_type) as entry_type,
        coalesce(exact.amount_dc, 0) as expected,
        coalesce(ledger.amount_dc, 0) as found,
        exact.loaded_at,
        ledger.last_modified_at
    from exact
    full outer join ledger
        on ledger.division = exact.division
        and ledger.fiscal_year = exact.fiscal_year
        and ledger.entry_type = exact.entry_type
        and ledger.gl_account_id = exact.gl_account_id

)

select
    division,
    fiscal_year,
    cast(null as bigint) as fiscal_period,
    cast(null as date) as as_of_date,
    coalesce(sum(expected) filter (where expected > 0), 0) as expected,
    coalesce(sum(found) filter (where found > 0), 0) as found,
    sum(abs(expected - found)) as difference,
    coalesce(max(last_modified_at) <= min(loaded_at), true) as is_comparable,
    coalesce(
        'type ' || cast(min(entry_type) filter (where expected <> found) as text) || ' differs',
        cast(count(distinct entry_type) as text) || ' types'
    ) as detail
from compared
group by division, fiscal_year
