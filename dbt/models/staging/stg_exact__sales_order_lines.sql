with lines as (

    {{ exact_rows(
        'sales_order_lines', integer=['Division', 'OrderNumber', 'LineNumber', 'DeliveryStatus', 'InvoiceStatus'],
        text=['ID', 'OrderID', 'Item', 'Description', 'CostCenter', 'Project'],
        number=['Quantity', 'QuantityDelivered', 'QuantityInvoiced'], amount=['AmountDC'], date=['DeliveryDate'],
    ) }}

),

orders as (

    {{ exact_rows(
        'sales_orders', named_key='OrderID', integer=['Division', 'Status'],
        text=['ID', 'OrderID', 'OrderedBy'], date=['OrderDate'],
    ) }}

)

select
    lines.division,
    lines.id as line_id,
    lines.order_number,
    lines.line_number,
    orders.ordered_by as relation_id,
    orders.order_date,
    lines.delivery_date,
    orders.status as order_status,
    lines.delivery_status,
    lines.item as item_id,
    lines.description,
    trim(lines.cost_center) as cost_center_code,
    lines.project as project_id,
    lines.quantity,
    lines.quantity_delivered,
    lines.quantity_invoiced,
    lines.amount_dc as net_dc
from lines
left join orders on orders.division = lines.division and orders.order_id = lines.order_id
