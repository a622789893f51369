-- Who owes most? Open balances of customers
with balance as (
    select t.division, t.account, sum(t.amount_dc) as amount, max(t.date) as latest
    from exact_online.transaction_lines as t
    join exact_online.gl_accounts as g on g.division = t.division and g.id = t.gl_account
    where g.type = 20  -- accounts receivable
    group by all
)
select
    b.division::varchar as division,
    a.name as customer,
    b.amount as open,
    trim(d.currency) as " ",
    strftime(b.latest, '%Y-%m-%d') as "last entry"
from balance as b
join exact_online.accounts as a on a.division = b.division and a.id = b.account
join exact_online.divisions as d on d.division = b.division
qualify row_number() over (partition by b.division order by b.amount desc) <= 3
order by d.division, b.amount desc
