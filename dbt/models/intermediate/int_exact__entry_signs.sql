{#-
    The sign of each entry of sales and purchases, from its control line (number 0, on the account of customers or suppliers):
    the ledger's signs are certain, those of the documents differ by endpoint.
-#}
with control_lines as (

    select
        lines.division,
        lines.fiscal_year,
        lines.journal_code,
        lines.entry_number,
        accounts.open_items as ledger,
        min(lines.posting_date) as posting_date,
        sum(case when accounts.open_items = 'payable' then -lines.amount_dc else lines.amount_dc end) as owed_dc
    from {{ ref('stg_exact__transaction_lines') }} as lines
    inner join {{ ref('int_exact__gl_accounts') }} as accounts
        on accounts.division = lines.division and accounts.gl_account_id = lines.gl_account_id
    where lines.is_header
        and (
            (accounts.open_items = 'receivable' and lines.entry_type in (20, 21))
            or (accounts.open_items = 'payable' and lines.entry_type in (30, 31))
        )
    group by lines.division, lines.fiscal_year, lines.journal_code, lines.entry_number, accounts.open_items

)

select
    division,
    ledger,
    fiscal_year,
    journal_code,
    entry_number,
    posting_date,
    {{ exact_online.sign_of('owed_dc') }} as ledger_sign
from control_lines
where owed_dc <> 0
