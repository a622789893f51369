"""Streams: the catalogue, partitions (stream x division), cursors and the scheduler that reads them."""
