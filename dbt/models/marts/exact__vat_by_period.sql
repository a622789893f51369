{#- The VAT of a period: postings on VAT accounts. A VAT return (type 50) only moves the VAT of an earlier period. -#}
select
    ledger.division,
    coalesce(ledger.vat_code, 'none') as vat_code,
    ledger.gl_account_id,
    ledger.fiscal_year,
    ledger.fiscal_period,
    max(vat_codes.vat_name) as vat_name,
    max(vat_codes.vat_fraction) as vat_fraction,
    max(ledger.gl_account_code) as gl_account_code,
    max(ledger.gl_account_name) as gl_account_name,
    {{ exact_online.cents('-sum(ledger.amount_dc)') }} as to_pay_dc,
    count(*) as line_count
from {{ ref('exact__general_ledger') }} as ledger
left join {{ ref('stg_exact__vat_codes') }} as vat_codes
    on vat_codes.division = ledger.division and vat_codes.vat_code = ledger.vat_code
where ledger.account_type = 24
    and ledger.entry_type <> 50
    and not ledger.is_opening
    and not ledger.is_carry_over
group by
    ledger.division, coalesce(ledger.vat_code, 'none'), ledger.gl_account_id, ledger.fiscal_year, ledger.fiscal_period
