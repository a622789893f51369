with lines as (

    {{ exact_rows(
        'sales_invoice_lines', integer=['Division', 'LineNumber', 'SalesOrderNumber'],
        text=['ID', 'InvoiceID', 'Item', 'Description', 'CostCenter', 'CostUnit', 'Project', 'VATCode', 'GLAccount'],
        number=['Quantity', 'NetPrice', 'Discount'], amount=['AmountDC', 'AmountFC', 'VATAmountDC'],
    ) }}

)

select
    division,
    id as line_id,
    invoice_id,
    line_number,
    item as item_id,
    description,
    gl_account as gl_account_id,
    trim(cost_center) as cost_center_code,
    trim(cost_unit) as cost_unit_code,
    project as project_id,
    trim(vat_code) as vat_code,
    sales_order_number as order_number,
    quantity,
    net_price,
    discount as discount_fraction,
    amount_dc as net_dc_as_sent,
    vat_amount_dc as vat_dc_as_sent
from lines
