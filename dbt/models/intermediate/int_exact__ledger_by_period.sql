{#- Sums of the lines by account and period, where there are lines. -#}
with lines as (

    select
        lines.division,
        accounts.gl_account_id,
        lines.fiscal_year,
        lines.fiscal_period,
        lines.amount_dc,
        lines.is_processed,
        lines.modified_at,
        lines.is_closing,
        lines.is_carry_over,
        {{ exact_online.is_counted_status('lines.is_processed') }} as is_counted_status,
        {{ exact_online.is_counted_type('lines', 'accounts') }} as is_counted_type
    from {{ ref('stg_exact__transaction_lines') }} as lines
    inner join {{ ref('int_exact__gl_accounts') }} as accounts
        on accounts.division = lines.division
        and accounts.gl_account_id = coalesce(lines.gl_account_id, {{ exact_online.no_account() }})
    where lines.gl_account_id is not null or lines.amount_dc <> 0

)

select
    division,
    gl_account_id,
    fiscal_year,
    fiscal_period,
    {{ exact_online.period_key('fiscal_year', 'fiscal_period') }} as period_key,
    {{ exact_online.sum_where('amount_dc', 'is_counted_status and is_counted_type and amount_dc > 0') }} as debit_dc,
    {{ exact_online.sum_where('-amount_dc', 'is_counted_status and is_counted_type and amount_dc < 0') }} as credit_dc,
    {{ exact_online.sum_where('amount_dc', 'is_counted_status and is_counted_type') }} as net_dc,
    {{ exact_online.sum_where('amount_dc', 'is_counted_status and is_closing') }} as year_end_entries_dc,
    {{ exact_online.sum_where('amount_dc', 'is_counted_status and not is_carry_over') }} as net_with_closing_dc,
    {{ exact_online.sum_where('amount_dc', 'is_counted_type') }} as after_entry_dc,
    {{ exact_online.sum_where('amount_dc', 'is_processed and is_counted_type') }} as processed_dc,
    {{ exact_online.sum_where('amount_dc', 'true') }} as all_entries_dc,
    {{ exact_online.sum_where('amount_dc', 'is_processed') }} as all_processed_dc,
    count(*) as line_count,
    max(modified_at) as last_modified_at
from lines
group by division, gl_account_id, fiscal_year, fiscal_period
