"""Write the tables of the documentation anew from the data files that the connector itself reads.

`python -m tools.document_tables` replaces what stands between `<!-- table: name -->` and `<!-- end of table -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import yaml

from source_exact_online.catalog.definitions import UNDOCUMENTED, catalog
from tools import stream_tables
from tools.reference import REPOSITORY
from tools.stream_tables import table

Document: TypeAlias = Any
"""What a YAML file holds."""

PACKAGE = REPOSITORY / "source_exact_online"
DOCUMENTS = (
    "docs/airbyte.md",
    "README.md",
    "docs/errors-and-limits.md",
    "docs/streams.md",
    "docs/meaning.md",
    "docs/erd.md",
    "docs/runners.md",
)

ERROR_ACTIONS = {
    "retry": "asked again with exponential back-off, then the stream ends incomplete",
    "wait": "asked again when the quota's window has ended",
    "refresh": "asked again with a new access token",
    "drop_column": "asked again without the column that the text names, one warning",
    "add_filter": "asked again with a filter on `Modified` that every row meets",
    "drop_filter": "asked again without the filter; rows are filtered here",
    "skip": "this stream is left out in this division, one warning; all others go on",
    "fail": "the stream ends incomplete in this division; all others go on",
    "stop": "the sync ends, as nothing can be read any more",
}
CLOSED_DIVISION = "all streams are left out in this division, a warning each; other divisions go on"
TOKEN_ACTIONS = {
    "wait": "the access token at hand stays in use, or asked again when the time has come",
    "log_in": "the sync ends: log in again",
    "correct_client": "the sync ends: correct the client id or secret",
    "retry": "whoever needs a token asks again later, as for any call; five times where Exact counts the answer",
    "report": "the sync ends and passes on what Exact says; not repeated",
}

_COUNT = re.compile(r"\d+ streams in all")
_BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def errors() -> str:
    """Return a table of what happens after an answer of a data endpoint that is not the rows asked for."""
    return _errors("api/errors.yaml", "action", ERROR_ACTIONS)


def token_errors() -> str:
    """Return a table of what happens after a refusal of the token endpoint."""
    return _errors("auth/token_errors.yaml", "action", TOKEN_ACTIONS)


def configuration() -> str:
    """Return a table of the fields of the configuration."""
    return table(("Field", "Default", "Meaning"), _fields(_load("spec.yaml")["connectionSpecification"], ""))


def user_mistakes() -> str:
    """Return a table of what people do wrong at first, and what they are told."""
    rows = yaml.safe_load((REPOSITORY / "integration_tests" / "user_mistakes.yaml").read_text(encoding="utf-8"))
    return table(
        ("What was done", "Exit code", "What you are told"),
        ((row["mistake"], str(row["exit"]), _told(row.get("says", ""))) for row in rows),
    )


def _told(words: str) -> str:
    return words.replace("{folder}", "…").rstrip(": ") if words else "nothing: it is understood"


TABLES: Mapping[str, Callable[[], str]] = {
    "streams": stream_tables.core_streams,
    "all_streams": stream_tables.all_streams,
    "more_columns": stream_tables.more_columns,
    "withdrawn_columns": stream_tables.withdrawn_columns,
    "codes": stream_tables.codes,
    "scopes": stream_tables.scopes,
    "left_out": stream_tables.left_out,
    "functions": stream_tables.functions,
    "diagram": stream_tables.diagram,
    "joins": stream_tables.joins,
    "key_maps": stream_tables.key_maps,
    "errors": errors,
    "token_errors": token_errors,
    "configuration": configuration,
    "user_mistakes": user_mistakes,
}


def with_tables(document: str) -> str:
    """Return a document with its tables, and the number of streams, as they should be."""
    documented = sum(one.group != UNDOCUMENTED for one in catalog().values())
    document = _COUNT.sub(f"{documented} streams in all", document)
    return _BLOCK.sub(lambda block: f"{block[1]}{TABLES[block[2]]()}{block[3]}", document)


def _fields(schema: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, str, str]]:
    for name, field in schema["properties"].items():
        if "properties" in field:
            yield from _fields(field, f"{prefix}{name}.")
            continue
        default = "required" if name in schema.get("required", ()) else _default(field.get("default"))
        values = f" One of {', '.join(f'`{value}`' for value in field['enum'])}." if "enum" in field else ""
        yield f"`{prefix}{name}`", default, field["description"] + values


def _default(value: object) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _errors(file: str, decision: str, meanings: Mapping[str, str]) -> str:
    rows = [
        (entry["name"], _condition(entry), _consequence(entry, decision, meanings), entry["message"])
        for entry in _load(file)
    ]
    return table(("Case", "Exact answers", "What happens", "What you are told"), rows)


def _consequence(entry: Mapping[str, Any], decision: str, meanings: Mapping[str, str]) -> str:
    return CLOSED_DIVISION if entry.get("concerns") == "division" else meanings[entry[decision]]


def _condition(entry: Mapping[str, Any]) -> str:
    if not entry.get("answered", True):
        return "found by the connector itself"
    conditions = [_statuses(entry["statuses"])] if "statuses" in entry else []
    if "body" in entry:
        conditions.append({"fault": "a gateway's fault"}.get(entry["body"], f"{entry['body']} body"))
    conditions += [f"{name} `{entry[name]}`" for name in ("reason", "text") if name in entry]
    return "; ".join(conditions) or "anything else"


def _statuses(statuses: Sequence[int]) -> str:
    return f"{statuses[0]}, {statuses[1]}, … {statuses[-1]}" if len(statuses) > 6 else ", ".join(map(str, statuses))


def _load(file: str) -> Document:
    return yaml.safe_load((PACKAGE / file).read_text(encoding="utf-8"))


def main() -> None:
    """Write the tables of all documents anew."""
    for name in DOCUMENTS:
        file = REPOSITORY / name
        file.write_text(with_tables(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
