"""``python -m exact_online_sandbox``."""

from __future__ import annotations

from exact_online_sandbox.cli import main

if __name__ == "__main__":
    main()
