{#- Headers and lines have the same columns. The feed has the ledger's signs, the plain endpoint has others: see sales_detail. -#}
with invoices as (

    {{ exact_rows(
        'sales_invoices', named_key='InvoiceID', integer=['Division', 'Type', 'Status', 'InvoiceNumber'],
        text=['ID', 'InvoiceID', 'InvoiceTo', 'Currency', 'SalespersonFullName', 'Journal'],
        amount=['AmountDC', 'AmountFCExclVat'], date=['InvoiceDate', 'DueDate'],
    ) }}

)

select
    division,
    invoice_id,
    type as invoice_type,
    status,
    invoice_number,
    trim(journal) as journal_code,
    invoice_to as relation_id,
    trim(currency) as currency,
    salesperson_full_name as salesperson,
    invoice_date,
    due_date,
    amount_dc as gross_dc_as_sent
from invoices
