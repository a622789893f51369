{#- The bucket of an item that many days past its date. The edges are the project's variable. -#}
{% macro ageing_bucket(days) -%}
    {%- set edges = var('ageing_edges') -%}
    case
        when {{ days }} <= 0 then 'not_due'
        when {{ days }} <= {{ edges[0] }} then 'bucket_1'
        when {{ days }} <= {{ edges[1] }} then 'bucket_2'
        when {{ days }} <= {{ edges[2] }} then 'bucket_3'
        else 'bucket_4'
    end
{%- endmacro %}

{#- Open items of one ledger, "receivable" or "payable", with the attributes of their payment terms. -#}
{% macro open_items(ledger) %}
with terms as (

    select
        division,
        coalesce(relation_id, 'none') as relation_id,
        coalesce(invoice_number, 0) as invoice_number,
        min(due_date) filter (where status <> 50) as due_date,
        max(payment_condition) as payment_condition,
        max(payment_method) as payment_method,
        bool_or(is_in_transit) as is_in_transit
    from {{ ref('int_exact__terms') }}
    where ledger = '{{ ledger }}'
    group by division, coalesce(relation_id, 'none'), coalesce(invoice_number, 0)

),

items as (

    select
        items.*,
        coalesce(terms.due_date, items.due_date) as newest_due_date,
        terms.payment_condition,
        terms.payment_method,
        coalesce(terms.is_in_transit, false) as is_in_transit,
        {% if var('ageing_basis') == 'due_date' -%}
        {{ exact_online.days_between('coalesce(terms.due_date, items.due_date)', 'items.as_of_date') }} as days_past
        {%- else -%}
        {{ exact_online.days_between('items.invoice_date', 'items.as_of_date') }} as days_past
        {%- endif %}
    from {{ ref('int_exact__open_items') }} as items
    left join terms
        on terms.division = items.division
        and terms.relation_id = items.relation_id
        and terms.invoice_number = items.invoice_number
        and items.invoice_number <> 0
    where items.ledger = '{{ ledger }}'

)

select
    items.division,
    items.gl_account_id,
    items.relation_id,
    items.invoice_number,
    items.item,
    items.as_of_date,
    items.is_today,
    relations.relation_code,
    relations.relation_name,
    items.invoice_date,
    items.newest_due_date as due_date,
    items.days_past,
    {{ exact_online.ageing_bucket('items.days_past') }} as bucket,
    items.open_dc,
    items.open_fc,
    items.currency,
    items.payment_condition,
    items.payment_method,
    items.is_in_transit,
    items.invoice_number = 0 as is_unallocated
from items
left join {{ ref('stg_exact__accounts') }} as relations
    on relations.division = items.division and relations.relation_id = items.relation_id
{% endmacro %}

{#- Open items of one ledger by relation and age. -#}
{% macro ageing(open_items) %}
select
    division,
    relation_id,
    as_of_date,
    is_today,
    max(relation_code) as relation_code,
    max(relation_name) as relation_name,
    {%- for bucket in ['not_due', 'bucket_1', 'bucket_2', 'bucket_3', 'bucket_4'] %}
    {{ exact_online.sum_where('open_dc', "bucket = '" ~ bucket ~ "'") }} as {{ bucket }}_dc,
    {%- endfor %}
    {{ exact_online.cents('sum(open_dc)') }} as total_dc
from {{ open_items }}
group by division, relation_id, as_of_date, is_today
{% endmacro %}
