{%- set entry_sign = 'coalesce(signs.ledger_sign, case when entries.entry_type = 21 then -1 else 1 end)' -%}
{#-
    What was sold: lines of processed invoices, and lines of sales entries that no invoice stands behind. Exact makes a sales
    entry of each processed invoice, with the invoice's journal and number, so the two must not be added up.
    The sign does not depend on the endpoint: it comes from the ledger, else from the document's type, and a line that runs
    against its document keeps doing so. A sale is positive.
-#}
with signs as (

    select *
    from {{ ref('int_exact__entry_signs') }}
    where ledger = 'receivable'

),

matched_invoices as (

    -- Numbers may begin anew each year, and an invoice has no year: its entry is the one of the nearest date.
    select
        invoices.*,
        signs.fiscal_year,
        coalesce(signs.ledger_sign, case when invoices.invoice_type in (8021, 8024) then -1 else 1 end) as sign,
        row_number() over (
            partition by invoices.division, invoices.invoice_id
            order by abs(signs.posting_date - invoices.invoice_date), signs.fiscal_year desc
        ) as nearness
    from {{ ref('stg_exact__sales_invoices') }} as invoices
    left join signs
        on signs.division = invoices.division
        and signs.journal_code = invoices.journal_code
        and signs.entry_number = invoices.invoice_number
    where invoices.status = 50

),

invoices as (

    select *
    from matched_invoices
    where nearness = 1

),

invoice_lines as (

    select
        lines.*,
        invoices.invoice_number,
        invoices.fiscal_year,
        invoices.journal_code,
        invoices.relation_id,
        invoices.currency,
        invoices.salesperson,
        invoices.invoice_date,
        {{ exact_online.amount_factor('invoices.sign', 'invoice_id') }} as factor,
        {{ exact_online.quantity_factor('invoices.sign', 'invoice_id') }} as quantity_factor
    from {{ ref('stg_exact__sales_invoice_lines') }} as lines
    inner join invoices on invoices.division = lines.division and invoices.invoice_id = lines.invoice_id
    where lines.line_number <> 9999

),

entry_lines as (

    select
        lines.*,
        entries.entry_number,
        entries.fiscal_year,
        entries.journal_code,
        entries.relation_id,
        entries.currency,
        entries.entry_date,
        {{ exact_online.amount_factor(entry_sign, 'entry_id') }} as factor,
        {{ exact_online.quantity_factor(entry_sign, 'entry_id') }} as quantity_factor
    from {{ ref('stg_exact__sales_entry_lines') }} as lines
    inner join {{ ref('stg_exact__sales_entries') }} as entries
        on entries.division = lines.division and entries.entry_id = lines.entry_id
    left join invoices
        on invoices.division = entries.division
        and invoices.journal_code = entries.journal_code
        and invoices.invoice_number = entries.entry_number
        and coalesce(invoices.fiscal_year = entries.fiscal_year, true)
    left join signs
        on signs.division = entries.division
        and signs.fiscal_year = entries.fiscal_year
        and signs.journal_code = entries.journal_code
        and signs.entry_number = entries.entry_number
    where invoices.invoice_id is null and lines.line_number between 1 and 9998 and entries.status in (20, 50)

),

sales as (

    select
        division, 'invoice' as document, line_id, invoice_id as document_id, invoice_number as document_number, fiscal_year,
        journal_code, line_number, invoice_date as document_date, relation_id, item_id, description, gl_account_id, cost_center_code,
        cost_unit_code, project_id, vat_code, order_number, salesperson, currency, quantity_factor * quantity as quantity,
        net_price, discount_fraction, factor * net_dc_as_sent as net_dc, factor * vat_dc_as_sent as vat_dc
    from invoice_lines
    union all
    select
        division, 'entry', line_id, entry_id, entry_number, fiscal_year, journal_code, line_number, entry_date, relation_id, item_id,
        description, gl_account_id, cost_center_code, cost_unit_code, project_id, vat_code, null, null, currency,
        quantity_factor * quantity, null, null, factor * net_dc_as_sent, factor * vat_dc_as_sent
    from entry_lines

)

select
    sales.division,
    sales.document,
    sales.line_id,
    sales.document_id,
    sales.document_number,
    sales.fiscal_year,
    sales.journal_code,
    sales.line_number,
    sales.document_date,
    sales.relation_id,
    relations.relation_name,
    sales.item_id,
    items.item_code,
    items.item_name,
    items.item_group_name,
    sales.description,
    sales.gl_account_id,
    sales.cost_center_code,
    sales.cost_unit_code,
    sales.project_id,
    sales.vat_code,
    sales.order_number,
    sales.salesperson,
    sales.currency,
    cast(sales.quantity as decimal(28, 10)) as quantity,
    sales.net_price,
    sales.discount_fraction,
    {{ exact_online.cents('sales.net_dc') }} as net_dc,
    {{ exact_online.cents('sales.vat_dc') }} as vat_dc
from sales
left join {{ ref('stg_exact__accounts') }} as relations
    on relations.division = sales.division and relations.relation_id = sales.relation_id
left join {{ ref('stg_exact__items') }} as items on items.division = sales.division and items.item_id = sales.item_id
