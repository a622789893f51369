with items as (

    {{ exact_rows('items', integer=['Division'], text=['ID', 'Code', 'Description', 'ItemGroupCode', 'ItemGroupDescription', 'Unit']) }}

)

select
    division,
    id as item_id,
    trim(code) as item_code,
    description as item_name,
    trim(item_group_code) as item_group_code,
    item_group_description as item_group_name,
    trim(unit) as unit
from items
