with projects as (

    {{ exact_rows('projects', integer=['Division'], text=['ID', 'Code', 'Description']) }}

)

select
    division,
    id as project_id,
    trim(code) as project_code,
    description as project_name
from projects
