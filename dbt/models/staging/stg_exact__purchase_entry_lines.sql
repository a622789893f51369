{{ exact_online.entry_lines('purchase_entry_lines') }}
