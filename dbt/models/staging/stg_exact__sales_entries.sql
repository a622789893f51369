{{ exact_online.entries('sales_entries', relation='Customer') }}
