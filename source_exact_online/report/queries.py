"""What is asked of the database: the same questions to the dbt models and, without them, to the loaded tables.

A debit is positive in the ledger. Revenue, results, liabilities and equity are told with the sign that people expect.
"""

from __future__ import annotations

DIVISIONS = """
    select division, trim(description), trim(currency) from {tables}.divisions
    where division in (select division from {tables}.transaction_lines) order by division
"""

CALLS = """
    select division, used, allowed, told_at from {tables}._exact_calls
    qualify row_number() over (partition by division order by told_at desc) = 1 order by division
"""

MODELS = {
    "result": """
        select division, strftime(period_start, '%Y-%m'), coalesce(sum(amount_dc) filter (where account_type = 110), 0),
            sum(amount_dc)
        from {models}.exact__profit_and_loss
        where (division, fiscal_year * 1000 + fiscal_period) in (
            select (division, fiscal_year * 1000 + fiscal_period) from {models}.exact__general_ledger)
        group by all order by 1, 2
    """,
    "balance_sheet": """
        with periods as (
            select division, fiscal_year, fiscal_period, max(period_end) as period_end,
                row_number() over (partition by division order by fiscal_year desc, fiscal_period desc) as number
            from {models}.exact__balance_sheet
            where (division, fiscal_year * 1000 + fiscal_period) in (
                select (division, fiscal_year * 1000 + fiscal_period) from {models}.exact__general_ledger)
            group by division, fiscal_year, fiscal_period
        )
        select sheet.division, now.period_end, sheet.section, sheet.subsection,
            sum(sheet.closing_balance_dc) filter (where sheet.fiscal_year = now.fiscal_year),
            coalesce(sum(sheet.closing_balance_dc) filter (where sheet.fiscal_year < now.fiscal_year), 0)
        from {models}.exact__balance_sheet as sheet
        join periods as now on now.division = sheet.division and now.number = 1
            and sheet.fiscal_period = now.fiscal_period
            and sheet.fiscal_year in (now.fiscal_year, now.fiscal_year - 1)
        group by sheet.division, now.period_end, sheet.section, sheet.subsection
        having sum(abs(sheet.closing_balance_dc)) <> 0
        order by sheet.division, min(sheet.sort_order)
    """,
    "ageing": """
        select division, coalesce(relation_name, 'unknown'), not_due_dc, bucket_1_dc, bucket_2_dc, bucket_3_dc,
            bucket_4_dc
        from {models}.exact__receivables_ageing
        where is_today and total_dc <> 0 order by division, total_dc desc, 2
    """,
    "cost_centers": """
        select division, coalesce(cost_center_code || ' ' || coalesce(cost_center_name, ''), 'none'),
            coalesce(-sum(amount_dc) filter (where account_type = 110), 0),
            coalesce(sum(amount_dc) filter (where account_type <> 110), 0)
        from {models}.exact__general_ledger as ledger
        where balance_type = 'W' and not is_closing and fiscal_year = (
            select max(fiscal_year) from {models}.exact__general_ledger as latest
            where latest.division = ledger.division)
        group by all order by division, -sum(amount_dc) desc, 2
    """,
    "checks": """
        select division, title, any_value(severity), count(*) filter (where outcome = 'passed'),
            count(*) filter (where outcome in ('failed', 'warning')), count(*) filter (where outcome = 'not compared'),
            coalesce(max(abs(difference)) filter (where outcome in ('failed', 'warning')), 0),
            any_value(what_a_difference_means)
        from {models}.exact__checks group by division, title
        order by division, count(*) filter (where outcome in ('failed', 'warning')) desc, title
    """,
}
"""Questions to the models."""

