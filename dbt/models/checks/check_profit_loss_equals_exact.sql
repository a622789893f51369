with years as (

    select
        division,
        fiscal_year,
        sum(amount_dc) filter (where account_type = 110) as revenue_dc,
        -sum(amount_dc) filter (where account_type <> 110) as costs_dc
    from {{ ref('exact__profit_and_loss') }}
    group by division, fiscal_year

),

exact as (

    select division, current_year as fiscal_year, revenue_current_year as revenue_dc, costs_current_year as costs_dc, loaded_at
    from {{ ref('stg_exact__profit_loss_overview') }}
    union all
    select division, previous_year, revenue_previous_year, costs_previous_year, loaded_at
    from {{ ref('stg_exact__profit_loss_overview') }}

)

select
    exact.division,
    exact.fiscal_year,
    cast(null as bigint) as fiscal_period,
    cast(null as date) as as_of_date,
    exact.revenue_dc - exact.costs_dc as expected,
    coalesce(years.revenue_dc, 0) - coalesce(years.costs_dc, 0) as found,
    abs(exact.revenue_dc - coalesce(years.revenue_dc, 0)) + abs(exact.costs_dc - coalesce(years.costs_dc, 0)) as difference,
    {{ exact_online.unchanged_since_read('exact.division', ref('stg_exact__profit_loss_overview')) }} as is_comparable,
    'revenue ' || cast(exact.revenue_dc as text) || ', costs ' || cast(exact.costs_dc as text) as detail
from exact
left join years on years.division = exact.division and years.fiscal_year = exact.fiscal_year
