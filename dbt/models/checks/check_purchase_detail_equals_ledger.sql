{#- By entry: the lines of the ledger but the control account's and VAT's. -#}
with ledger as (

    select
        division,
        fiscal_year,
        journal_code,
        entry_number,
        sum(amount_dc) as net_dc
    from {{ ref('exact__general_ledger') }}
    where entry_type in (30, 31)
        and coalesce(account_type, 0) not in (20, 21, 22, 24)
    group by division, fiscal_year, journal_code, entry_number

),

detail as (

    select division, fiscal_year, journal_code, document_number, sum(net_dc) as net_dc
    from {{ ref('exact__purchase_detail') }}
    group by division, fiscal_year, journal_code, document_number

)

select
    ledger.division,
    ledger.fiscal_year,
    cast(null as bigint) as fiscal_period,
    cast(null as date) as as_of_date,
    sum(ledger.net_dc) as expected,
    coalesce(sum(detail.net_dc), 0) as found,
    sum(abs(ledger.net_dc - coalesce(detail.net_dc, 0))) as difference,
    true as is_comparable,
    cast(count(*) filter (where ledger.net_dc <> coalesce(detail.net_dc, 0)) as text) || ' of '
    || cast(count(*) as text) || ' entries differ' as detail
from ledger
left join detail
    on detail.division = ledger.division
    and detail.journal_code = ledger.journal_code
    and detail.document_number = ledger.entry_number
    and coalesce(detail.fiscal_year = ledger.fiscal_year, true)
where ledger.division in (select division from detail)
group by ledger.division, ledger.fiscal_year
