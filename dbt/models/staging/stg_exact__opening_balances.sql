{%- set streams = [
    ('current', true, 'opening_balance_current_year_after_entry'),
    ('current', false, 'opening_balance_current_year_processed'),
    ('previous', true, 'opening_balance_previous_year_after_entry'),
    ('previous', false, 'opening_balance_previous_year_processed'),
] %}

{%- for year, after_entry, stream in streams %}
select
    division,
    '{{ year }}' as relative_year,
    {{ after_entry }} as is_after_entry,
    reporting_year as fiscal_year,
    gl_account as gl_account_id,
    trim(gl_account_code) as gl_account_code,
    amount as amount_as_sent,
    balance_side,
    loaded_at
from (

    {{ exact_rows(
        stream, keys=['GLAccount', 'ReportingYear', 'Division'], integer=['Division', 'ReportingYear'],
        text=['GLAccount', 'GLAccountCode', 'BalanceSide'], amount=['Amount'],
    ) }}

) as {{ stream }}
{% if not loop.last %}union all{% endif %}
{%- endfor %}
