{#-
    What a unit of each administration's currency is worth in that of the group, month by month. A rate holds until the next
    one begins. Of each currency the rates of one administration count: those that it records to the group's currency, else
    the inverse of those from it.
-#}
with currencies as (

    select
        base_currency as currency,
        count(*) as division_count,
        min(division) as first_division
    from {{ ref('stg_exact__divisions') }}
    where division in (select division from {{ ref('exact__general_ledger_by_period') }})
        and base_currency is not null
    group by base_currency

),

group_currency as (

    {% if var('group_currency') -%}
    select '{{ var('group_currency') }}' as currency
    {%- else -%}
    select currency
    from currencies
    order by division_count desc, first_division
    limit 1
    {%- endif %}

),

months as (

    select distinct
        cast(date_trunc('month', period_end) as date) as month_start,
        {{ exact_online.month_end('period_end') }} as month_end
    from {{ ref('exact__general_ledger_by_period') }}

),

recorded as (

    select rates.source_currency as currency, rates.division, 1 as direction, rates.start_date, rates.rate, rates.modified_at, rates.rate_id
    from {{ ref('stg_exact__exchange_rates') }} as rates
    inner join group_currency on group_currency.currency = rates.target_currency
    where rates.rate > 0 and rates.start_date is not null
    union all
    select
        rates.target_currency, rates.division, 2, rates.start_date, cast(1 / rates.rate as decimal(28, 10)), rates.modified_at, rates.rate_id
    from {{ ref('stg_exact__exchange_rates') }} as rates
    inner join group_currency on group_currency.currency = rates.source_currency
    where rates.rate > 0 and rates.start_date is not null

),

ranked as (

    select
        recorded.*,
        dense_rank() over (
            partition by currency
            order by
                {% if var('exchange_rate_division') %} (division = {{ var('exchange_rate_division') }}) desc, {% endif %}
                direction,
                division
        ) as recorder
    from recorded

),

rates as (

    select
        currency,
        rate,
        start_date as valid_from,
        lead(start_date) over (partition by currency order by start_date, modified_at, rate_id) as valid_until
    from ranked
    where recorder = 1

),

held as (

    select
        currencies.currency,
        group_currency.currency as group_currency,
        months.month_end,
        rates.rate,
        rates.valid_from,
        coalesce(rates.valid_until > months.month_end, true) as is_closing,
        cast(
            least(coalesce(rates.valid_until, months.month_end + 1), months.month_end + 1)
            - greatest(rates.valid_from, months.month_start)
            as decimal(9, 0)
        ) as days
    from currencies
    cross join group_currency
    cross join months
    left join rates
        on rates.currency = currencies.currency
        and currencies.currency <> group_currency.currency
        and rates.valid_from <= months.month_end
        and (rates.valid_until is null or rates.valid_until > months.month_start)

)

select
    currency,
    group_currency,
    month_end,
    cast(case when currency = group_currency then 1 else sum(rate * days) / nullif(sum(days), 0) end as decimal(28, 10)) as average_rate,
    cast(case when currency = group_currency then 1 else max(rate) filter (where is_closing) end as decimal(28, 10)) as closing_rate,
    max(valid_from) filter (where is_closing) as closing_rate_since
from held
group by currency, group_currency, month_end
