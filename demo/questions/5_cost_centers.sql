-- What each cost center earned this year
select
    d.Description as administration,
    trim(c.Code) || ' ' || c.Description as "cost center",
    -sum(t.AmountDC) filter (where g.Type = 110) as revenue,
    sum(t.AmountDC) filter (where g.Type <> 110) as costs,
    -sum(t.AmountDC) as result,
    trim(d.Currency) as currency
from exact.transaction_lines as t
join exact.gl_accounts as g on g.Division = t.Division and g.ID = t.GLAccount
join exact.cost_centers as c on c.Division = t.Division and c.Code = t.CostCenter
join exact.divisions as d on d.Division = t.Division
where t.FinancialYear = year(today()) and t._ab_cdc_deleted_at is null
group by all
order by administration, "cost center"
