{{ exact_online.entries('purchase_entries', relation='Supplier') }}
