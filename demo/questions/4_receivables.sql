-- Who owes most? Balances of customers on the receivables account
select
    d.Description as administration,
    a.Name as customer,
    sum(t.AmountDC) as open,
    trim(d.Currency) as currency,
    max(t.Date)::date::varchar as "last entry"
from exact.transaction_lines as t
join exact.gl_accounts as g on g.Division = t.Division and g.ID = t.GLAccount
join exact.accounts as a on a.Division = t.Division and a.ID = t.Account
join exact.divisions as d on d.Division = t.Division
where g.Type = 20 and t._ab_cdc_deleted_at is null  -- 20: accounts receivable
group by all
qualify row_number() over (partition by administration order by open desc) <= 3
order by administration, open desc
