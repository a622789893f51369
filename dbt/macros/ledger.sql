{#- Stands for the account of a line that has none. -#}
{% macro no_account() -%} 'none' {%- endmacro %}

{#- Whether a line of this status counts. Rejected entries and drafts are no bookings. -#}
{% macro is_counted_status(is_processed) -%}
    {%- if var('include_open_entries') -%} true {%- else -%} {{ is_processed }} {%- endif -%}
{%- endmacro %}

{#-
    Whether a line counts in the balances of its account. The result is without the year's closing, else each closed year is
    zero. The balance sheet includes it, but not the pair of entries by which balances are carried over to the next year, else
    they count twice.
-#}
{% macro is_counted_type(lines, accounts) -%}
    case when {{ accounts }}.balance_type = 'W' then not {{ lines }}.is_closing else not {{ lines }}.is_carry_over end
{%- endmacro %}

{#- A sum of amounts in cents, 0 where there are none. A PostgreSQL sum has no fixed number of digits by itself. -#}
{% macro sum_where(amount, condition) -%}
    cast(coalesce(sum({{ amount }}) filter (where {{ condition }}), 0) as decimal(18, 2))
{%- endmacro %}

{#- An amount in cents. -#}
{% macro cents(amount) -%} cast({{ amount }} as decimal(18, 2)) {%- endmacro %}

{#- 1 or -1; 0 counts as positive. -#}
{% macro sign_of(amount) -%} case when {{ amount }} < 0 then -1 else 1 end {%- endmacro %}

{#-
    What to multiply the lines of a document with, that they get its sign and a line against its document keeps running so.
    `lines` has net_dc_as_sent, vat_dc_as_sent and quantity; the macros are window functions over one document.

    Args:
        document_sign: SQL of 1 or -1, 1 where the document as a whole is a sale or a purchase.
        document: name of the column with the document's key.
-#}
{% macro amount_factor(document_sign, document) -%}
    ({{ document_sign }}) * {{ exact_online.sign_of(
        'sum(lines.net_dc_as_sent + coalesce(lines.vat_dc_as_sent, 0)) over (partition by lines.division, lines.' ~ document ~ ')'
    ) }}
{%- endmacro %}

{#- Quantities may be sent with other signs than amounts: what most of the document's amount does is taken as the rule. -#}
{% macro quantity_factor(document_sign, document) -%}
    {{ exact_online.amount_factor(document_sign, document) }} * {{ exact_online.sign_of(
        'sum(case when lines.quantity < 0 then -lines.net_dc_as_sent else lines.net_dc_as_sent end) '
        ~ 'over (partition by lines.division, lines.' ~ document ~ ')'
    ) }}
{%- endmacro %}
