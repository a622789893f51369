with entries as (

    {{ exact_rows(
        'sales_entries',
        integer=['Division', 'Type', 'Status', 'EntryNumber', 'InvoiceNumber', 'FinancialYear', 'ReportingYear'],
        text=['ID', 'EntryID', 'Customer', 'Currency', 'Journal'], amount=['AmountDC'], date=['EntryDate', 'DueDate'],
    ) }}

)

select
    division,
    entry_id,
    type as entry_type,
    status,
    coalesce(reporting_year, financial_year) as fiscal_year,
    entry_number,
    invoice_number,
    trim(journal) as journal_code,
    customer as relation_id,
    trim(currency) as currency,
    entry_date,
    due_date,
    amount_dc as gross_dc_as_sent
from entries
