with reporting_balance as (

    {{ exact_rows(
        'reporting_balance', keys=['ReportingYear', 'ID', 'Division'],
        integer=['Division', 'ReportingYear', 'ReportingPeriod', 'ID', 'Status', 'Type', 'Count'],
        text=['GLAccount', 'GLAccountCode', 'BalanceType', 'CostCenterCode', 'CostUnitCode'],
        amount=['Amount'],
    ) }}

)

select
    division,
    id as balance_id,
    reporting_year as fiscal_year,
    reporting_period as fiscal_period,
    gl_account as gl_account_id,
    trim(gl_account_code) as gl_account_code,
    balance_type,
    status,
    type as entry_type,
    amount as amount_dc,
    count as line_count,
    loaded_at
from reporting_balance
