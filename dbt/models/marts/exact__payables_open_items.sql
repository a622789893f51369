{{ exact_online.open_items('payable') }}
