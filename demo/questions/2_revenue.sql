-- Revenue of the last six months
with revenue as (
    select
        strftime(t.date, '%Y-%m') as month,  -- the British year begins in April: only dates compare
        -sum(t.amount_dc) filter (where trim(d.country) = 'NL') as dutch,
        -sum(t.amount_dc) filter (where trim(d.country) = 'GB') as british
    from exact_online.transaction_lines as t
    join exact_online.gl_accounts as g on g.division = t.division and g.id = t.gl_account
    join exact_online.divisions as d on d.division = t.division
    where g.type = 110  -- revenue
        and t.type not between 310 and 328  -- these close a year: they would take its revenue away
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
