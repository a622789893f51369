"""Benchmarks: what the connector costs beside the least that any program could, and beside others of its kind."""
