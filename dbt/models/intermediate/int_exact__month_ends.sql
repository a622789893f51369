{#- The last day of each month from the first posting to today, and today. -#}
with recursive bounds as (

    select
        division,
        cast(date_trunc('month', min(posting_date)) as date) as first_month
    from {{ ref('stg_exact__transaction_lines') }}
    group by division

),

months as (

    select division, first_month as month_start
    from bounds
    where first_month <= {{ exact_online.today() }}
    union all
    select division, cast(month_start + interval '1 month' as date) as month_start
    from months
    where cast(month_start + interval '1 month' as date) <= {{ exact_online.today() }}

),

days as (

    select division, {{ exact_online.month_end('month_start') }} as as_of_date
    from months
    union
    select division, {{ exact_online.today() }} as as_of_date
    from bounds

)

select division, as_of_date, as_of_date = {{ exact_online.today() }} as is_today
from days
where as_of_date <= {{ exact_online.today() }}
