{{ exact_online.detail_equals_ledger(ref('exact__sales_detail'), entry_types=[20, 21], sign=-1) }}
