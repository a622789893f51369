{#- Rows of exact__checks that one check has failed. -#}
{% test exact_check(model, check_name) %}
select *
from {{ model }}
where check_name = '{{ check_name }}' and outcome in ('failed', 'warning')
{% endtest %}
