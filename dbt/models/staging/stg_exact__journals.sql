with journals as (

    {{ exact_rows('journals', integer=['Division', 'Type'], text=['ID', 'Code', 'Description']) }}

)

select
    division,
    trim(code) as journal_code,
    description as journal_name,
    type as journal_type
from journals
