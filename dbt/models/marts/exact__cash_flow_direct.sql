{#-
    Direct: each amount of cash by what it was received or paid for. A line of a bank statement is a pair in the ledger, a line on
    the account of cash and its counterpart in the same entry, with the same text and the opposite amount. Where a cash line
    has no such counterpart, as a cost that is paid with its VAT, the lines of its entry that are no part of a pair are its
    counterparts. Lines beside pairs alone, such as a payment difference, are no cash.
-#}
with cash_entries as (

    select distinct lines.division, lines.entry_id
    from {{ ref('stg_exact__transaction_lines') }} as lines
    inner join {{ ref('int_exact__gl_accounts') }} as accounts
        on accounts.division = lines.division and accounts.gl_account_id = lines.gl_account_id
    where accounts.is_cash

),

lines as (

    select
        lines.division,
        lines.entry_id,
        lines.line_id,
        lines.fiscal_year,
        lines.fiscal_period,
        lines.amount_dc,
        lines.is_opening,
        accounts.is_cash,
        case
            when accounts.balance_type = 'W' then 'operating'
            else coalesce(nullif(nullif(accounts.cash_flow_section, 'result'), 'none'), 'operating')
        end as section,
        accounts.subsection,
        row_number() over (
            partition by
                lines.division, lines.entry_id, accounts.is_cash, coalesce(lines.description, ''), lines.amount_dc
            order by lines.line_number, lines.line_id
        ) as occurrence,
        coalesce(lines.description, '') as description
    from {{ ref('stg_exact__transaction_lines') }} as lines
    inner join cash_entries on cash_entries.division = lines.division and cash_entries.entry_id = lines.entry_id
    inner join {{ ref('int_exact__gl_accounts') }} as accounts
        on accounts.division = lines.division
        and accounts.gl_account_id = coalesce(lines.gl_account_id, {{ exact_online.no_account() }})
    where lines.amount_dc <> 0
        and not lines.is_carry_over
        and {{ exact_online.is_counted_status('lines.is_processed') }}

),

pairs as (

    select cash.division, cash.entry_id, cash.line_id as cash_line_id, counterpart.line_id as counterpart_line_id
    from lines as cash
    inner join lines as counterpart
        on counterpart.division = cash.division
        and counterpart.entry_id = cash.entry_id
        and counterpart.description = cash.description
        and counterpart.amount_dc = -cash.amount_dc
        and counterpart.occurrence = cash.occurrence
    where cash.is_cash and not counterpart.is_cash

),

unpaired_entries as (

    select distinct lines.division, lines.entry_id
    from lines
    left join pairs on pairs.division = lines.division and pairs.cash_line_id = lines.line_id
    where lines.is_cash and pairs.cash_line_id is null

),

counterparts as (

    select lines.*
    from lines
    left join pairs on pairs.division = lines.division and pairs.counterpart_line_id = lines.line_id
    left join unpaired_entries
        on unpaired_entries.division = lines.division and unpaired_entries.entry_id = lines.entry_id
    where not lines.is_cash
        and (pairs.counterpart_line_id is not null or unpaired_entries.entry_id is not null)

),

flows as (

    -- An opening balance is cash that was there before.
    select
        division,
        fiscal_year,
        fiscal_period,
        case when is_opening then 'opening' else section end as section,
        case when is_opening then 'Opening balance' else subsection end as subsection,
        -amount_dc as amount_dc
    from counterparts

)

select
    flows.division,
    flows.fiscal_year,
    flows.fiscal_period,
    flows.section,
    flows.subsection,
    max(periods.period_start) as period_start,
    max(periods.period_end) as period_end,
    {{ exact_online.sum_where('flows.amount_dc', 'flows.amount_dc > 0') }} as received_dc,
    {{ exact_online.sum_where('-flows.amount_dc', 'flows.amount_dc < 0') }} as paid_dc,
    {{ exact_online.cents('sum(flows.amount_dc)') }} as amount_dc
from flows
inner join {{ ref('int_exact__periods') }} as periods
    on periods.division = flows.division
    and periods.fiscal_year = flows.fiscal_year
    and periods.fiscal_period = flows.fiscal_period
group by flows.division, flows.fiscal_year, flows.fiscal_period, flows.section, flows.subsection
