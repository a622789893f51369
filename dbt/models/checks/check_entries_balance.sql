with entries as (

    select
        division,
        entry_id,
        min(fiscal_year) as fiscal_year,
        min(fiscal_period) as fiscal_period,
        sum(amount_dc) as amount_dc
    from {{ ref('stg_exact__transaction_lines') }}
    group by division, entry_id

)

select
    division,
    fiscal_year,
    fiscal_period,
    cast(null as date) as as_of_date,
    cast(0 as decimal(18, 2)) as expected,
    sum(abs(amount_dc)) as found,
    sum(abs(amount_dc)) as difference,
    true as is_comparable,
    cast(count(*) filter (where amount_dc <> 0) as text) || ' of ' || cast(count(*) as text) || ' entries' as detail
from entries
group by division, fiscal_year, fiscal_period
