with ledger as (

    select *
    from {{ ref('exact__general_ledger_by_period') }}
    where balance_type = 'W' and not is_technical

),

budgets as (

    select division, gl_account_id, fiscal_year, fiscal_period, sum(amount_dc) as budget_dc
    from {{ ref('stg_exact__budgets') }}
    group by division, gl_account_id, fiscal_year, fiscal_period

)

select
    ledger.division,
    ledger.gl_account_id,
    ledger.fiscal_year,
    ledger.fiscal_period,
    ledger.period_start,
    ledger.period_end,
    ledger.gl_account_code,
    ledger.gl_account_name,
    ledger.account_type,
    ledger.section,
    ledger.subsection,
    ledger.sort_order,
    ledger.classification_code,
    ledger.classification_path,
    -ledger.net_dc as amount_dc,
    -ledger.closing_balance_dc as year_to_date_dc,
    {{ exact_online.cents('-coalesce(last_year.net_dc, 0)') }} as last_year_dc,
    {{ exact_online.cents('-coalesce(last_year.closing_balance_dc, 0)') }} as last_year_to_date_dc,
    -- Exact's budgets have the sign of the ledger.
    {{ exact_online.cents('-budgets.budget_dc') }} as budget_dc
from ledger
left join ledger as last_year
    on last_year.division = ledger.division
    and last_year.gl_account_id = ledger.gl_account_id
    and last_year.fiscal_year = ledger.fiscal_year - 1
    and last_year.fiscal_period = ledger.fiscal_period
left join budgets
    on budgets.division = ledger.division
    and budgets.gl_account_id = ledger.gl_account_id
    and budgets.fiscal_year = ledger.fiscal_year
    and budgets.fiscal_period = ledger.fiscal_period
