"""What the documentation shows of the streams: tables and a diagram, made from the catalogue and the reference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import yaml

from tools.generate_catalog import CATALOG_FILE, CatalogGenerator, load_generator
from tools.reference import REPOSITORY, Endpoint, at_address
from tools.relations import referred

Stream = Mapping[str, Any]

GROUP_TITLES = {
    "accounting": "Accounting",
    "crm": "Relations (CRM)",
    "sales": "Sales",
    "purchase": "Purchase",
    "inventory": "Items and inventory",
    "projects": "Projects",
    "hrm": "Personnel (HRM)",
    "payroll": "Payroll",
    "manufacturing": "Manufacturing",
    "documents": "Documents",
    "undocumented": "Undocumented",
}
_FOR_ALL = (("deleted", "deleted rows of all streams"), ("sync_timestamp", "where feeds start (SyncTimestamp)"))
"""Services of endpoints.yaml that need a scope, and what for."""


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "\\<")


@cache
def _generator() -> CatalogGenerator:
    return load_generator()


def _reference() -> Mapping[str, Endpoint]:
    return _generator().reference


@cache
def _catalog() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(CATALOG_FILE.read_text(encoding="utf-8"))
    return document


def _streams() -> list[Stream]:
    streams: list[Stream] = _catalog()["streams"]
    return streams


def core_streams() -> str:
    """Return a table of the streams that most users load."""
    reference, core = _reference(), _generator().overlay.core
    rows = [
        (
            _columns(stream, "docs/"),
            stream["title"],
            at_address(reference, stream["path"]).kind,
            f"`{stream['cursor']}`" if _is_incremental(stream) else "none: read whole",
            _deletions(stream),
        )
        for stream in _streams()
        if stream["name"] in core
    ]
    return table(("Stream", "Its rows", "Endpoint", "Cursor", "Deletions"), rows)


def _columns(stream: Stream, folder: str) -> str:
    """Return a stream's name, linked to its columns on the page that tools/column_pages.py writes."""
    return f"[`{stream['name']}`]({folder}columns/{stream['group']}.md#{stream['name']})"


def all_streams() -> str:
    """Return a table of the streams of each group."""
    columns = ("Stream", "Its rows", "Endpoint", "Key", "Cursor", "Deletions", "Scope", "Rows a call")
    parts = []
    for group in _generator().overlay.group_order:
        streams = sorted((one for one in _streams() if one["group"] == group), key=lambda one: str(one["name"]))
        parts.append(f"\n### {GROUP_TITLES[group]}\n\n{table(columns, map(_row, streams))}")
    return "".join(parts) + "\n"


def _row(stream: Stream) -> tuple[str, ...]:
    key = ", ".join(f"`{name}`" for name in stream["key"])
    pages = f"{stream['page_size']:,}"
    return (
        _columns(stream, ""),
        stream["title"],
        _endpoint(stream),
        key or "`Division`",
        f"`{stream['cursor']}`" if _is_incremental(stream) else "",
        _deletions(stream),
        stream["scope"] or "not documented",
        f"{pages}; 1,000 when all is read (`{stream['bulk_path']}`)" if "bulk_path" in stream else pages,
    )


def _endpoint(stream: Stream) -> str:
    path = f"`{stream['path']}`"
    if "header" in stream:
        return f"{path}; changed ones with `{stream['header']['path']}`"
    return path + {"headers": " (headers)", "lines": " (lines)"}.get(stream.get("rows", ""), "")


def more_columns() -> str:
    """Return a table of the columns that the usual endpoint of a stream lacks, and of where they are."""
    columns = ("Stream", "Lacks", "`full_columns` reads", "Rows a call", "Key then", "Empty then", "Or join")
    return table(columns, filter(None, map(_more_columns, _streams())))


