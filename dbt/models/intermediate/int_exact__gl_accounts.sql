{#- Accounts that lines name but that were not loaded are kept, with what the lines say of them. -#}
with posted as (

    select
        division,
        coalesce(gl_account_id, {{ exact_online.no_account() }}) as gl_account_id,
        max(gl_account_code) as gl_account_code,
        max(gl_account_name) as gl_account_name
    from {{ ref('stg_exact__transaction_lines') }}
    where gl_account_id is not null or amount_dc <> 0
    group by division, coalesce(gl_account_id, {{ exact_online.no_account() }})

),

accounts as (

    select
        division, gl_account_id, gl_account_code, gl_account_name, account_type, account_type_name, balance_type,
        normal_side, true as is_known
    from {{ ref('stg_exact__gl_accounts') }}
    union all
    select
        posted.division, posted.gl_account_id, posted.gl_account_code, posted.gl_account_name, null, null, null, null, false
    from posted
    left join {{ ref('stg_exact__gl_accounts') }} as known
        on known.division = posted.division and known.gl_account_id = posted.gl_account_id
    where known.gl_account_id is null

),

common_scheme as (

    -- The scheme by which all administrations classify their accounts, if there is one.
    select max(scheme_code) as scheme_code
    from {{ ref('int_exact__classifications') }}
    having count(distinct scheme_code) = 1
        and count(distinct division) = (select count(distinct division) from posted)

)

select
    accounts.division,
    accounts.gl_account_id,
    accounts.gl_account_code,
    accounts.gl_account_name,
    accounts.account_type,
    coalesce(types.type_name, accounts.account_type_name) as account_type_name,
    accounts.balance_type,
    accounts.normal_side,
    accounts.is_known,
    case
        when coalesce(types.is_technical, false) then 'Technical'
        when accounts.balance_type = 'W' and types.statement = 'profit_and_loss' then types.section
        when accounts.balance_type = 'W' then 'Other result'
        when accounts.balance_type = 'B' and types.statement = 'balance_sheet' then types.section
        when accounts.balance_type = 'B' then 'Other assets and liabilities'
        else 'Unknown'
    end as section,
    coalesce(types.subsection, 'Unknown') as subsection,
    coalesce(types.sort_order, 899) as sort_order,
    types.cash_flow_section,
    types.open_items,
    coalesce(types.is_cash, false) as is_cash,
    coalesce(types.is_technical, false) as is_technical,
    classifications.scheme_code,
    classifications.classification_code,
    classifications.classification_path,
    classifications.mapping_count,
    case
        when common_scheme.scheme_code is not null and classifications.classification_code is not null
            then classifications.classification_code
        else coalesce(types.subsection, 'Unknown')
    end as group_account_code,
    case
        when common_scheme.scheme_code is not null and classifications.classification_code is not null
            then classifications.classification_name
        else coalesce(types.subsection, 'Unknown')
    end as group_account_name
from accounts
left join {{ ref('exact_gl_account_types') }} as types on types.account_type = accounts.account_type
left join {{ ref('int_exact__classifications') }} as classifications
    on classifications.division = accounts.division and classifications.gl_account_id = accounts.gl_account_id
left join common_scheme on common_scheme.scheme_code = classifications.scheme_code
