with divisions as (

    {{ exact_rows(
        'divisions', keys=['Division'], needed=true, integer=['Division', 'Status'],
        text=['Description', 'Country', 'Currency', 'Legislation'],
    ) }}

)

select
    division,
    trim(description) as division_name,
    trim(country) as country,
    trim(currency) as base_currency,
    status,
    loaded_at
from divisions
