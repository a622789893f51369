{{ exact_online.detail_equals_ledger(ref('exact__purchase_detail'), entry_types=[30, 31], sign=1) }}
