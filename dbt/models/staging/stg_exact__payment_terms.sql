{%- set text = ['ID', 'TransactionID', 'TransactionEntryID', 'Account', 'PaymentCondition', 'PaymentConditionDescription', 'PaymentMethod', 'Currency'] -%}
{%- set integer = ['Division', 'LineType', 'Status', 'InvoiceNumber'] -%}
{%- set amount = ['AmountDC', 'AmountFC', 'TransactionAmountDC'] -%}
{%- set date = ['InvoiceDate', 'DueDate', 'EndDate'] %}
{#- payment_terms holds both ledgers; receivables and payments are the same rows in two streams. -#}
with payment_terms as (

    {{ exact_rows('payment_terms', text=text, integer=integer, amount=amount, date=date) }}

),

receivables as (

    {{ exact_rows('receivables', text=text, integer=integer, amount=amount, date=date) }}

),

payments as (

    {{ exact_rows('payments', text=text, integer=integer, amount=amount, date=date) }}

),

terms as (

    select case when line_type = 22 then 'payable' else 'receivable' end as ledger, payment_terms.*
    from payment_terms
    union all
    select 'receivable' as ledger, receivables.*
    from receivables
    where not exists (select 1 from payment_terms where payment_terms.division = receivables.division)
    union all
    select 'payable' as ledger, payments.*
    from payments
    where not exists (select 1 from payment_terms where payment_terms.division = payments.division)

)

select
    division,
    id as term_id,
    ledger,
    transaction_id as line_id,
    transaction_entry_id as entry_id,
    account as relation_id,
    status,
    invoice_number,
    amount_dc as amount_dc_as_sent,
    amount_fc as amount_fc_as_sent,
    transaction_amount_dc as transaction_amount_dc_as_sent,
    trim(currency) as currency,
    invoice_date,
    due_date,
    end_date,
    trim(payment_condition) as payment_condition_code,
    payment_condition_description as payment_condition,
    trim(payment_method) as payment_method,
    modified_at
from terms
