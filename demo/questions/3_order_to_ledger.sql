-- One sale, from the order to the invoice to the ledger
with sale as (
    select i.division, i.invoice_id, i.invoice_number, min(i.journal) as journal, min(i.sales_order) as order_id
    from exact_online.sales_invoice_lines as i
    where i.sales_order is not null
    group by all
    having count(*) = 2
    order by i.division, i.invoice_number desc
    limit 1
)
select document, line, text, amount from (
    select
        1 as step, 'order ' || o.order_number as document, l.line_number as line, l.description as text,
        l.amount_dc as amount
    from sale
    join exact_online.sales_orders as o using (division, order_id)
    join exact_online.sales_order_lines as l using (division, order_id)
    union all
    -- The feed of invoices gives sales the sign they have in the ledger, the list does not.
    select 2, 'invoice ' || l.invoice_number, l.line_number, l.description, abs(l.amount_dc)
    from sale join exact_online.sales_invoice_lines as l using (division, invoice_id)
    union all
    -- No key leads from an invoice to its entry: they have the journal and the number in common.
    select
        3, 'entry ' || t.entry_number, t.line_number, t.gl_account_code || ' ' || t.gl_account_description,
        t.amount_dc
    from sale
    join exact_online.transaction_lines as t
        on t.division = sale.division and t.journal_code = sale.journal and t.entry_number = sale.invoice_number
)
order by step, line
