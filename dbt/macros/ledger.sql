{#- Stands for the account of a line that has none. -#}
{% macro no_account() -%} 'none' {%- endmacro %}

{#- Whether a line of this status counts. Rejected entries and drafts are no bookings. -#}
{% macro is_counted_status(is_processed) -%}
    {%- if var('include_open_entries') -%} true {%- else -%} {{ is_processed }} {%- endif -%}
{%- endmacro %}
