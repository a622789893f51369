with marts as (

    select division, 'receivable' as ledger, relation_id, as_of_date, open_dc from {{ ref('exact__receivables_open_items') }}
    union all
    select division, 'payable' as ledger, relation_id, as_of_date, open_dc from {{ ref('exact__payables_open_items') }}

),

open_items as (

    select division, ledger, relation_id, as_of_date, sum(open_dc) as open_dc
    from marts
    group by division, ledger, relation_id, as_of_date

),

control as (

    select
        movements.division,
        movements.ledger,
        movements.relation_id,
        month_ends.as_of_date,
        sum(movements.owed_dc) as owed_dc
    from (
        select
            lines.division,
            types.open_items as ledger,
            coalesce(lines.relation_id, 'none') as relation_id,
            lines.posting_date,
            sum(case when types.open_items = 'payable' then -lines.amount_dc else lines.amount_dc end) as owed_dc
        from {{ ref('exact__general_ledger') }} as lines
        inner join {{ ref('exact_gl_account_types') }} as types on types.account_type = lines.account_type
        where types.open_items is not null and not lines.is_carry_over
        group by lines.division, types.open_items, coalesce(lines.relation_id, 'none'), lines.posting_date
    ) as movements
    inner join {{ ref('int_exact__month_ends') }} as month_ends
        on month_ends.division = movements.division and month_ends.as_of_date >= movements.posting_date
    group by movements.division, movements.ledger, movements.relation_id, month_ends.as_of_date

)

select
    control.division,
    cast(null as bigint) as fiscal_year,
    cast(null as bigint) as fiscal_period,
    control.as_of_date,
    sum(control.owed_dc) as expected,
    coalesce(sum(open_items.open_dc), 0) as found,
    sum(abs(control.owed_dc - coalesce(open_items.open_dc, 0))) as difference,
    true as is_comparable,
    control.ledger as detail
from control
left join open_items
    on open_items.division = control.division
    and open_items.ledger = control.ledger
    and open_items.relation_id = control.relation_id
    and open_items.as_of_date = control.as_of_date
group by control.division, control.ledger, control.as_of_date
