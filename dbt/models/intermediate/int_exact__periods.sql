{#-
    The periods that Exact defines, and those that lines bear although nobody defined them, such as 0. A year has twelve months, or
    more where its periods are defined so.
-#}
with posted as (

    select
        division,
        fiscal_year,
        fiscal_period,
        min(posting_date) as first_date,
        max(posting_date) as last_date
    from {{ ref('stg_exact__transaction_lines') }}
    group by division, fiscal_year, fiscal_period

),

periods as (

    select
        coalesce(defined.division, posted.division) as division,
        coalesce(defined.fiscal_year, posted.fiscal_year) as fiscal_year,
        coalesce(defined.fiscal_period, posted.fiscal_period) as fiscal_period,
        {{ exact_online.period_key('coalesce(defined.fiscal_year, posted.fiscal_year)', 'coalesce(defined.fiscal_period, posted.fiscal_period)') }} as period_key,
        coalesce(defined.period_start, posted.first_date) as period_start,
        coalesce(defined.period_end, posted.last_date) as period_end,
        defined.division is not null as is_defined,
        posted.division is not null as is_posted
    from {{ ref('stg_exact__financial_periods') }} as defined
    full outer join posted
        on posted.division = defined.division
        and posted.fiscal_year = defined.fiscal_year
        and posted.fiscal_period = defined.fiscal_period

)

select
    periods.*,
    greatest(
        max(period_end) over fiscal_year,
        cast(min(period_start) over fiscal_year + interval '1 year' - interval '1 day' as date)
    ) as year_end
from periods
window fiscal_year as (partition by division, fiscal_year)
