{#-
    Payment terms with an amount that can be trusted. Exact does not say which sign and which size AmountDC has, so the
    sign comes from the ledger line. The size comes from the whole transaction where the term is its only one, or the only
    one of which nothing is left.
-#}
with terms as (

    select
        terms.*,
        count(*) over line as terms_of_line,
        terms.status = 50 and terms.amount_dc_as_sent = 0 as is_spent,
        count(*) filter (where terms.status = 50 and terms.amount_dc_as_sent = 0) over line as spent_terms_of_line,
        abs(terms.transaction_amount_dc_as_sent) - sum(abs(terms.amount_dc_as_sent)) over line as spent_dc
    from {{ ref('stg_exact__payment_terms') }} as terms
    window line as (partition by terms.division, terms.ledger, terms.line_id)

)

select
    terms.division,
    terms.ledger,
    terms.term_id,
    terms.line_id,
    terms.relation_id,
    terms.status,
    terms.invoice_number,
    terms.invoice_date,
    terms.due_date,
    terms.end_date,
    terms.payment_condition,
    terms.payment_method,
    terms.status in (30, 40) as is_in_transit,
    terms.terms_of_line,
    terms.amount_dc_as_sent,
    terms.transaction_amount_dc_as_sent,
    lines.owed_dc as line_owed_dc,
    cast(
        case when lines.owed_dc < 0 then -1 else 1 end
        * case
            when terms.terms_of_line = 1 then abs(coalesce(terms.transaction_amount_dc_as_sent, terms.amount_dc_as_sent))
            when terms.is_spent and terms.spent_terms_of_line = 1 then terms.spent_dc
            else abs(terms.amount_dc_as_sent)
        end
        as decimal(18, 2)
    ) as owed_dc,
    -- Where Exact sends remainders, two spent terms of a line share what is gone: nobody knows how.
    not terms.is_spent or terms.spent_terms_of_line = 1 or terms.terms_of_line = 1 or terms.spent_dc = 0 as is_size_known
from terms
left join {{ ref('int_exact__control_lines') }} as lines
    on lines.division = terms.division and lines.line_id = terms.line_id
