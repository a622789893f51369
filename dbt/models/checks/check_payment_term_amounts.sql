{#- Is AmountDC of a term its size, or what is left of it? Each line tells; all must tell the same. -#}
with lines as (

    select
        division,
        ledger,
        line_id,
        sum(abs(amount_dc_as_sent)) as amount_dc,
        max(abs(transaction_amount_dc_as_sent)) as transaction_dc,
        coalesce(sum(abs(amount_dc_as_sent)) filter (where status = 50), 0) as matched_dc,
        count(*) filter (where status = 50) as matched_terms,
        count(*) filter (where amount_dc_as_sent * line_owed_dc < 0) as mirrored_terms
    from {{ ref('int_exact__terms') }}
    where line_id is not null and transaction_amount_dc_as_sent is not null
    group by division, ledger, line_id

),

readings as (

    select
        division,
        ledger,
        count(*) filter (where amount_dc <> transaction_dc) as no_size,
        count(*) filter (where matched_dc <> 0 or amount_dc > transaction_dc or (matched_terms = 0 and amount_dc <> transaction_dc)) as no_remainder,
        sum(mirrored_terms) as mirrored_terms
    from lines
    group by division, ledger

)

select
    division,
    cast(null as bigint) as fiscal_year,
    cast(null as bigint) as fiscal_period,
    cast(null as date) as as_of_date,
    cast(0 as decimal(18, 2)) as expected,
    least(no_size, no_remainder) as found,
    least(no_size, no_remainder) as difference,
    true as is_comparable,
    ledger || ': AmountDC is ' || case when no_size <= no_remainder then 'the size of a term' else 'what is left of a term' end
    || case when mirrored_terms > 0 then ', with the other sign than the ledger' else ', with the sign of a debt' end as detail
from readings
