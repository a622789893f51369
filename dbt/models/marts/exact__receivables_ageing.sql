{{ exact_online.ageing(ref('exact__receivables_open_items')) }}
