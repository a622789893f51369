{#- Exact does not say from which date it counts an age, nor which sign a debt has: the reading that fits best is told. -#}
with items as (

    select division, 'receivable' as ledger, relation_id, as_of_date, invoice_date, due_date, open_dc
    from {{ ref('exact__receivables_open_items') }}
    where is_today
    union all
    select division, 'payable' as ledger, relation_id, as_of_date, invoice_date, due_date, open_dc
    from {{ ref('exact__payables_open_items') }}
    where is_today

),

aged as (

    {%- for basis in ['invoice_date', 'due_date'] %}
    select
        division,
        ledger,
        relation_id,
        '{{ basis }}' as basis,
        coalesce(sum(open_dc) filter (where as_of_date - {{ basis }} <= 30), 0) as group_1,
        coalesce(sum(open_dc) filter (where as_of_date - {{ basis }} between 31 and 60), 0) as group_2,
        coalesce(sum(open_dc) filter (where as_of_date - {{ basis }} between 61 and 90), 0) as group_3,
        coalesce(sum(open_dc) filter (where as_of_date - {{ basis }} > 90), 0) as group_4
    from items
    group by division, ledger, relation_id
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}

),

lists as (

    select lists.*, signs.sign, bases.basis
    from {{ ref('stg_exact__ageing_lists') }} as lists
    cross join (select 1 as sign union all select -1 as sign) as signs
    cross join (select 'invoice_date' as basis union all select 'due_date' as basis) as bases

),

compared as (

    select
        coalesce(lists.division, aged.division) as division,
        coalesce(lists.ledger, aged.ledger) as ledger,
        coalesce(lists.basis, aged.basis) as basis,
        lists.sign,
        coalesce(lists.total_as_sent, 0) * coalesce(lists.sign, 1) as expected,
        coalesce(aged.group_1 + aged.group_2 + aged.group_3 + aged.group_4, 0) as found,
        abs(coalesce(lists.days_0_to_30_as_sent * lists.sign, 0) - coalesce(aged.group_1, 0))
        + abs(coalesce(lists.days_31_to_60_as_sent * lists.sign, 0) - coalesce(aged.group_2, 0))
        + abs(coalesce(lists.days_61_to_90_as_sent * lists.sign, 0) - coalesce(aged.group_3, 0))
        + abs(coalesce(lists.days_over_90_as_sent * lists.sign, 0) - coalesce(aged.group_4, 0)) as difference
    from lists
    left join aged
        on aged.division = lists.division
        and aged.ledger = lists.ledger
        and aged.relation_id = lists.relation_id
        and aged.basis = lists.basis

),

readings as (

    select
        division,
        ledger,
        basis,
        sign,
        sum(expected) as expected,
        sum(found) as found,
        sum(difference) as difference,
        row_number() over (partition by division, ledger order by sum(difference), sign desc, basis) as reading
    from compared
    group by division, ledger, basis, sign

)

select
    readings.division,
    cast(null as bigint) as fiscal_year,
    cast(null as bigint) as fiscal_period,
    {{ exact_online.today() }} as as_of_date,
    readings.expected,
    readings.found,
    readings.difference,
    {{ exact_online.unchanged_since_read('readings.division', ref('stg_exact__ageing_lists')) }} as is_comparable,
    readings.ledger || ': age counts from the ' || replace(readings.basis, '_', ' ')
    || case when readings.sign < 0 then ', a debt is negative' else '' end as detail
from readings
where readings.reading = 1
