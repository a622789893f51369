-- One sale, from the order to the invoice to the ledger
with sale as (
    select i.Division, i.InvoiceID, any_value(i.InvoiceNumber) as InvoiceNumber, any_value(i.SalesOrder) as SalesOrder
    from exact.sales_invoice_lines as i
    where i.SalesOrder is not null and i._ab_cdc_deleted_at is null
    group by i.Division, i.InvoiceID
    order by i.Division, InvoiceNumber desc
    limit 1
)
select * from (
    select 'order ' || o.OrderNumber as document, l.LineNumber as line, l.Description as text, l.AmountDC as amount
    from sale join exact.sales_order_lines as l on (l.Division, l.OrderID) = (sale.Division, sale.SalesOrder)
    join exact.sales_orders as o on (o.Division, o.OrderID) = (l.Division, l.OrderID)
    union all
    select 'invoice ' || l.InvoiceNumber, l.LineNumber, l.Description, l.AmountDC
    from sale join exact.sales_invoice_lines as l on (l.Division, l.InvoiceID) = (sale.Division, sale.InvoiceID)
    union all
    select 'entry ' || t.EntryNumber, t.LineNumber, trim(t.GLAccountCode) || ' ' || t.GLAccountDescription, t.AmountDC
    from sale join exact.transaction_lines as t on (t.Division, t.EntryID) = (sale.Division, sale.InvoiceID)
)
order by position(document[1] in 'oie'), line
