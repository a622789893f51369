with vat_codes as (

    {{ exact_rows('vat_codes', integer=['Division'], text=['ID', 'Code', 'Description', 'Type'], number=['Percentage']) }}

)

select
    division,
    trim(code) as vat_code,
    description as vat_name,
    trim(type) as vat_type,
    percentage as vat_fraction
from vat_codes