def _more_columns(stream: Stream) -> tuple[str, ...] | None:
    others = [one for one in _generator().entities()[stream["name"]] if one.kind in ("standard", "bulk")]
    lacking = {
        name: [one.address for one in others if name in one.offered]
        for one in others
        for name in _values(one)
        if name not in _values(at_address(_reference(), stream["path"]))
    }
    if not lacking or stream["transport"] != "feed":
        return None
    joins = _generator().overlay.elsewhere
    elsewhere = dict.fromkeys(f"`{joins[key]}`" for name in lacking if (key := f"{stream['name']}.{name}") in joins)
    full = {**stream, **stream.get("full", {})}
    if full["path"] == stream["path"]:
        paths = dict.fromkeys(path for found in lacking.values() for path in found)
        read, pages, key, empty = f"no endpoint by `Modified`; they are in {_code(paths)}", "", "", ""
    else:
        gained = _values(at_address(_reference(), full["path"]))
        rest = [name for name in lacking if name not in gained]
        read = f"`{full['path']}`" + (f", without {_code(rest)}" if rest else "")
        pages = f"{full['page_size']:,}"
        key = _code(full["key"]) if full["key"] != stream["key"] else "the same"
        empty = _emptied(stream, [*gained, "Timestamp", "Modified"])
    return f"`{stream['name']}`", _code(lacking), read, pages, key, empty, ", ".join(elsewhere)


def _emptied(stream: Stream, gained: Sequence[str]) -> str:
    """Return which columns are empty where a stream is read from the endpoint with some others."""
    lost = [name for name in _values(at_address(_reference(), stream["path"])) if name not in gained]
    partners = [one for one in _generator().overlay.mixed.get(stream["path"], ()) if one != stream["name"]]
    shared = {name for one in partners for path in _generator().entities()[one] for name in path.offered}
    own = [name for name in lost if name not in shared]
    parts = [_code(own)] if own else []
    if len(own) < len(lost):
        parts.append(f"columns of `{partners[0]}`")
    return ", ".join(parts)


def codes() -> str:
    """Return a table of what the code numbers of statuses and types mean, as far as the reference says it."""
    found: dict[tuple[str, str], list[str]] = {}
    for stream in _streams():
        for prop in at_address(_reference(), stream["path"]).properties:
            if prop.is_offered and prop.values and prop.name.endswith(("Status", "Type")):
                meaning = ", ".join(f"{code} {text}" for code, text in prop.values.items())
                found.setdefault((prop.name, meaning), []).append(f"`{stream['name']}`")
    rows = [(f"`{column}`", ", ".join(names), meaning) for (column, meaning), names in sorted(found.items())]
    return table(("Column", "Of", "Codes"), rows)


def withdrawn_columns() -> str:
    """Return a table of the columns that Exact calls obsolete or no longer shows, by stream."""
    rows = []
    for stream in (one for one in _streams() if "full" in one):
        endpoint = at_address(_reference(), stream["full"].get("path", stream["path"]))
        names = [prop.name for prop in endpoint.properties if prop.name in endpoint.withdrawn - {"Division"}]
        if names:
            rows.append((f"`{stream['name']}`", _code(names)))
    return table(("Stream", "Columns"), rows)


def _values(endpoint: Endpoint) -> list[str]:
    return [prop.name for prop in endpoint.properties if prop.is_offered and not prop.is_navigation]


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def left_out() -> str:
    """Return a table of the lists that no stream serves."""
    return table(("Endpoint", "Why"), ((f"`{path}`", why) for path, why in _left_out(functions=False)))


def functions() -> str:
    """Return a table of the functions, which no stream serves."""
    return table(("Function", "Why"), ((f"`{path}`", why) for path, why in _left_out(functions=True)))


def _left_out(*, functions: bool) -> Iterator[tuple[str, str]]:
    reference = _reference()
    for path, why in _catalog()["left_out"].items():
        if (reference[path].kind == "function") is functions:
            yield path, why


def scopes() -> str:
    """Return a table of the scopes that an app registration needs, and for what."""
    uses: dict[str, list[str]] = {}
    for stream in sorted(_streams(), key=lambda one: str(one["name"])):
        uses.setdefault(stream["scope"] or "", []).append(f"`{stream['name']}`")
    services = yaml.safe_load((REPOSITORY / "source_exact_online/api/endpoints.yaml").read_text(encoding="utf-8"))
    for name, purpose in _FOR_ALL:
        uses.setdefault(services[name]["scope"], []).append(purpose)
    rows = [(f"{scope}: Read" if scope else "not documented", ", ".join(uses[scope])) for scope in sorted(uses)]
    return table(("Scope", "Needed for"), rows)