_LINES = """
    from {tables}.transaction_lines as line
    join {tables}.gl_accounts as account on account.division = line.division and account.id = line.gl_account
    where {live_line} and {live_account} and coalesce(line.status, 50) in (20, 50)
"""
_AMOUNT = "round(line.amount_dc::decimal(28, 10), 2)"
_RESULT = "account.balance_type = 'W' and line.type not in (310, 320, 321, 322, 323, 324, 325, 326, 327, 328)"
_BALANCE = "line.type not in (327, 328)"
_SECTIONS = """case
    when account.balance_type = 'W' or account.type in (50, 52) then 'Equity'
    when account.type in (30, 32, 35) then 'Fixed assets'
    when account.type in (10, 12, 14, 16, 20, 26, 40, 90) then 'Current assets'
    when account.type = 55 then 'Long-term liabilities'
    else 'Current liabilities' end"""

TABLES = {
    "result": f"""
        select line.division, strftime(min(line.date), '%Y-%m'),
            coalesce(-sum({_AMOUNT}) filter (where account.type = 110), 0), -sum({_AMOUNT})
        {_LINES} and {_RESULT}
        group by line.division, line.financial_year, line.financial_period order by 1, 2
    """,
    "balance_sheet": f"""
        with latest as (
            select division, max(financial_year * 1000 + financial_period) as period, max(date) as last_date
            from {{tables}}.transaction_lines as line where {{live_line}} group by division
        )
        select line.division, any_value(latest.last_date)::date, {_SECTIONS},
            case when account.balance_type = 'W' then 'Result not yet appropriated'
                else any_value(account.type_description) end,
            sum({_AMOUNT}),
            coalesce(sum({_AMOUNT}) filter (
                where line.financial_year * 1000 + line.financial_period <= latest.period - 1000), 0)
        {_LINES.replace("where", "join latest on latest.division = line.division where", 1)} and {_BALANCE}
        group by line.division, {_SECTIONS}, account.balance_type,
            case when account.balance_type = 'B' then account.type end
        having sum(abs(line.amount_dc)) <> 0
        order by line.division, case {_SECTIONS} when 'Current assets' then 1 when 'Fixed assets' then 2
            when 'Current liabilities' then 3 when 'Long-term liabilities' then 4 else 5 end, 4
    """,
    "ageing": f"""
        with items as (
            select line.division, line.account, any_value(line.account_name) as name, line.invoice_number,
                current_date - coalesce(min(line.due_date), min(line.date))::date as days, sum({_AMOUNT}) as amount
            {_LINES} and account.type = 20 and {_BALANCE}
            group by line.division, line.account, line.invoice_number having sum({_AMOUNT}) <> 0
        )
        select division, coalesce(any_value(name), 'unknown'),
            coalesce(sum(amount) filter (where days <= 0), 0),
            coalesce(sum(amount) filter (where days between 1 and 30), 0),
            coalesce(sum(amount) filter (where days between 31 and 60), 0),
            coalesce(sum(amount) filter (where days between 61 and 90), 0),
            coalesce(sum(amount) filter (where days > 90), 0)
        from items group by division, account having sum(amount) <> 0 order by division, sum(amount) desc, 2
    """,
    "cost_centers": f"""
        select line.division,
            coalesce(trim(line.cost_center) || ' ' || coalesce(line.cost_center_description, ''), 'none'),
            coalesce(-sum({_AMOUNT}) filter (where account.type = 110), 0),
            coalesce(sum({_AMOUNT}) filter (where account.type <> 110), 0)
        {_LINES} and {_RESULT} and line.financial_year = (
            select max(financial_year) from {{tables}}.transaction_lines as latest
            where latest.division = line.division)
        group by all order by line.division, -sum({_AMOUNT}) desc, 2
    """,
    "checks": f"""
        select line.division, 'Every entry sums to zero', 'error', 1 - (max(abs(entry.total)) > 0)::int,
            (max(abs(entry.total)) > 0)::int, 0, max(abs(entry.total)), 'A line is missing or was changed'
        from (
            select line.division, line.entry_id, sum({_AMOUNT}) as total {_LINES} group by all
        ) as entry join {{tables}}.divisions as line on line.division = entry.division
        group by line.division order by 1
    """,
}
"""The same questions to the tables."""
