select
    division,
    fiscal_year,
    fiscal_period,
    cast(null as date) as as_of_date,
    cast(1 as decimal(18, 2)) as expected,
    case when is_defined then 1 else 0 end as found,
    case when is_defined then 0 else 1 end as difference,
    true as is_comparable,
    'lines from ' || cast(period_start as text) as detail
from {{ ref('int_exact__periods') }}
where is_posted
    -- Period 0, where there is one, holds openings and is in no table of periods.
    and fiscal_period <> 0
    and division in (select division from {{ ref('stg_exact__financial_periods') }})
