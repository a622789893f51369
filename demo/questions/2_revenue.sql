-- Revenue of the last six months
with revenue as (
    select t.Division, t.FinancialYear, t.FinancialPeriod, -sum(t.AmountDC) as amount
    from exact.transaction_lines as t
    join exact.gl_accounts as g on g.Division = t.Division and g.ID = t.GLAccount
    where g.Type = 110 and t._ab_cdc_deleted_at is null  -- 110: revenue
    group by all
)
select
    p.FinYear || '-' || lpad(p.FinPeriod::varchar, 2, '0') as period,
    d.Description as administration,
    r.amount as revenue,
    trim(d.Currency) as currency,
    bar(r.amount, 0, max(r.amount) over (), 20) as " "
from exact.financial_periods as p
join exact.divisions as d on d.Division = p.Division
join revenue as r on (r.Division, r.FinancialYear, r.FinancialPeriod) = (p.Division, p.FinYear, p.FinPeriod)
where p.StartDate > today() - interval 6 month
order by administration, period
