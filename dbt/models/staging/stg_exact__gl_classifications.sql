with gl_classifications as (

    {{ exact_rows(
        'gl_classifications', integer=['Division'],
        text=['ID', 'Code', 'Name', 'Description', 'Parent', 'PeriodType', 'Balance'], boolean=['Abstract'],
    ) }}

)

select
    division,
    id as classification_id,
    trim(code) as classification_code,
    coalesce(description, name) as classification_name,
    parent as parent_id,
    abstract as is_heading,
    period_type,
    balance as normal_side
from gl_classifications
