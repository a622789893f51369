{#-
    Whether no ledger line of a division changed after one of Exact's own lists was read: else the two differ rightly. The lists
    count entries that are not processed yet.
-#}
{% macro unchanged_since_read(division, snapshot) -%}
    {{ var('include_open_entries') }} and not exists (
        select 1
        from {{ ref('stg_exact__transaction_lines') }} as changed
        where changed.division = {{ division }}
            and changed.modified_at > (select min(loaded_at) from {{ snapshot }} as snapshot where snapshot.division = changed.division)
    )
{%- endmacro %}
