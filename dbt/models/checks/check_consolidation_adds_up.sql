{#-
    By month: the result and the balances are those of the trial balance, all rows sum to zero in both currencies, and in an
    administration that has the group's currency nothing is translated.
-#}
with group_rows as (

    select
        division,
        month_end,
        coalesce(sum(balance_dc) filter (where translated_at = 'average rate'), 0) as result_dc,
        coalesce(sum(balance_dc) filter (
            where translated_at in ('closing rate', 'historical rates') and group_account_code <> 'earlier_results'
        ), 0) as balances_dc,
        abs(sum(balance_dc)) as left_dc,
        abs(sum(balance_gc)) as left_gc,
        coalesce(sum(abs(balance_gc - balance_dc)) filter (where currency = group_currency), 0) as translated_dc,
        bool_and(is_translated) as is_translated,
        max(currency) as currency,
        max(group_currency) as group_currency
    from {{ ref('exact__consolidated_trial_balance') }}
    group by division, month_end

),

periods as (

    select distinct division, period_key, period_end
    from {{ ref('exact__general_ledger_by_period') }}

),

last_periods as (

    select group_rows.division, group_rows.month_end, max(periods.period_key) as period_key
    from group_rows
    inner join periods on periods.division = group_rows.division and periods.period_end <= group_rows.month_end
    group by group_rows.division, group_rows.month_end

),

trial_balances as (

    select
        last_periods.division,
        last_periods.month_end,
        coalesce(sum(ledger.closing_balance_dc) filter (where ledger.balance_type = 'W'), 0) as result_dc,
        coalesce(sum(ledger.closing_balance_dc) filter (where coalesce(ledger.balance_type, 'B') <> 'W'), 0) as balances_dc
    from last_periods
    inner join {{ ref('exact__general_ledger_by_period') }} as ledger
        on ledger.division = last_periods.division and ledger.period_key = last_periods.period_key
    group by last_periods.division, last_periods.month_end

)

select
    group_rows.division,
    cast(null as bigint) as fiscal_year,
    cast(null as bigint) as fiscal_period,
    group_rows.month_end as as_of_date,
    -trial_balances.result_dc as expected,
    -group_rows.result_dc as found,
    case
        when group_rows.is_translated then abs(trial_balances.result_dc - group_rows.result_dc)
            + abs(trial_balances.balances_dc - group_rows.balances_dc)
            + group_rows.left_dc
            + group_rows.left_gc
            + group_rows.translated_dc
    end as difference,
    group_rows.is_translated as is_comparable,
    case
        when group_rows.is_translated then 'result of the year, and balances, in ' || group_rows.currency
        else 'no rate of ' || coalesce(group_rows.currency, 'an unknown currency') || ' to ' || coalesce(group_rows.group_currency, 'that of the group')
    end as detail
from group_rows
inner join trial_balances
    on trial_balances.division = group_rows.division and trial_balances.month_end = group_rows.month_end
