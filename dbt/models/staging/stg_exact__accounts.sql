with accounts as (

    {{ exact_rows('accounts', integer=['Division'], text=['ID', 'Code', 'Name', 'Country', 'AccountManagerFullName']) }}

)

select
    division,
    id as relation_id,
    trim(code) as relation_code,
    name as relation_name,
    trim(country) as relation_country,
    account_manager_full_name as account_manager
from accounts
