{#- Lines on the accounts of customers and suppliers, with the sign of a debt: positive is owed to us, or by us. -#}
select
    lines.division,
    accounts.open_items as ledger,
    case when accounts.open_items = 'payable' then -1 else 1 end as ledger_sign,
    lines.gl_account_id,
    lines.relation_id,
    lines.invoice_number,
    lines.line_id,
    lines.posting_date,
    lines.due_date,
    lines.currency,
    lines.entry_type in (10, 20, 21, 30, 31, 90) as is_document,
    {{ exact_online.cents("lines.amount_dc * case when accounts.open_items = 'payable' then -1 else 1 end") }} as owed_dc,
    {{ exact_online.cents("lines.amount_fc * case when accounts.open_items = 'payable' then -1 else 1 end") }} as owed_fc
from {{ ref('stg_exact__transaction_lines') }} as lines
inner join {{ ref('int_exact__gl_accounts') }} as accounts
    on accounts.division = lines.division and accounts.gl_account_id = lines.gl_account_id
where accounts.open_items is not null
    and not lines.is_carry_over
    and {{ exact_online.is_counted_status('lines.is_processed') }}
