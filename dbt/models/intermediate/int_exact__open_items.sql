{#-
    What is open on each invoice at each month end: the ledger's lines summed by invoice number, from change to change.
    Lines without an invoice number are items of their own, one a day, as each has an age of its own.
-#}
with control_lines as (

    select
        lines.*,
        case
            when coalesce(invoice_number, 0) = 0 then 'of ' || cast(posting_date as text)
            else cast(invoice_number as text)
        end as item
    from {{ ref('int_exact__control_lines') }} as lines

),

movements as (

    select
        division,
        ledger,
        gl_account_id,
        coalesce(relation_id, 'none') as relation_id,
        coalesce(invoice_number, 0) as invoice_number,
        item,
        posting_date,
        sum(owed_dc) as owed_dc,
        sum(owed_fc) as owed_fc
    from control_lines
    group by
        division, ledger, gl_account_id, coalesce(relation_id, 'none'), coalesce(invoice_number, 0), item,
        posting_date

),

balances as (

    select
        division,
        ledger,
        gl_account_id,
        relation_id,
        invoice_number,
        item,
        posting_date as valid_from,
        lead(posting_date) over open_item as valid_until,
        sum(owed_dc) over open_item as open_dc,
        sum(owed_fc) over open_item as open_fc
    from movements
    window open_item as (partition by division, ledger, gl_account_id, relation_id, item order by posting_date)

),

documents as (

    select
        division,
        ledger,
        gl_account_id,
        coalesce(relation_id, 'none') as relation_id,
        item,
        coalesce(min(posting_date) filter (where is_document), min(posting_date)) as invoice_date,
        coalesce(min(due_date) filter (where is_document), min(due_date), min(posting_date)) as due_date,
        case when count(distinct currency) = 1 then min(currency) end as currency
    from control_lines
    group by division, ledger, gl_account_id, coalesce(relation_id, 'none'), item

)

select
    balances.division,
    balances.ledger,
    balances.gl_account_id,
    balances.relation_id,
    balances.invoice_number,
    balances.item,
    month_ends.as_of_date,
    month_ends.is_today,
    documents.invoice_date,
    documents.due_date,
    documents.currency,
    {{ exact_online.cents('balances.open_dc') }} as open_dc,
    {{ exact_online.cents('case when documents.currency is not null then balances.open_fc end') }} as open_fc
from balances
inner join {{ ref('int_exact__month_ends') }} as month_ends
    on month_ends.division = balances.division
    and month_ends.as_of_date >= balances.valid_from
    and (balances.valid_until is null or month_ends.as_of_date < balances.valid_until)
inner join documents
    on documents.division = balances.division
    and documents.ledger = balances.ledger
    and documents.gl_account_id = balances.gl_account_id
    and documents.relation_id = balances.relation_id
    and documents.item = balances.item
where balances.open_dc <> 0
