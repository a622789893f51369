{#- What sales and purchases have in common. -#}

{#-
    Headers of entries.

    Args:
        stream: sales_entries or purchase_entries.
        relation: Exact's name of the column with the customer or the supplier.
-#}
{% macro entries(stream, relation) %}
with entries as (

    {{ exact_rows(
        stream,
        integer=['Division', 'Type', 'Status', 'EntryNumber', 'InvoiceNumber', 'FinancialYear', 'ReportingYear'],
        text=['ID', 'EntryID', relation, 'Currency', 'Journal'], amount=['AmountDC'], date=['EntryDate', 'DueDate'],
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
    {{ exact_online.snake_name(relation) }} as relation_id,
    trim(currency) as currency,
    entry_date,
    due_date,
    amount_dc as gross_dc_as_sent
from entries
{% endmacro %}

{#- Lines of entries; the stream is sales_entry_lines or purchase_entry_lines. -#}
{% macro entry_lines(stream) %}
with lines as (

    {{ exact_rows(
        stream, integer=['Division', 'LineNumber'],
        text=['ID', 'EntryID', 'Item', 'Description', 'GLAccount', 'CostCenter', 'CostUnit', 'Project', 'VATCode'],
        number=['Quantity'], amount=['AmountDC', 'VATAmountDC'],
    ) }}

)

select
    division,
    id as line_id,
    entry_id,
    line_number,
    item as item_id,
    description,
    gl_account as gl_account_id,
    trim(cost_center) as cost_center_code,
    trim(cost_unit) as cost_unit_code,
    project as project_id,
    trim(vat_code) as vat_code,
    quantity,
    amount_dc as net_dc_as_sent,
    vat_amount_dc as vat_dc_as_sent
from lines
{% endmacro %}

{#-
    A check, by entry: a mart of lines against the lines of the ledger but the control account's and VAT's.

    Args:
        detail: the mart.
        entry_types: Exact's types of the entries that it explains.
        sign: 1 where the ledger debits what the mart counts as positive, else -1.
-#}
{% macro detail_equals_ledger(detail, entry_types, sign) %}
with ledger as (

    select
        division,
        fiscal_year,
        journal_code,
        entry_number,
        sum({{ sign }} * amount_dc) as net_dc
    from {{ ref('exact__general_ledger') }}
    where entry_type in ({{ entry_types | join(', ') }})
        and coalesce(account_type, 0) not in (20, 21, 22, 24)
    group by division, fiscal_year, journal_code, entry_number

),

detail as (

    select division, fiscal_year, journal_code, document_number, sum(net_dc) as net_dc
    from {{ detail }}
    group by division, fiscal_year, journal_code, document_number

)

select
    ledger.division,
    ledger.fiscal_year,
    cast(null as bigint) as fiscal_period,
    cast(null as date) as as_of_date,
    sum(ledger.net_dc) as expected,
    coalesce(sum(detail.net_dc), 0) as found,
    sum(abs(ledger.net_dc - coalesce(detail.net_dc, 0))) as difference,
    true as is_comparable,
    cast(count(*) filter (where ledger.net_dc <> coalesce(detail.net_dc, 0)) as text) || ' of '
    || cast(count(*) as text) || ' entries differ' as detail
from ledger
left join detail
    on detail.division = ledger.division
    and detail.journal_code = ledger.journal_code
    and detail.document_number = ledger.entry_number
    and coalesce(detail.fiscal_year = ledger.fiscal_year, true)
where ledger.division in (select division from detail)
group by ledger.division, ledger.fiscal_year
{% endmacro %}
