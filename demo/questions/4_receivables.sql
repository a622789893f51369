-- Who owes most? Open balances of customers
with balance as (
    select t.Division, t.Account, sum(t.AmountDC) as amount, max(t.Date) as latest
    from exact.transaction_lines as t
    join exact.gl_accounts as g on g.Division = t.Division and g.ID = t.GLAccount
    where g.Type = 20 and t._ab_cdc_deleted_at is null  -- 20: accounts receivable
    group by all
)
select
    b.Division::varchar as division,
    a.Name as customer,
    b.amount as open,
    trim(d.Currency) as " ",
    strftime(b.latest, '%Y-%m-%d') as "last entry"
from balance as b
join exact.accounts as a on a.Division = b.Division and a.ID = b.Account
join exact.divisions as d on d.Division = b.Division
qualify row_number() over (partition by b.Division order by b.amount desc) <= 3
order by d.Division, b.amount desc
