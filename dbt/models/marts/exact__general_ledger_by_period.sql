{#- Every account has a row in each period from its first posting on, so that balances can be read off any of them. -#}
with ledger as (

    select * from {{ ref('int_exact__ledger_by_period') }}

),

first_periods as (

    select division, gl_account_id, min(period_key) as first_key
    from ledger
    group by division, gl_account_id

),

last_periods as (

    select
        division,
        max(period_key) filter (where is_posted or period_start <= {{ exact_online.today() }}) as last_key
    from {{ ref('int_exact__periods') }}
    group by division

),

spine as (

    select
        periods.division,
        first_periods.gl_account_id,
        periods.fiscal_year,
        periods.fiscal_period,
        periods.period_key,
        periods.period_start,
        periods.period_end
    from {{ ref('int_exact__periods') }} as periods
    inner join last_periods on last_periods.division = periods.division and periods.period_key <= last_periods.last_key
    inner join first_periods on first_periods.division = periods.division and periods.period_key >= first_periods.first_key

),

balances as (

    select
        spine.*,
        accounts.gl_account_code,
        accounts.gl_account_name,
        accounts.account_type,
        accounts.balance_type,
        accounts.section,
        accounts.subsection,
        accounts.sort_order,
        accounts.classification_code,
        accounts.classification_path,
        accounts.is_technical,
        {{ exact_online.cents('coalesce(ledger.debit_dc, 0)') }} as debit_dc,
        {{ exact_online.cents('coalesce(ledger.credit_dc, 0)') }} as credit_dc,
        {{ exact_online.cents('coalesce(ledger.net_dc, 0)') }} as net_dc,
        {{ exact_online.cents('coalesce(ledger.year_end_entries_dc, 0)') }} as year_end_entries_dc,
        {{ exact_online.cents('coalesce(ledger.net_with_closing_dc, 0)') }} as net_with_closing_dc,
        {{ exact_online.cents('coalesce(ledger.after_entry_dc, 0)') }} as after_entry_dc,
        {{ exact_online.cents('coalesce(ledger.processed_dc, 0)') }} as processed_dc,
        coalesce(ledger.line_count, 0) as line_count,
        {%- for sum in ['net', 'after_entry', 'processed'] %}
        cast(sum(coalesce(ledger.{{ sum }}_dc, 0)) over balance as decimal(18, 2)) as {{ sum }}_balance_dc{{ ',' if not loop.last }}
        {%- endfor %}
    from spine
    inner join {{ ref('int_exact__gl_accounts') }} as accounts
        on accounts.division = spine.division and accounts.gl_account_id = spine.gl_account_id
    left join ledger
        on ledger.division = spine.division
        and ledger.gl_account_id = spine.gl_account_id
        and ledger.period_key = spine.period_key
    window balance as (
        partition by
            spine.division, spine.gl_account_id, case when accounts.balance_type = 'W' then spine.fiscal_year end
        order by spine.period_key
    )

)

select
    division,
    gl_account_id,
    fiscal_year,
    fiscal_period,
    period_key,
    period_start,
    period_end,
    gl_account_code,
    gl_account_name,
    account_type,
    balance_type,
    section,
    subsection,
    sort_order,
    classification_code,
    classification_path,
    is_technical,
    net_balance_dc - net_dc as opening_balance_dc,
    debit_dc,
    credit_dc,
    net_dc,
    net_balance_dc as closing_balance_dc,
    year_end_entries_dc,
    net_with_closing_dc,
    after_entry_dc,
    processed_dc,
    after_entry_balance_dc,
    processed_balance_dc,
    line_count
from balances
