{#- The day that "today" means. -#}
{% macro today() -%}
    {%- if var('exact_today') -%} cast('{{ var('exact_today') }}' as date) {%- else -%} current_date {%- endif -%}
{%- endmacro %}

{#- Days from one date to another. Both databases subtract dates to a whole number. -#}
{% macro days_between(earlier, later) -%} ({{ later }} - {{ earlier }}) {%- endmacro %}

{#- One number that orders the periods of all years. -#}
{% macro period_key(year, period) -%} ({{ year }} * 1000 + {{ period }}) {%- endmacro %}

{#- The last day of the month of a date. -#}
{% macro month_end(day) -%}
    cast(date_trunc('month', {{ day }}) + interval '1 month' - interval '1 day' as date)
{%- endmacro %}
