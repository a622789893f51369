with exact as (

    select
        division,
        fiscal_year,
        fiscal_period,
        gl_account_id,
        sum(amount_dc) as after_entry_dc,
        coalesce(sum(amount_dc) filter (where status = 50), 0) as processed_dc,
        min(loaded_at) as loaded_at
    from {{ ref('stg_exact__reporting_balance') }}
    where fiscal_period <> 0
    group by division, fiscal_year, fiscal_period, gl_account_id

),

ledger as (

    select division, fiscal_year, fiscal_period, gl_account_id, all_entries_dc, all_processed_dc, last_modified_at
    from {{ ref('int_exact__ledger_by_period') }}
    where fiscal_period <> 0 and division in (select division from exact)

),

compared as (

    select
        coalesce(exact.division, ledger.division) as division,
        coalesce(exact.fiscal_year, ledger.fiscal_year) as fiscal_year,
        coalesce(exact.fiscal_period, ledger.fiscal_period) as fiscal_period,
        coalesce(exact.after_entry_dc, 0) as expected,
        coalesce(ledger.all_entries_dc, 0) as found,
        abs(coalesce(exact.after_entry_dc, 0) - coalesce(ledger.all_entries_dc, 0)) as difference,
        abs(coalesce(exact.processed_dc, 0) - coalesce(ledger.all_processed_dc, 0)) as processed_difference,
        exact.loaded_at,
        ledger.last_modified_at
    from exact
    full outer join ledger
        on ledger.division = exact.division
        and ledger.fiscal_year = exact.fiscal_year
        and ledger.fiscal_period = exact.fiscal_period
        and ledger.gl_account_id = exact.gl_account_id

)

select
    division,
    fiscal_year,
    fiscal_period,
    cast(null as date) as as_of_date,
    coalesce(sum(expected) filter (where expected > 0), 0) as expected,
    coalesce(sum(found) filter (where found > 0), 0) as found,
    greatest(sum(difference), sum(processed_difference)) as difference,
    coalesce(max(last_modified_at) <= coalesce(min(loaded_at), min(min(loaded_at)) over (partition by division)), true) as is_comparable,
    cast(count(*) filter (where difference <> 0 or processed_difference <> 0) as text) || ' of '
    || cast(count(*) as text) || ' accounts differ' as detail
from compared
group by division, fiscal_year, fiscal_period
