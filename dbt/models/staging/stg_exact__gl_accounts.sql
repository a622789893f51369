with gl_accounts as (

    {{ exact_rows(
        'gl_accounts', needed=true, integer=['Division', 'Type'],
        text=['ID', 'Code', 'Description', 'TypeDescription', 'BalanceType', 'BalanceSide'], boolean=['IsBlocked'],
    ) }}

)

select
    division,
    id as gl_account_id,
    trim(code) as gl_account_code,
    description as gl_account_name,
    type as account_type,
    type_description as account_type_name,
    balance_type,
    balance_side as normal_side,
    is_blocked
from gl_accounts
