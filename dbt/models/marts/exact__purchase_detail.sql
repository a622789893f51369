{%- set entry_sign = 'coalesce(signs.ledger_sign, case when entries.entry_type = 31 then -1 else 1 end)' -%}
{#-
    What was bought: lines of purchase entries, of which Exact makes one for each purchase invoice. A purchase is positive; signs
    as in sales_detail.
-#}
with lines as (

    select
        lines.*,
        entries.entry_number,
        entries.fiscal_year,
        entries.journal_code,
        entries.relation_id,
        entries.currency,
        entries.entry_date,
        entries.due_date,
        {{ exact_online.amount_factor(entry_sign, 'entry_id') }} as factor,
        {{ exact_online.quantity_factor(entry_sign, 'entry_id') }} as quantity_factor
    from {{ ref('stg_exact__purchase_entry_lines') }} as lines
    inner join {{ ref('stg_exact__purchase_entries') }} as entries
        on entries.division = lines.division and entries.entry_id = lines.entry_id
    left join {{ ref('int_exact__entry_signs') }} as signs
        on signs.division = entries.division
        and signs.ledger = 'payable'
        and signs.fiscal_year = entries.fiscal_year
        and signs.journal_code = entries.journal_code
        and signs.entry_number = entries.entry_number
    where lines.line_number between 1 and 9998 and entries.status in (20, 50)

)

select
    lines.division,
    lines.line_id,
    lines.entry_id as document_id,
    lines.entry_number as document_number,
    lines.fiscal_year,
    lines.journal_code,
    lines.line_number,
    lines.entry_date as document_date,
    lines.due_date,
    lines.relation_id,
    relations.relation_name,
    lines.item_id,
    items.item_code,
    lines.description,
    lines.gl_account_id,
    lines.cost_center_code,
    lines.cost_unit_code,
    lines.project_id,
    lines.vat_code,
    lines.currency,
    cast(lines.quantity_factor * lines.quantity as decimal(28, 10)) as quantity,
    {{ exact_online.cents('lines.factor * lines.net_dc_as_sent') }} as net_dc,
    {{ exact_online.cents('lines.factor * lines.vat_dc_as_sent') }} as vat_dc
from lines
left join {{ ref('stg_exact__accounts') }} as relations
    on relations.division = lines.division and relations.relation_id = lines.relation_id
left join {{ ref('stg_exact__items') }} as items on items.division = lines.division and items.item_id = lines.item_id
