-- Do the books balance? Debits and credits of the general ledger
select
    d.Description as administration,
    count(distinct t.EntryID) as entries,
    sum(t.AmountDC) filter (where t.AmountDC > 0) as debit,
    -sum(t.AmountDC) filter (where t.AmountDC < 0) as credit,
    round(sum(t.AmountDC), 2) as difference,
    trim(d.Currency) as " "
from exact.transaction_lines as t
join exact.divisions as d on d.Division = t.Division
where t._ab_cdc_deleted_at is null
group by d.Division, d.Description, d.Currency
order by d.Division
