"""Record what a real Exact Online answers, without anything personal, and see which open questions that answers.

`make record RECORD_ARGS="--config config.json"` for a login; `make record` rehearses it against the sandbox.
"""
