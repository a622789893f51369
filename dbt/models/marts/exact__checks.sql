{%- set checks = [
    'entries_balance', 'periods_balance', 'gl_accounts_known', 'periods_defined', 'types_known', 'entry_numbers_unique',
    'balance_sheet_balances', 'result_equals_equity', 'open_items_equal_control_accounts', 'open_items_equal_terms',
    'payment_term_amounts', 'ageing_adds_up', 'ageing_equals_exact', 'ledger_equals_reporting_balance',
    'entry_types_equal_reporting_balance', 'line_counts_equal_reporting_balance', 'reporting_balance_period_0', 'opening_balances_equal_exact',
    'outstanding_equals_exact', 'profit_loss_equals_exact', 'classifications_unique', 'cash_flow_adds_up', 'cash_flow_direct_adds_up',
    'dimensions_equal_ledger', 'consolidation_adds_up', 'sales_detail_equals_ledger', 'purchase_detail_equals_ledger',
] -%}
with results as (

    {%- for check in checks %}
    select
        '{{ check }}' as check_name,
        division,
        fiscal_year,
        fiscal_period,
        as_of_date,
        cast(expected as decimal(18, 2)) as expected,
        cast(found as decimal(18, 2)) as found,
        cast(difference as decimal(18, 2)) as difference,
        is_comparable,
        detail
    from {{ ref('check_' ~ check) }}
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}

)

select
    results.check_name,
    checks.title,
    checks.severity,
    results.division,
    results.fiscal_year,
    results.fiscal_period,
    results.as_of_date,
    results.expected,
    results.found,
    results.difference,
    case
        when abs(results.difference) < checks.tolerance then 'passed'
        when not results.is_comparable then 'not compared'
        when checks.severity = 'warn' then 'warning'
        else 'failed'
    end as outcome,
    results.detail,
    checks.meaning as what_a_difference_means
from results
inner join {{ ref('exact_checks') }} as checks on checks.check_name = results.check_name
