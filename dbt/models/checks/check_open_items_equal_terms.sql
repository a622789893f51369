{#- Terms that were open on a day: not matched, or matched only with something of a later date. They know nothing of processing. -#}
with terms as (

    select
        terms.division,
        terms.ledger,
        coalesce(terms.relation_id, 'none') as relation_id,
        month_ends.as_of_date,
        sum(terms.owed_dc) as owed_dc,
        bool_and(terms.is_size_known) as is_known
    from {{ ref('int_exact__terms') }} as terms
    inner join {{ ref('int_exact__month_ends') }} as month_ends
        on month_ends.division = terms.division
        and month_ends.as_of_date >= terms.invoice_date
        and (terms.end_date is null or terms.end_date > month_ends.as_of_date)
    group by terms.division, terms.ledger, coalesce(terms.relation_id, 'none'), month_ends.as_of_date

),

items as (

    select division, ledger, relation_id, as_of_date, sum(open_dc) as open_dc
    from {{ ref('int_exact__open_items') }}
    group by division, ledger, relation_id, as_of_date

),

compared as (

    select
        coalesce(terms.division, items.division) as division,
        coalesce(terms.ledger, items.ledger) as ledger,
        coalesce(terms.as_of_date, items.as_of_date) as as_of_date,
        coalesce(items.open_dc, 0) as open_dc,
        coalesce(terms.owed_dc, 0) as owed_dc,
        coalesce(terms.is_known, true) as is_known
    from terms
    full outer join items
        on items.division = terms.division
        and items.ledger = terms.ledger
        and items.relation_id = terms.relation_id
        and items.as_of_date = terms.as_of_date

)

select
    division,
    cast(null as bigint) as fiscal_year,
    cast(null as bigint) as fiscal_period,
    as_of_date,
    coalesce(sum(open_dc) filter (where is_known), 0) as expected,
    coalesce(sum(owed_dc) filter (where is_known), 0) as found,
    coalesce(sum(abs(owed_dc - open_dc)) filter (where is_known), 0) as difference,
    {{ var('include_open_entries') }} as is_comparable,
    ledger || ': ' || cast(count(*) filter (where owed_dc <> open_dc and is_known) as text) || ' of ' || cast(count(*) as text)
    || ' relations differ' as detail
from compared
where division in (select division from {{ ref('int_exact__terms') }})
group by division, ledger, as_of_date
