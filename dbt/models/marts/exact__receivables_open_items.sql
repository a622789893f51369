{{ exact_online.open_items('receivable') }}
