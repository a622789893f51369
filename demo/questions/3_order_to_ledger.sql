-- One sale, from the order to the invoice to the ledger
with sale as (
    select i.division, i.invoice_id, min(i.sales_order) as order_id
    from exact_online.sales_invoice_lines as i
    where i.sales_order is not null
    group by all
    having count(*) = 2
    order by i.division, max(i.invoice_number) desc
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
    select 2, 'invoice ' || l.invoice_number, l.line_number, l.description, l.amount_dc
    from sale join exact_online.sales_invoice_lines as l using (division, invoice_id)
    union all
    select
        3, 'entry ' || t.entry_number, t.line_number, t.gl_account_code || ' ' || t.gl_account_description,
        t.amount_dc
    from sale
    join exact_online.transaction_lines as t on t.division = sale.division and t.entry_id = sale.invoice_id
)
order by step, line
