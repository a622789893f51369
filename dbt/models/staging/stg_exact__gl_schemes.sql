with gl_schemes as (

    {{ exact_rows('gl_schemes', integer=['Division', 'Main'], text=['ID', 'Code', 'Description']) }}

)

select
    division,
    id as scheme_id,
    trim(code) as scheme_code,
    description as scheme_name,
    coalesce(main, 0) = 1 as is_main
from gl_schemes
