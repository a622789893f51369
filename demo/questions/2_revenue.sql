-- Revenue of the last six months
with revenue as (
    select
        strftime(t.Date, '%Y-%m') as month,  -- the British year begins in April: only dates compare
        -sum(t.AmountDC) filter (where trim(d.Country) = 'NL') as dutch,
        -sum(t.AmountDC) filter (where trim(d.Country) = 'GB') as british
    from exact.transaction_lines as t
    join exact.gl_accounts as g on g.Division = t.Division and g.ID = t.GLAccount
    join exact.divisions as d on d.Division = t.Division
    where g.Type = 110 and t._ab_cdc_deleted_at is null  -- 110: revenue
        and t.Type not between 310 and 328  -- these close a year: they would take its revenue away
    group by month
    order by month desc
    limit 6
)
select
    month,
    dutch as "Netherlands, EUR",
    bar(dutch, 0, max(dutch) over (), 14) as " ",
    british as "Britain, GBP",
    bar(british, 0, max(british) over (), 14) as " "
from revenue
order by month
