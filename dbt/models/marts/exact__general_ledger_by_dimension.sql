{#- Only where something is posted: movements, whose balances are sums over periods. -#}
with lines as (

    select
        ledger.*,
        coalesce(ledger.cost_center_code, 'none') as cost_center,
        coalesce(ledger.cost_unit_code, 'none') as cost_unit,
        coalesce(ledger.project_id, 'none') as project
    from {{ ref('exact__general_ledger') }} as ledger
    where ledger.is_counted

)

select
    lines.division,
    lines.gl_account_id,
    lines.cost_center as cost_center_code,
    lines.cost_unit as cost_unit_code,
    lines.project as project_id,
    lines.fiscal_year,
    lines.fiscal_period,
    max(periods.period_start) as period_start,
    max(periods.period_end) as period_end,
    max(lines.gl_account_code) as gl_account_code,
    max(lines.gl_account_name) as gl_account_name,
    max(lines.account_type) as account_type,
    max(lines.balance_type) as balance_type,
    max(lines.section) as section,
    max(lines.subsection) as subsection,
    max(lines.cost_center_name) as cost_center_name,
    max(lines.cost_unit_name) as cost_unit_name,
    max(lines.project_code) as project_code,
    {{ exact_online.cents('sum(lines.debit_dc)') }} as debit_dc,
    {{ exact_online.cents('sum(lines.credit_dc)') }} as credit_dc,
    {{ exact_online.cents('sum(lines.amount_dc)') }} as net_dc,
    count(*) as line_count
from lines
inner join {{ ref('int_exact__periods') }} as periods
    on periods.division = lines.division
    and periods.fiscal_year = lines.fiscal_year
    and periods.fiscal_period = lines.fiscal_period
group by
    lines.division, lines.gl_account_id, lines.cost_center, lines.cost_unit, lines.project, lines.fiscal_year,
    lines.fiscal_period
