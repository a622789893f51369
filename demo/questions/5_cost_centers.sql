-- Which cost centers earned most this year
select
    t.Division::varchar as division,
    c.Code || ' ' || c.Description as "cost center",
    -sum(t.AmountDC) filter (where g.Type = 110) as revenue,
    sum(t.AmountDC) filter (where g.Type <> 110) as costs,
    -sum(t.AmountDC) as result,
    trim(d.Currency) as " "
from exact.transaction_lines as t
join exact.gl_accounts as g on g.Division = t.Division and g.ID = t.GLAccount
join exact.cost_centers as c on c.Division = t.Division and c.Code = t.CostCenter
join exact.divisions as d on d.Division = t.Division
where t._ab_cdc_deleted_at is null
    and t.Type not between 310 and 328  -- not what closes a year
    and t.FinancialYear = (select max(m.FinancialYear) from exact.transaction_lines as m where m.Division = t.Division)
group by t.Division, d.Currency, c.Code, c.Description
qualify row_number() over (partition by t.Division order by -sum(t.AmountDC) desc) <= 3
order by t.Division, result desc
