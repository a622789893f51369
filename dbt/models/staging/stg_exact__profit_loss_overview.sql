with profit_loss_overview as (

    {{ exact_rows(
        'profit_loss_overview', keys=['CurrentYear', 'Division'],
        integer=['Division', 'CurrentYear', 'CurrentPeriod', 'PreviousYear', 'PreviousYearPeriod'],
        amount=[
            'RevenueCurrentYear', 'CostsCurrentYear', 'ResultCurrentYear', 'RevenuePreviousYear', 'CostsPreviousYear',
            'ResultPreviousYear', 'RevenueCurrentPeriod', 'CostsCurrentPeriod', 'ResultCurrentPeriod',
        ],
    ) }}

)

select
    division,
    current_year,
    current_period,
    previous_year,
    revenue_current_year,
    costs_current_year,
    result_current_year,
    revenue_previous_year,
    costs_previous_year,
    result_previous_year,
    revenue_current_period,
    costs_current_period,
    result_current_period,
    loaded_at
from profit_loss_overview
