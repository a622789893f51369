"""One target under atheris, which looks for inputs that reach new code: `python -m fuzz.guided pages`.

Atheris has to see the connector's modules as they are imported, so nothing here imports them before.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

import atheris


def main() -> None:
    """Fuzz the target named first on the command line; the rest are options of libFuzzer. Does not return."""
    name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["source_exact_online"]):
        from fuzz.mutations import corpus
        from fuzz.targets import target
    logging.disable(logging.CRITICAL)
    chosen = target(name)
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    for number, data in enumerate(corpus(chosen)):
        (folder / str(number)).write_bytes(data)
    words = folder.with_suffix(".dict")
    words.write_text("".join(f'"{_escaped(token)}"\n' for token in chosen.tokens if 0 < len(token) <= 64))
    atheris.Setup([sys.argv[0], *options, f"-dict={words}", "-max_len=8192", str(folder)], chosen.check)
    atheris.Fuzz()


def _escaped(data: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in data)


if __name__ == "__main__":
    main()
