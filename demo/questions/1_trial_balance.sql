-- Do the books balance? Debits and credits of the ledger
select
    d.description as administration,
    sum(t.amount_dc) filter (where t.amount_dc > 0) as debit,
    -sum(t.amount_dc) filter (where t.amount_dc < 0) as credit,
    sum(t.amount_dc)::decimal(18, 2) as difference,  -- Exact's numbers are binary: some are a hair off a cent
    trim(d.currency) as " "
from exact_online.transaction_lines as t
join exact_online.divisions as d on d.division = t.division
group by d.division, d.description, d.currency
order by d.division
