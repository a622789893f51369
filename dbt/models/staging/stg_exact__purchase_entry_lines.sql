with lines as (

    {{ exact_rows(
        'purchase_entry_lines', integer=['Division', 'LineNumber'],
        text=['ID', 'EntryID', 'Item', 'Description', 'GLAccount', 'CostCenter', 'CostUnit', 'Project', 'VATCode'],
        number=['Quantity'], amount=['AmountDC', 'VATAmountDC'],
    ) }}

)

select
    division,
    id as line_id,
    entry_id,
    line_number,
    item as item_id,
    description,
    gl_account as gl_account_id,
    trim(cost_center) as cost_center_code,
    trim(cost_unit) as cost_unit_code,
    project as project_id,
    trim(vat_code) as vat_code,
    quantity,
    amount_dc as net_dc_as_sent,
    vat_amount_dc as vat_dc_as_sent
from lines
