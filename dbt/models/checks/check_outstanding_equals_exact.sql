{#- Relations with amounts in a foreign currency are left out: the list may tell those in that currency. -#}
with exact as (

    select
        lists.division,
        lists.ledger,
        lists.relation_id,
        sum(lists.amount_as_sent) as amount_dc,
        bool_or(lists.currency <> divisions.base_currency) as is_foreign
    from {{ ref('stg_exact__outstanding_lists') }} as lists
    left join {{ ref('stg_exact__divisions') }} as divisions on divisions.division = lists.division
    group by lists.division, lists.ledger, lists.relation_id

),

ledger as (

    select division, ledger, coalesce(relation_id, 'none') as relation_id, sum(owed_dc) as owed_dc
    from {{ ref('int_exact__control_lines') }}
    where (division, ledger) in (select division, ledger from exact)
    group by division, ledger, coalesce(relation_id, 'none')

),

compared as (

    select
        coalesce(exact.division, ledger.division) as division,
        coalesce(exact.ledger, ledger.ledger) as ledger,
        coalesce(exact.amount_dc, 0) as amount_dc,
        coalesce(ledger.owed_dc, 0) as owed_dc
    from exact
    full outer join ledger
        on ledger.division = exact.division
        and ledger.ledger = exact.ledger
        and ledger.relation_id = exact.relation_id
    where not coalesce(exact.is_foreign, false)

),

totals as (

    select
        division,
        ledger,
        sum(amount_dc) as amount_dc,
        sum(owed_dc) as owed_dc,
        sum(abs(amount_dc - owed_dc)) as difference,
        sum(abs(-amount_dc - owed_dc)) as mirrored_difference
    from compared
    group by division, ledger

)

select
    totals.division,
    cast(null as bigint) as fiscal_year,
    cast(null as bigint) as fiscal_period,
    {{ exact_online.today() }} as as_of_date,
    case when mirrored_difference < difference then -amount_dc else amount_dc end as expected,
    owed_dc as found,
    least(difference, mirrored_difference) as difference,
    {{ exact_online.unchanged_since_read('totals.division', ref('stg_exact__outstanding_lists')) }} as is_comparable,
    ledger || case when mirrored_difference < difference then ': a debt is negative' else ': a debt is positive' end as detail
from totals
