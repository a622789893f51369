{%- for ledger, stream in [('receivable', 'receivables_list'), ('payable', 'payables_list')] %}
select
    division,
    '{{ ledger }}' as ledger,
    hid as list_id,
    account_id as relation_id,
    trim(account_code) as relation_code,
    trim(currency_code) as currency,
    amount as amount_as_sent,
    amount_in_transit,
    invoice_number,
    entry_number,
    trim(journal_code) as journal_code,
    invoice_date,
    due_date,
    loaded_at
from (

    {{ exact_rows(
        stream, keys=['HID', 'Division'], integer=['Division', 'HID', 'InvoiceNumber', 'EntryNumber'],
        text=['AccountId', 'AccountCode', 'CurrencyCode', 'JournalCode'],
        amount=['Amount', 'AmountInTransit'], date=['InvoiceDate', 'DueDate'],
    ) }}

) as {{ stream }}
{% if not loop.last %}union all{% endif %}
{%- endfor %}
