{{ exact_online.entry_lines('sales_entry_lines') }}
