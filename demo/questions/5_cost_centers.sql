-- Which cost centers earned most this year
select
    t.division::varchar as division,
    c.code || ' ' || c.description as "cost center",
    -sum(t.amount_dc) filter (where g.type = 110) as revenue,
    sum(t.amount_dc) filter (where g.type <> 110) as costs,
    -sum(t.amount_dc) as result,
    trim(d.currency) as " "
from exact_online.transaction_lines as t
join exact_online.gl_accounts as g on g.division = t.division and g.id = t.gl_account
join exact_online.cost_centers as c on c.division = t.division and c.code = t.cost_center
join exact_online.divisions as d on d.division = t.division
where t.type not between 310 and 328  -- not what closes a year
    and t.financial_year = (
        select max(m.financial_year) from exact_online.transaction_lines as m where m.division = t.division
    )
group by t.division, d.currency, c.code, c.description
qualify row_number() over (partition by t.division order by -sum(t.amount_dc) desc) <= 3
order by t.division, result desc
