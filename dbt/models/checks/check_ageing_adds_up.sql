{%- for ledger in ['receivables', 'payables'] %}
select
    ageing.division,
    cast(null as bigint) as fiscal_year,
    cast(null as bigint) as fiscal_period,
    ageing.as_of_date,
    max(items.open_dc) as expected,
    sum(ageing.not_due_dc + ageing.bucket_1_dc + ageing.bucket_2_dc + ageing.bucket_3_dc + ageing.bucket_4_dc) as found,
    sum(ageing.not_due_dc + ageing.bucket_1_dc + ageing.bucket_2_dc + ageing.bucket_3_dc + ageing.bucket_4_dc)
    - max(items.open_dc) as difference,
    true as is_comparable,
    '{{ ledger }}' as detail
from {{ ref('exact__' ~ ledger ~ '_ageing') }} as ageing
inner join (
    select division, as_of_date, sum(open_dc) as open_dc
    from {{ ref('exact__' ~ ledger ~ '_open_items') }}
    group by division, as_of_date
) as items
    on items.division = ageing.division and items.as_of_date = ageing.as_of_date
group by ageing.division, ageing.as_of_date
{% if not loop.last %}union all{% endif %}
{%- endfor %}
