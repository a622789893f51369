select
    division,
    fiscal_year,
    fiscal_period,
    max(period_end) as as_of_date,
    cast(0 as decimal(18, 2)) as expected,
    sum(closing_balance_dc) as found,
    sum(closing_balance_dc) as difference,
    true as is_comparable,
    cast(null as text) as detail
from {{ ref('exact__balance_sheet') }}
group by division, fiscal_year, fiscal_period