def _is_incremental(stream: Stream) -> bool:
    return "cursor" in stream and stream["transport"] != "snapshot"


def _deletions(stream: Stream) -> str:
    return "yes" if "entity_type" in stream else "no"


def composite_keys() -> dict[str, list[str]]:
    """Return the primary keys, by stream, whose first column alone is not known to be one row's among all divisions.

    A GUID of a row that says its division is. Codes and numbers are given out anew in each division, and a row without
    a division of its own (banks, roles of users) may be shown in several.
    """
    found: dict[str, list[str]] = {}
    for stream in _streams():
        types = {prop.name: prop.type for prop in at_address(_reference(), stream["path"]).properties}
        is_one_rows = [types[name] for name in stream["key"]] == ["Edm.Guid"] and "Division" in types
        if stream["key"] and not is_one_rows:
            found[str(stream["name"])] = [*stream["key"], "Division"]
    return dict(sorted(found.items()))


def key_maps() -> str:
    """Return Meltano's stream maps for those streams, as lines of `meltano.yml`."""
    lines = [f"  {name}: {{__key_properties__: [{', '.join(key)}]}}\n" for name, key in composite_keys().items()]
    return f"```yaml\nstream_maps:\n{''.join(lines)}```\n"


def core_joins() -> list[tuple[str, str, str]]:
    """Return the joins between core streams: stream, column, and the `stream.column` that it refers to."""
    overlay = _generator().overlay
    streams = {str(stream["name"]): stream for stream in _streams() if stream["name"] in overlay.core}
    found = []
    for name, stream in streams.items():
        for column in _own_columns(stream):
            target = overlay.joins.get(f"{name}.{column}") or overlay.joins.get(column)
            target = target or _described(stream, column) or _header(streams, stream, column)
            if target is not None and target.partition(".")[0] in streams and target != f"{name}.{column}":
                found.append((name, column, target))
    return found


def _own_columns(stream: Stream) -> list[str]:
    """Return the columns of a stream, without those that only repeat its header or lines in a feed that mixes them."""
    served = at_address(_reference(), stream["path"])
    own = [one.offered for one in _generator().entities()[stream["name"]] if one.kind == "standard"]
    return [
        prop.name
        for prop in served.properties
        if prop.name in served.offered and (not own or any(prop.name in names for names in own))
    ]


def _described(stream: Stream, column: str) -> str | None:
    """Return what the reference's description of a column refers to."""
    reference = _reference()
    prop = next(one for one in at_address(reference, stream["path"]).properties if one.name == column)
    other = referred(prop)
    return None if other is None else f"{_generator().name_of(reference[other.path])}.{other.key}"


def _header(streams: Mapping[str, Stream], stream: Stream, column: str) -> str | None:
    """Return the header of lines, where a column is the key that both share."""
    if column != stream.get("header_key"):
        return None
    name = stream["name"]
    others = (one for one in streams if name != one and _singular_start(one, name))
    return next((f"{one}.{column}" for one in others if streams[one].get("header_key") == column), None)


def _singular_start(header: str, lines: str) -> bool:
    return lines.endswith("_lines") and header.rstrip("s") == lines.removesuffix("_lines")


def diagram() -> str:
    """Return how the core streams join, as a Mermaid diagram."""
    columns: dict[tuple[str, str], list[str]] = {}
    for stream, column, target in core_joins():
        columns.setdefault((target.partition(".")[0], stream), []).append(column)
    lines = [f'    {one} ||--o{{ {many} : "{", ".join(names)}"\n' for (one, many), names in columns.items()]
    return f"```mermaid\nerDiagram\n{''.join(lines)}```\n"


def joins() -> str:
    """Return how the core streams join, as a table."""
    rows = [(f"`{stream}.{column}`", f"`{target}`") for stream, column, target in core_joins()]
    return table(("Column", "refers to"), rows)
