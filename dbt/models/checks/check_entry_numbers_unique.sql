with numbers as (

    select division, fiscal_year, journal_code, entry_number, count(distinct entry_id) as entries
    from {{ ref('stg_exact__transaction_lines') }}
    where entry_number is not null
    group by division, fiscal_year, journal_code, entry_number

)

select
    division,
    fiscal_year,
    cast(null as bigint) as fiscal_period,
    cast(null as date) as as_of_date,
    count(*) as expected,
    sum(entries) as found,
    sum(entries) - count(*) as difference,
    true as is_comparable,
    coalesce('first: ' || min(journal_code || ' ' || cast(entry_number as text)) filter (where entries > 1), 'each once') as detail
from numbers
group by division, fiscal_year
