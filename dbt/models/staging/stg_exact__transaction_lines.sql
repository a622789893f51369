{{ config(materialized='table') }}

with transaction_lines as (

    {{ exact_rows(
        'transaction_lines',
        needed=true,
        text=[
            'ID', 'EntryID', 'JournalCode', 'GLAccount', 'GLAccountCode', 'GLAccountDescription', 'Account', 'AccountName',
            'Description', 'Currency', 'VATCode', 'CostCenter', 'CostUnit', 'Project', 'Item', 'YourRef', 'PaymentReference',
            'OffsetID',
        ],
        integer=[
            'Division', 'EntryNumber', 'LineNumber', 'Type', 'Status', 'FinancialYear', 'FinancialPeriod', 'InvoiceNumber',
            'OrderNumber',
        ],
        number=['ExchangeRate', 'Quantity'],
        amount=['AmountDC', 'AmountFC', 'AmountVATFC', 'AmountVATBaseFC'],
        date=['Date', 'DueDate'],
    ) }}

)

select
    transaction_lines.division,
    transaction_lines.id as line_id,
    transaction_lines.entry_id,
    transaction_lines.entry_number,
    transaction_lines.line_number,
    transaction_lines.line_number = 0 as is_header,
    transaction_lines.type as entry_type,
    entry_types.type_name as entry_type_name,
    coalesce(entry_types.is_opening, false) as is_opening,
    coalesce(entry_types.is_closing, false) as is_closing,
    coalesce(entry_types.is_carry_over, false) as is_carry_over,
    coalesce(transaction_lines.status, 50) as status,
    coalesce(transaction_lines.status, 50) = 50 as is_processed,
    trim(transaction_lines.journal_code) as journal_code,
    transaction_lines.date as posting_date,
    transaction_lines.financial_year as fiscal_year,
    transaction_lines.financial_period as fiscal_period,
    transaction_lines.gl_account as gl_account_id,
    trim(transaction_lines.gl_account_code) as gl_account_code,
    transaction_lines.gl_account_description as gl_account_name,
    transaction_lines.account as relation_id,
    transaction_lines.account_name as relation_name,
    transaction_lines.description,
    transaction_lines.amount_dc,
    transaction_lines.amount_fc,
    trim(transaction_lines.currency) as currency,
    transaction_lines.exchange_rate,
    trim(transaction_lines.vat_code) as vat_code,
    transaction_lines.amount_vatfc as vat_fc,
    transaction_lines.amount_vat_base_fc as vat_base_fc,
    nullif(trim(transaction_lines.cost_center), '') as cost_center_code,
    nullif(trim(transaction_lines.cost_unit), '') as cost_unit_code,
    transaction_lines.project as project_id,
    transaction_lines.item as item_id,
    transaction_lines.quantity,
    transaction_lines.invoice_number,
    transaction_lines.order_number,
    transaction_lines.your_ref,
    transaction_lines.payment_reference,
    transaction_lines.due_date,
    transaction_lines.offset_id as offset_line_id,
    transaction_lines.modified_at,
    transaction_lines.loaded_at
from transaction_lines
left join {{ ref('exact_entry_types') }} as entry_types on entry_types.entry_type = transaction_lines.type
where coalesce(transaction_lines.status, 50) in (20, 50)
