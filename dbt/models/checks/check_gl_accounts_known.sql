select
    lines.division,
    lines.fiscal_year,
    cast(null as bigint) as fiscal_period,
    cast(null as date) as as_of_date,
    cast(0 as decimal(18, 2)) as expected,
    coalesce(sum(abs(lines.amount_dc)) filter (where not accounts.is_known), 0) as found,
    coalesce(sum(abs(lines.amount_dc)) filter (where not accounts.is_known), 0) as difference,
    true as is_comparable,
    cast(count(*) filter (where not accounts.is_known) as text) || ' lines on unknown accounts' as detail
from {{ ref('stg_exact__transaction_lines') }} as lines
inner join {{ ref('int_exact__gl_accounts') }} as accounts
    on accounts.division = lines.division
    and accounts.gl_account_id = coalesce(lines.gl_account_id, {{ exact_online.no_account() }})
where lines.amount_dc <> 0
group by lines.division, lines.fiscal_year
