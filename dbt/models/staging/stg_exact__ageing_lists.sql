{%- for ledger, stream in [('receivable', 'aging_receivables_list'), ('payable', 'aging_payables_list')] %}
select
    division,
    '{{ ledger }}' as ledger,
    account_id as relation_id,
    trim(currency_code) as currency,
    age_group1_amount as days_0_to_30_as_sent,
    age_group2_amount as days_31_to_60_as_sent,
    age_group3_amount as days_61_to_90_as_sent,
    age_group4_amount as days_over_90_as_sent,
    total_amount as total_as_sent,
    loaded_at
from (

    {{ exact_rows(
        stream, keys=['AccountId', 'Division'], integer=['Division'], text=['AccountId', 'CurrencyCode'],
        amount=['AgeGroup1Amount', 'AgeGroup2Amount', 'AgeGroup3Amount', 'AgeGroup4Amount', 'TotalAmount'],
    ) }}

) as {{ stream }}
{% if not loop.last %}union all{% endif %}
{%- endfor %}
