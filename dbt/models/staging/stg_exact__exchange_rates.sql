with exchange_rates as (

    {{ exact_rows(
        'exchange_rates', integer=['Division'], text=['ID', 'SourceCurrency', 'TargetCurrency'], number=['Rate'], date=['StartDate'],
    ) }}

)

select
    division,
    id as rate_id,
    trim(source_currency) as source_currency,
    trim(target_currency) as target_currency,
    rate,
    start_date,
    modified_at
from exchange_rates
