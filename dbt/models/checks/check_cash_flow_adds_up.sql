select
    division,
    fiscal_year,
    fiscal_period,
    cast(null as date) as as_of_date,
    coalesce(sum(amount_dc) filter (where section = 'cash'), 0) as expected,
    coalesce(sum(amount_dc) filter (where section <> 'cash'), 0) as found,
    coalesce(sum(amount_dc) filter (where section <> 'cash'), 0) - coalesce(sum(amount_dc) filter (where section = 'cash'), 0) as difference,
    true as is_comparable,
    cast(null as text) as detail
from {{ ref('exact__cash_flow') }}
group by division, fiscal_year, fiscal_period
