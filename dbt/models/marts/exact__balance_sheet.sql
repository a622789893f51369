{#-
    The accounts of the balance sheet, and the result that nobody has appropriated yet: all lines of the profit and loss
    account, closing entries included. It is zero for years that were closed, so the sheet balances either way.
-#}
with ledger as (

    select * from {{ ref('exact__general_ledger_by_period') }}

),

results as (

    select
        division,
        fiscal_year,
        fiscal_period,
        period_key,
        min(period_start) as period_start,
        max(period_end) as period_end,
        {{ exact_online.sum_where('net_with_closing_dc', "balance_type = 'W'") }} as net_dc
    from ledger
    group by division, fiscal_year, fiscal_period, period_key

),

cumulative as (

    select
        results.*,
        sum(net_dc) over (partition by division, fiscal_year order by period_key) as current_year_dc,
        sum(net_dc) over (partition by division order by period_key) as all_years_dc
    from results

)

select
    division,
    gl_account_id,
    fiscal_year,
    fiscal_period,
    period_end,
    gl_account_code,
    gl_account_name,
    account_type,
    section,
    subsection,
    sort_order,
    classification_code,
    classification_path,
    closing_balance_dc,
    false as is_computed
from ledger
where balance_type = 'B'

union all

select
    division,
    'result_current_year',
    fiscal_year,
    fiscal_period,
    period_end,
    null,
    'Result of the year, not yet appropriated',
    null,
    'Equity',
    'Result not yet appropriated',
    331,
    null,
    null,
    {{ exact_online.cents('current_year_dc') }},
    true
from cumulative

union all

select
    division,
    'result_prior_years',
    fiscal_year,
    fiscal_period,
    period_end,
    null,
    'Result of earlier years, not yet appropriated',
    null,
    'Equity',
    'Result not yet appropriated',
    330,
    null,
    null,
    {{ exact_online.cents('all_years_dc - current_year_dc') }},
    true
from cumulative
