-- One sale, from the order to the invoice to the ledger
with sale as (
    select i.Division, i.InvoiceID, i.InvoiceNumber, min(i.Journal) as Journal, min(i.SalesOrder) as OrderID
    from exact.sales_invoice_lines as i
    where i.SalesOrder is not null and i._ab_cdc_deleted_at is null and i.LineNumber < 9999
    group by all
    having count(*) = 2
    order by i.Division, i.InvoiceNumber desc
    limit 1
)
select document, line, text, amount from (
    select 1 as step, 'order ' || o.OrderNumber as document, l.LineNumber as line, l.Description as text, l.AmountDC as amount
    from sale
    join exact.sales_orders as o using (Division, OrderID)
    join exact.sales_order_lines as l using (Division, OrderID)
    union all
    -- The feed of invoices gives sales the sign they have in the ledger, the list does not.
    select 2, 'invoice ' || l.InvoiceNumber, l.LineNumber, l.Description, abs(l.AmountDC)
    from sale join exact.sales_invoice_lines as l using (Division, InvoiceID)
    union all
    -- No key leads from an invoice to its entry: they have the journal and the number in common.
    select 3, 'ledger entry ' || t.EntryNumber, t.LineNumber, t.GLAccountCode || ' ' || t.GLAccountDescription, t.AmountDC
    from sale
    join exact.transaction_lines as t
        on t.Division = sale.Division and t.JournalCode = sale.Journal and t.EntryNumber = sale.InvoiceNumber
    where t._ab_cdc_deleted_at is null
)
order by step, line
