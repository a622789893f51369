{#- Exact does not say whether a credit balance is negative, or positive beside BalanceSide C: what fits better is told. -#}
with exact as (

    select
        division,
        relative_year,
        is_after_entry,
        fiscal_year,
        gl_account_id,
        amount_as_sent as signed_dc,
        case when balance_side = 'C' then -amount_as_sent else amount_as_sent end as by_side_dc,
        loaded_at
    from {{ ref('stg_exact__opening_balances') }}

),

questions as (

    select division, relative_year, is_after_entry, fiscal_year, min(loaded_at) as loaded_at
    from exact
    group by division, relative_year, is_after_entry, fiscal_year

),

ledger as (

    select
        questions.division,
        questions.relative_year,
        questions.is_after_entry,
        questions.fiscal_year,
        sums.gl_account_id,
        sum(case when questions.is_after_entry then sums.after_entry_dc else sums.processed_dc end) as amount_dc,
        bool_or(sums.last_modified_at > questions.loaded_at) as is_changed
    from questions
    inner join {{ ref('int_exact__ledger_by_period') }} as sums
        on sums.division = questions.division and sums.fiscal_year < questions.fiscal_year
    inner join {{ ref('int_exact__gl_accounts') }} as accounts
        on accounts.division = sums.division and accounts.gl_account_id = sums.gl_account_id and accounts.balance_type = 'B'
    group by
        questions.division, questions.relative_year, questions.is_after_entry, questions.fiscal_year, sums.gl_account_id

),

compared as (

    select
        coalesce(exact.division, ledger.division) as division,
        coalesce(exact.relative_year, ledger.relative_year) as relative_year,
        coalesce(exact.is_after_entry, ledger.is_after_entry) as is_after_entry,
        coalesce(exact.fiscal_year, ledger.fiscal_year) as fiscal_year,
        coalesce(exact.signed_dc, 0) as signed_dc,
        coalesce(exact.by_side_dc, 0) as by_side_dc,
        coalesce(ledger.amount_dc, 0) as amount_dc,
        coalesce(ledger.is_changed, false) as is_changed
    from exact
    full outer join ledger
        on ledger.division = exact.division
        and ledger.relative_year = exact.relative_year
        and ledger.is_after_entry = exact.is_after_entry
        and ledger.fiscal_year = exact.fiscal_year
        and ledger.gl_account_id = exact.gl_account_id

),

totals as (

    select
        division,
        relative_year,
        is_after_entry,
        fiscal_year,
        coalesce(sum(signed_dc) filter (where signed_dc > 0), 0) as signed_dc,
        coalesce(sum(by_side_dc) filter (where by_side_dc > 0), 0) as by_side_dc,
        coalesce(sum(amount_dc) filter (where amount_dc > 0), 0) as amount_dc,
        sum(abs(signed_dc - amount_dc)) as signed_difference,
        sum(abs(by_side_dc - amount_dc)) as by_side_difference,
        bool_or(is_changed) as is_changed
    from compared
    group by division, relative_year, is_after_entry, fiscal_year

)

select
    division,
    fiscal_year,
    cast(null as bigint) as fiscal_period,
    cast(null as date) as as_of_date,
    case when signed_difference <= by_side_difference then signed_dc else by_side_dc end as expected,
    amount_dc as found,
    least(signed_difference, by_side_difference) as difference,
    not is_changed as is_comparable,
    case when is_after_entry then 'after entry' else 'processed' end || ': '
    || case when signed_difference <= by_side_difference then 'credit is negative' else 'the sign is in BalanceSide' end as detail
from totals
