with by_period as (

    select division, gl_account_id, fiscal_year, fiscal_period, net_dc
    from {{ ref('exact__general_ledger_by_period') }}
    where line_count > 0

),

by_dimension as (

    select division, gl_account_id, fiscal_year, fiscal_period, sum(net_dc) as net_dc
    from {{ ref('exact__general_ledger_by_dimension') }}
    group by division, gl_account_id, fiscal_year, fiscal_period

),

compared as (

    select
        coalesce(by_period.division, by_dimension.division) as division,
        coalesce(by_period.fiscal_year, by_dimension.fiscal_year) as fiscal_year,
        coalesce(by_period.fiscal_period, by_dimension.fiscal_period) as fiscal_period,
        coalesce(by_period.net_dc, 0) as expected,
        coalesce(by_dimension.net_dc, 0) as found
    from by_period
    full outer join by_dimension
        on by_dimension.division = by_period.division
        and by_dimension.gl_account_id = by_period.gl_account_id
        and by_dimension.fiscal_year = by_period.fiscal_year
        and by_dimension.fiscal_period = by_period.fiscal_period

)

select
    division,
    fiscal_year,
    fiscal_period,
    cast(null as date) as as_of_date,
    coalesce(sum(expected) filter (where expected > 0), 0) as expected,
    coalesce(sum(found) filter (where found > 0), 0) as found,
    sum(abs(expected - found)) as difference,
    true as is_comparable,
    cast(count(*) filter (where expected <> found) as text) || ' of ' || cast(count(*) as text) || ' accounts differ' as detail
from compared
group by division, fiscal_year, fiscal_period
