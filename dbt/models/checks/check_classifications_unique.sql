select
    division,
    cast(null as bigint) as fiscal_year,
    cast(null as bigint) as fiscal_period,
    cast(null as date) as as_of_date,
    count(*) as expected,
    count(*) filter (where mapping_count = 1) as found,
    count(*) filter (where coalesce(mapping_count, 0) <> 1) as difference,
    true as is_comparable,
    coalesce(max(scheme_code), 'no scheme') as detail
from {{ ref('int_exact__gl_accounts') }}
where is_known and division in (select division from {{ ref('int_exact__classifications') }})
group by division
