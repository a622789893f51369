with financial_periods as (

    {{ exact_rows(
        'financial_periods', integer=['Division', 'FinYear', 'FinPeriod'], text=['ID'], date=['StartDate', 'EndDate'],
    ) }}

)

select
    division,
    fin_year as fiscal_year,
    fin_period as fiscal_period,
    min(start_date) as period_start,
    max(end_date) as period_end
from financial_periods
group by division, fin_year, fin_period
