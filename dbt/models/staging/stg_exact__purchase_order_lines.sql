with lines as (

    {{ exact_rows(
        'purchase_order_lines', integer=['Division', 'OrderNumber', 'LineNumber', 'OrderStatus', 'ReceiptStatus'],
        text=['ID', 'Item', 'Description', 'Supplier', 'CostCenter', 'Project'],
        number=['Quantity', 'ReceivedQuantity', 'InvoicedQuantity'], amount=['AmountDC'], date=['OrderDate', 'ReceiptDate'],
    ) }}

)

select
    division,
    id as line_id,
    order_number,
    line_number,
    supplier as relation_id,
    order_date,
    receipt_date,
    order_status,
    receipt_status,
    item as item_id,
    description,
    trim(cost_center) as cost_center_code,
    project as project_id,
    quantity,
    received_quantity,
    invoiced_quantity,
    amount_dc as net_dc
from lines
