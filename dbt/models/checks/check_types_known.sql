with unknown as (

    select accounts.division, 'account type ' || cast(accounts.account_type as text) as what
    from {{ ref('stg_exact__gl_accounts') }} as accounts
    left join {{ ref('exact_gl_account_types') }} as types on types.account_type = accounts.account_type
    where types.account_type is null
    union
    select division, 'entry type ' || cast(entry_type as text) as what
    from {{ ref('stg_exact__transaction_lines') }}
    where entry_type_name is null

)

select
    divisions.division,
    cast(null as bigint) as fiscal_year,
    cast(null as bigint) as fiscal_period,
    cast(null as date) as as_of_date,
    cast(0 as decimal(18, 2)) as expected,
    count(unknown.what) as found,
    count(unknown.what) as difference,
    true as is_comparable,
    coalesce(min(unknown.what), 'all known') as detail
from (select distinct division from {{ ref('stg_exact__transaction_lines') }}) as divisions
left join unknown on unknown.division = divisions.division
group by divisions.division
