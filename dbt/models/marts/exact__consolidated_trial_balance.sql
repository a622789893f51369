{#-
    The trial balances of all administrations in one currency and by calendar month, that in which a financial period ends.
    Profit and loss is at the average rate of each month, equity at the average rate of the month of each posting, all else at
    the rate of the last day. What keeps an administration's rows from summing to zero then is its translation difference.
    A closing entry moves a result from one row of equity to another, so both are at the rate of its month.
-#}
with ledger as (

    select
        ledger.division,
        ledger.gl_account_id,
        ledger.fiscal_year,
        ledger.period_key,
        {{ exact_online.month_end('ledger.period_end') }} as month_end,
        divisions.base_currency as currency,
        accounts.group_account_code,
        accounts.group_account_name,
        ledger.section,
        ledger.sort_order,
        case
            when ledger.balance_type = 'W' then 'average rate'
            when ledger.section = 'Equity' then 'historical rates'
            else 'closing rate'
        end as translated_at,
        ledger.net_dc,
        ledger.net_with_closing_dc - ledger.net_dc as closing_entries_dc,
        ledger.closing_balance_dc as balance_dc,
        {{ exact_online.cents('ledger.net_dc * rates.average_rate') }} as net_gc,
        {{ exact_online.cents('(ledger.net_with_closing_dc - ledger.net_dc) * rates.average_rate') }} as closing_entries_gc,
        case
            when rates.average_rate is null and (ledger.net_dc <> 0 or ledger.net_with_closing_dc <> 0) then 1
            else 0
        end as without_rate
    from {{ ref('exact__general_ledger_by_period') }} as ledger
    inner join {{ ref('int_exact__gl_accounts') }} as accounts
        on accounts.division = ledger.division and accounts.gl_account_id = ledger.gl_account_id
    left join {{ ref('stg_exact__divisions') }} as divisions on divisions.division = ledger.division
    left join {{ ref('int_exact__exchange_rates') }} as rates
        on rates.currency = divisions.base_currency
        and rates.month_end = {{ exact_online.month_end('ledger.period_end') }}

),

accumulated as (

    select
        ledger.*,
        sum(net_gc) over balance as balance_gc,
        sum(without_rate) over balance as balance_without_rate
    from ledger
    window balance as (
        partition by division, gl_account_id, case when translated_at = 'average rate' then fiscal_year end
        order by period_key
    )

),

results as (

    select
        division,
        period_key,
        month_end,
        currency,
        sum(net_dc + closing_entries_dc) as net_dc,
        sum(closing_entries_dc) as closing_entries_dc,
        sum(balance_dc) as balance_dc,
        coalesce(sum(net_gc + closing_entries_gc), 0) as net_gc,
        sum(closing_entries_gc) as closing_entries_gc,
        coalesce(sum(balance_gc), 0) as balance_gc,
        sum(without_rate) as without_rate
    from accumulated
    where translated_at = 'average rate'
    group by division, period_key, month_end, currency

),

positions as (

    select
        division,
        gl_account_id,
        period_key,
        month_end,
        currency,
        group_account_code,
        group_account_name,
        section,
        sort_order,
        translated_at,
        net_dc as movement_dc,
        net_gc as movement_gc,
        balance_dc,
        balance_gc,
        balance_without_rate as without_rate
    from accumulated
    union all
    select
        division,
        'earlier_results',
        period_key,
        month_end,
        currency,
        'earlier_results',
        'Results of earlier years, and what closing entries took from the results',
        'Equity',
        330,
        'historical rates',
        closing_entries_dc,
        closing_entries_gc,
        sum(net_dc) over (partition by division order by period_key) - balance_dc,
        sum(net_gc) over (partition by division order by period_key) - balance_gc,
        sum(without_rate) over (partition by division order by period_key)
    from results

),

numbered as (

    select
        positions.*,
        sum(movement_dc) over (partition by division, gl_account_id, month_end) as month_dc,
        sum(movement_gc) over (partition by division, gl_account_id, month_end) as month_gc,
        row_number() over (partition by division, gl_account_id, month_end order by period_key desc) as nearness
    from positions

),

monthly as (

    select
        numbered.*,
        lead(month_end) over (partition by division, gl_account_id order by month_end) as next_month_end
    from numbered
    where nearness = 1

),

months as (

    select distinct month_end
    from ledger

),

translated as (

    -- In a month in which no period of an administration ends, its balances are those of the month before.
    select
        monthly.division,
        months.month_end,
        monthly.group_account_code,
        monthly.group_account_name,
        monthly.section,
        monthly.sort_order,
        monthly.translated_at,
        monthly.currency,
        rates.group_currency,
        rates.average_rate,
        rates.closing_rate,
        rates.closing_rate_since,
        case when months.month_end = monthly.month_end then monthly.month_dc else 0 end as movement_dc,
        case when months.month_end = monthly.month_end then monthly.month_gc else 0 end as movement_gc,
        monthly.balance_dc,
        case
            when monthly.translated_at = 'closing rate' then {{ exact_online.cents('monthly.balance_dc * rates.closing_rate') }}
            else monthly.balance_gc
        end as balance_gc,
        case
            when monthly.translated_at = 'closing rate' then rates.closing_rate is not null or monthly.balance_dc = 0
            else monthly.without_rate = 0
        end as is_translated
    from monthly
    inner join months
        on months.month_end >= monthly.month_end
        and (monthly.next_month_end is null or months.month_end < monthly.next_month_end)
    left join {{ ref('int_exact__exchange_rates') }} as rates
        on rates.currency = monthly.currency and rates.month_end = months.month_end

),

grouped as (

    select
        division,
        month_end,
        group_account_code,
        max(group_account_name) as group_account_name,
        max(section) as section,
        min(sort_order) as sort_order,
        translated_at,
        currency,
        group_currency,
        average_rate,
        closing_rate,
        closing_rate_since,
        sum(movement_dc) as movement_dc,
        sum(movement_gc) as movement_gc,
        sum(balance_dc) as balance_dc,
        coalesce(sum(balance_gc), 0) as balance_gc,
        bool_and(is_translated) as is_translated
    from translated
    group by
        division, month_end, group_account_code, translated_at, currency, group_currency, average_rate, closing_rate,
        closing_rate_since

    union all

    select
        division,
        month_end,
        'translation_difference',
        'Translation difference',
        'Equity',
        332,
        'difference',
        currency,
        group_currency,
        average_rate,
        closing_rate,
        closing_rate_since,
        0,
        -sum(movement_gc),
        0,
        -coalesce(sum(balance_gc), 0),
        bool_and(is_translated)
    from translated
    where currency <> group_currency
    group by division, month_end, currency, group_currency, average_rate, closing_rate, closing_rate_since

)

select
    division,
    month_end,
    group_account_code,
    group_account_name,
    section,
    sort_order,
    translated_at,
    currency,
    group_currency,
    average_rate,
    closing_rate,
    closing_rate_since,
    {{ exact_online.cents('movement_dc') }} as movement_dc,
    {{ exact_online.cents('balance_dc') }} as balance_dc,
    {{ exact_online.cents('case when average_rate is not null then movement_gc end') }} as movement_gc,
    {{ exact_online.cents('case when is_translated then balance_gc end') }} as balance_gc,
    is_translated
from grouped
where movement_dc <> 0 or balance_dc <> 0 or balance_gc <> 0 or not is_translated
