select
    division,
    fiscal_year,
    fiscal_period,
    cast(null as date) as as_of_date,
    cast(0 as decimal(18, 2)) as expected,
    sum(amount_dc) as found,
    sum(amount_dc) as difference,
    true as is_comparable,
    cast(count(*) as text) || ' lines' as detail
from {{ ref('stg_exact__transaction_lines') }}
group by division, fiscal_year, fiscal_period
