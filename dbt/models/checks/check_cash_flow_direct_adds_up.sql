{#- What cash accounts did, what the indirect cash flow sums to, and what the direct one sums to, are one amount. -#}
with indirect as (

    select
        division,
        fiscal_year,
        fiscal_period,
        coalesce(sum(amount_dc) filter (where section = 'cash'), 0) as cash_dc,
        coalesce(sum(amount_dc) filter (where section <> 'cash'), 0) as amount_dc
    from {{ ref('exact__cash_flow') }}
    group by division, fiscal_year, fiscal_period

),

direct as (

    select division, fiscal_year, fiscal_period, sum(amount_dc) as amount_dc
    from {{ ref('exact__cash_flow_direct') }}
    group by division, fiscal_year, fiscal_period

)

select
    coalesce(indirect.division, direct.division) as division,
    coalesce(indirect.fiscal_year, direct.fiscal_year) as fiscal_year,
    coalesce(indirect.fiscal_period, direct.fiscal_period) as fiscal_period,
    cast(null as date) as as_of_date,
    coalesce(indirect.cash_dc, 0) as expected,
    coalesce(direct.amount_dc, 0) as found,
    greatest(
        abs(coalesce(direct.amount_dc, 0) - coalesce(indirect.cash_dc, 0)),
        abs(coalesce(direct.amount_dc, 0) - coalesce(indirect.amount_dc, 0))
    ) as difference,
    true as is_comparable,
    'indirect: ' || cast({{ exact_online.cents('coalesce(indirect.amount_dc, 0)') }} as text) as detail
from indirect
full outer join direct
    on direct.division = indirect.division
    and direct.fiscal_year = indirect.fiscal_year
    and direct.fiscal_period = indirect.fiscal_period
