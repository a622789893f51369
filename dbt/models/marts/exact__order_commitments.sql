{#- Order lines that still await something; values from the line's amount, as a price may include VAT. -#}
with orders as (

    select
        division, 'sales' as side, line_id, order_number, line_number, relation_id, order_date, delivery_date as expected_date,
        item_id, description, cost_center_code, project_id, quantity as ordered, coalesce(quantity_delivered, 0) as delivered,
        coalesce(quantity_invoiced, 0) as invoiced, net_dc
    from {{ ref('stg_exact__sales_order_lines') }}
    where coalesce(order_status, 12) <> 45 and coalesce(delivery_status, 12) <> 45
    union all
    select
        division, 'purchase' as side, line_id, order_number, line_number, relation_id, order_date, receipt_date as expected_date,
        item_id, description, cost_center_code, project_id, quantity as ordered, coalesce(received_quantity, 0) as delivered,
        coalesce(invoiced_quantity, 0) as invoiced, net_dc
    from {{ ref('stg_exact__purchase_order_lines') }}
    where coalesce(order_status, 10) <> 40

)

select
    orders.division,
    orders.side,
    orders.line_id,
    orders.order_number,
    orders.line_number,
    orders.relation_id,
    relations.relation_name,
    orders.order_date,
    orders.expected_date,
    orders.item_id,
    items.item_code,
    orders.description,
    orders.cost_center_code,
    orders.project_id,
    orders.ordered,
    orders.delivered,
    orders.invoiced,
    orders.net_dc,
    case when orders.ordered = 0 then 0 else {{ exact_online.cents('orders.net_dc * greatest(orders.ordered - orders.delivered, 0) / nullif(orders.ordered, 0)') }} end as to_deliver_dc,
    case when orders.ordered = 0 then 0 else {{ exact_online.cents('orders.net_dc * greatest(orders.delivered - orders.invoiced, 0) / nullif(orders.ordered, 0)') }} end as delivered_not_invoiced_dc
from orders
left join {{ ref('stg_exact__accounts') }} as relations
    on relations.division = orders.division and relations.relation_id = orders.relation_id
left join {{ ref('stg_exact__items') }} as items on items.division = orders.division and items.item_id = orders.item_id
where orders.ordered > orders.delivered or orders.delivered > orders.invoiced
