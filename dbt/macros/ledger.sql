{#- Stands for the account of a line that has none. -#}
{% macro no_account() -%} 'none' {%- endmacro %}

{#- Whether a line of this status counts. Rejected entries and drafts are no bookings. -#}
{% macro is_counted_status(is_processed) -%}
    {%- if var('include_open_entries') -%} true {%- else -%} {{ is_processed }} {%- endif -%}
{%- endmacro %}

{#- A sum of amounts in cents, 0 where there are none. A PostgreSQL sum has no fixed number of digits by itself. -#}
{% macro sum_where(amount, condition) -%}
    cast(coalesce(sum({{ amount }}) filter (where {{ condition }}), 0) as decimal(18, 2))
{%- endmacro %}

{#- An amount in cents. -#}
{% macro cents(amount) -%} cast({{ amount }} as decimal(18, 2)) {%- endmacro %}
