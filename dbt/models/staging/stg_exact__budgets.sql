with budgets as (

    {{ exact_rows(
        'budgets', integer=['Division', 'ReportingYear', 'ReportingPeriod'], text=['ID', 'GLAccount', 'BudgetScenarioCode'],
        amount=['AmountDC'],
    ) }}

)

select
    division,
    id as budget_id,
    gl_account as gl_account_id,
    trim(budget_scenario_code) as scenario_code,
    reporting_year as fiscal_year,
    reporting_period as fiscal_period,
    amount_dc
from budgets
