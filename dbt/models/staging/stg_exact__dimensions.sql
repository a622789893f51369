{%- for dimension, stream in [('cost_center', 'cost_centers'), ('cost_unit', 'cost_units')] %}
select division, '{{ dimension }}' as dimension, trim(code) as code, description as name
from (

    {{ exact_rows(stream, integer=['Division'], text=['ID', 'Code', 'Description']) }}

) as {{ stream }}
{% if not loop.last %}union all{% endif %}
{%- endfor %}
