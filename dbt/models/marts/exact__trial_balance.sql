select
    division,
    gl_account_id,
    fiscal_year,
    fiscal_period,
    period_end,
    gl_account_code,
    gl_account_name,
    account_type,
    balance_type,
    section,
    after_entry_dc as after_entry_movement_dc,
    after_entry_balance_dc,
    processed_dc as processed_movement_dc,
    processed_balance_dc,
    after_entry_balance_dc - processed_balance_dc as not_processed_dc
from {{ ref('exact__general_ledger_by_period') }}
