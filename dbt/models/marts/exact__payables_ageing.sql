{{ exact_online.ageing(ref('exact__payables_open_items')) }}
