with lines as (

    select *
    from {{ ref('stg_exact__transaction_lines') }}
    where {{ exact_online.is_counted_status('is_processed') }}
        and (gl_account_id is not null or amount_dc <> 0)

)

select
    lines.division,
    divisions.division_name,
    divisions.base_currency,
    lines.line_id,
    lines.entry_id,
    lines.entry_number,
    lines.line_number,
    lines.entry_type,
    lines.entry_type_name,
    lines.is_header,
    lines.is_opening,
    lines.is_closing,
    lines.is_carry_over,
    lines.is_processed,
    lines.journal_code,
    journals.journal_name,
    lines.posting_date,
    lines.fiscal_year,
    lines.fiscal_period,
    accounts.gl_account_id,
    accounts.gl_account_code,
    accounts.gl_account_name,
    accounts.account_type,
    accounts.balance_type,
    accounts.section,
    accounts.subsection,
    accounts.classification_code,
    accounts.classification_path,
    lines.relation_id,
    relations.relation_code,
    coalesce(relations.relation_name, lines.relation_name) as relation_name,
    lines.description,
    lines.amount_dc,
    case when lines.amount_dc > 0 then lines.amount_dc else 0 end as debit_dc,
    case when lines.amount_dc < 0 then -lines.amount_dc else 0 end as credit_dc,
    {{ exact_online.is_counted_type('lines', 'accounts') }} as is_counted,
    cast(sum(
        case when {{ exact_online.is_counted_type('lines', 'accounts') }} then lines.amount_dc else 0 end
    ) over (
        partition by
            lines.division, accounts.gl_account_id, case when accounts.balance_type = 'W' then lines.fiscal_year end
        order by
            lines.fiscal_year, lines.fiscal_period, lines.posting_date, lines.entry_number, lines.line_number, lines.line_id
        rows between unbounded preceding and current row
    ) as decimal(18, 2)) as running_balance_dc,
    lines.amount_fc,
    lines.currency,
    lines.exchange_rate,
    lines.vat_code,
    lines.vat_fc,
    lines.vat_base_fc,
    lines.cost_center_code,
    cost_centers.name as cost_center_name,
    lines.cost_unit_code,
    cost_units.name as cost_unit_name,
    lines.project_id,
    projects.project_code,
    lines.item_id,
    items.item_code,
    lines.quantity,
    lines.invoice_number,
    lines.order_number,
    lines.your_ref,
    lines.payment_reference,
    lines.due_date,
    lines.offset_line_id,
    lines.modified_at
from lines
inner join {{ ref('int_exact__gl_accounts') }} as accounts
    on accounts.division = lines.division
    and accounts.gl_account_id = coalesce(lines.gl_account_id, {{ exact_online.no_account() }})
left join {{ ref('stg_exact__divisions') }} as divisions on divisions.division = lines.division
left join {{ ref('stg_exact__journals') }} as journals
    on journals.division = lines.division and journals.journal_code = lines.journal_code
left join {{ ref('stg_exact__accounts') }} as relations
    on relations.division = lines.division and relations.relation_id = lines.relation_id
left join {{ ref('stg_exact__dimensions') }} as cost_centers
    on cost_centers.division = lines.division
    and cost_centers.dimension = 'cost_center'
    and cost_centers.code = lines.cost_center_code
left join {{ ref('stg_exact__dimensions') }} as cost_units
    on cost_units.division = lines.division
    and cost_units.dimension = 'cost_unit'
    and cost_units.code = lines.cost_unit_code
left join {{ ref('stg_exact__projects') }} as projects
    on projects.division = lines.division and projects.project_id = lines.project_id
left join {{ ref('stg_exact__items') }} as items on items.division = lines.division and items.item_id = lines.item_id
