"""Generate the stream catalogue from the API reference and the reviewed decisions in catalog_overlay.yaml.

`python -m tools.generate_catalog` writes source_exact_online/catalog/catalog.yaml. With `--check` it writes nothing,
says which streams differ from the committed file, and ends with exit code 1 if any does.

Derived: which entities there are, their stream names, the endpoint that serves each, transport, page size, scope, key,
cursor, deletion number, SyncTimestamp name, the key that lines share with their header. Decided by a
person, in the overlay: titles, groups, what is left out and why, and whatever the rules would get wrong.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.reference import REPOSITORY, UNDOCUMENTED, Endpoint, load_reference
from tools.relations import dated_headers, header_keys

CATALOG_FILE = REPOSITORY / "source_exact_online" / "catalog" / "catalog.yaml"
OVERLAY_FILE = Path(__file__).with_name("catalog_overlay.yaml")
HEAD_FILE = Path(__file__).with_name("catalog_head.yaml")
SYNC_FEEDS_FILE = REPOSITORY / "reference" / "sync_feeds.yaml"

Entry = dict[str, Any]

# "GLAccounts" is GL, Accounts; "VATCodes" is VAT, Codes; "ProjectWBS" is Project, WBS
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z]|$)|[A-Z]?[a-z]+|\d+")
_FIELDS = (
    "name", "title", "transport", "path", "bulk_path", "page_size", "scope", "key", "cursor", "rows", "entity_type",
    "sync_timestamp", "group", "core", "header_key", "header", "split_by_year", "partition", "division_from",
    "demands_filter", "full",
)  # fmt: skip
"""Fields of an entry in the order in which they are written."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """The decisions of catalog_overlay.yaml, which explains each."""

    core: Sequence[str]
    groups: Mapping[str, str]
    words: Mapping[str, str]
    names: Mapping[str, str]
    endpoints: Mapping[str, str]
    mixed: Mapping[str, Sequence[str]]
    dated_bulk: Sequence[str]
    left_out: Mapping[str, str]
    functions: Mapping[str, str]
    joins: Mapping[str, str]
    elsewhere: Mapping[str, str]
    streams: Mapping[str, Mapping[str, Any]]

    @property
    def group_order(self) -> list[str]:
        """Groups in the order in which the catalogue lists them."""
        return [*dict.fromkeys(self.groups.values()), UNDOCUMENTED]


class CatalogGenerator:
    """Builds the catalogue's entries; knows no stream by name."""

    def __init__(
        self,
        reference: Mapping[str, Endpoint],
        overlay: Overlay,
        entity_types: Mapping[str, int],
        sync_timestamps: frozenset[str],
    ) -> None:
        """Keep the facts that the catalogue is made from.

        Args:
            reference: all endpoints by path.
            overlay: what a person decided.
            entity_types: number in the deletion log by feed.
            sync_timestamps: names of the feeds that SyncTimestamp knows.
        """
        self.reference = reference
        self.overlay = overlay
        self._entity_types = entity_types
        self._sync_timestamps = sync_timestamps
        self._header_keys = header_keys(reference)
        self._dated_headers = dated_headers(reference)

    def entities(self) -> dict[str, list[Endpoint]]:
        """Return the readable endpoints by the name of the stream that their rows belong to; left out ones aside."""
        found: dict[str, list[Endpoint]] = {}
        for endpoint in self.reference.values():
            if endpoint.readable and endpoint.path not in self.overlay.left_out:
                found.setdefault(self.name_of(endpoint), []).append(endpoint)
        return found

    def name_of(self, endpoint: Endpoint) -> str:
        """Return the name of the stream with the rows of an endpoint."""
        name = self.overlay.names.get(endpoint.path)
        spelled = self.overlay.words.get(endpoint.entity, endpoint.entity)
        return name or "_".join(_WORDS.findall(spelled)).lower()

    def entries(self) -> list[Entry]:
        """Return all entries: the core first, then group by group, by name.

        Raises:
            ValueError: a decision is missing, or is about something that does not exist.
        """
        entities = self.entities()
        self._refuse_leftovers(entities)
        entries = {name: self._entry(name, endpoints) for name, endpoints in entities.items()}
        order = {name: at for at, name in enumerate(self.overlay.core)}
        groups = {group: at for at, group in enumerate(self.overlay.group_order)}
        return sorted(
            entries.values(),
            key=lambda entry: (order.get(entry["name"], len(order)), groups[entry["group"]], entry["name"]),
        )

    def left_out(self) -> list[tuple[str, str]]:
        """Return the path and the reason of every readable endpoint and function that no stream serves."""
        functions = [
            endpoint.path
            for endpoint in self.reference.values()
            if endpoint.kind == "function" and "GET" in endpoint.methods and endpoint.status != "removed"
        ]
        reasons = [(path, self._function_reason(path)) for path in sorted(functions)]
        return [*sorted(self.overlay.left_out.items()), *reasons]

    def _function_reason(self, path: str) -> str:
        reason = next((why for start, why in self.overlay.functions.items() if path.startswith(start)), None)
        if reason is None:
            raise ValueError(f"{path}: no reason to leave the function out")
        return reason

    def _entry(self, name: str, endpoints: Sequence[Endpoint]) -> Entry:
        if name not in self.overlay.streams:
            raise ValueError(f"{name} ({endpoints[0].path}): no title")
        decided = {key: value for key, value in self.overlay.streams[name].items() if key != "why"}
        endpoint = self._serving(name, endpoints)
        bulk = next((one for one in endpoints if one.kind == "bulk"), None)
        header, navigation = self._dated_headers.get(endpoint.path, (None, ""))
        transport = decided.get("transport") or ("list" if header else _transport(endpoint))
        derived: Entry = {
            "name": name,
            "transport": transport,
            "path": endpoint.address,
            "page_size": endpoint.page_size,
            "scope": endpoint.scope,
            "key": [prop for prop in endpoint.stable_key if prop not in ("Division", decided.get("division_from"))],
            "cursor": next((prop for prop in ("Modified", "Timestamp") if prop in endpoint.offered), None),
            "entity_type": self._entity_types.get(endpoint.path),
            "group": UNDOCUMENTED if endpoint.status == UNDOCUMENTED else self.overlay.groups[_service(endpoint)],
            "header_key": self._header_key(endpoint, endpoints),
        }
        if name in self.overlay.core:
            derived["core"] = True
        if endpoint.kind == "sync" and endpoint.entity in self._sync_timestamps:
            derived["sync_timestamp"] = endpoint.entity
        if endpoint.path in self.overlay.mixed:
            derived["rows"] = ("headers", "lines")[self.overlay.mixed[endpoint.path].index(name)]
        if transport == "list" and bulk is not None and bulk.offered >= endpoint.offered - _NOT_READ:
            derived["bulk_path"] = bulk.address
        if header is not None:
            derived |= {"cursor": "Modified", "header": {"path": header.address, "navigation": navigation}}
        if endpoint.demands_filter:
            raise ValueError(f"{name}: {endpoint.path} wants a filter, but a first sync reads it whole")
        entry = derived | decided
        full = self._full(entry, endpoint, endpoints)
        if full is not None:
            entry["full"] = full
        return {field: entry[field] for field in _FIELDS if field == "scope" or entry.get(field) is not None}

    def _serving(self, name: str, endpoints: Sequence[Endpoint]) -> Endpoint:
        """Return what serves a stream: a feed; else what can be filtered on Modified; else the larger pages."""
        feed = next((path for path, streams in self.overlay.mixed.items() if name in streams), None)
        if (path := feed or self.overlay.endpoints.get(name)) is not None:
            return self.reference[path]
        by_kind: dict[str, list[Endpoint]] = {}
        for endpoint in endpoints:
            by_kind.setdefault(endpoint.kind, []).append(endpoint)
        order = ["sync", "standard", "bulk", "read"]
        if all("Modified" not in endpoint.offered for endpoint in by_kind.get("standard", ())):
            order = ["sync", "bulk", "standard", "read"]
        (endpoint, *others) = next(by_kind[kind] for kind in order if kind in by_kind)
        if others:
            raise ValueError(f"{name}: {endpoint.path} or {', '.join(other.path for other in others)}?")
        return endpoint

    def _full(self, entry: Entry, served: Endpoint, endpoints: Sequence[Endpoint]) -> Entry | None:
        """Return what is other where a stream is read with all its columns; None where it has no more anywhere."""
        columns = served.offered | _navigation(served)
        others = [one for one in endpoints if one.kind in ("standard", "bulk") and self._is_dated(one)]
        lacking = frozenset[str]().union(*(one.offered - _navigation(one) - columns for one in others))
        if entry["transport"] != "feed" or not lacking:
            return {} if served.withdrawn - {"Division", *entry["key"]} else None
        younger = {prop.name for one in others for prop in one.properties if prop.since}
        bulk = (one for one in others if one.kind == "bulk" and lacking - younger <= one.offered & lacking)
        endpoint = next((one for one in bulk if one.offered & lacking), None)
        endpoint = endpoint or next(one for one in others if one.kind == "standard")
        header, navigation = self._dated_headers.get(endpoint.path, (None, ""))
        header_key = entry.get("header_key")
        full: Entry = {
            "transport": "list",
            "path": endpoint.address,
            "page_size": endpoint.page_size,
            "scope": endpoint.scope,
            "key": [prop for prop in endpoint.stable_key if prop != "Division"],
            "cursor": "Modified",
            "rows": "all",
            "header_key": header_key if header_key in endpoint.offered - {*endpoint.stable_key} else None,
            "header": header and {"path": header.address, "navigation": navigation},
            "demands_filter": endpoint.demands_filter,
        }
        known = {"rows": "all", "header_key": None, "header": None, "demands_filter": False} | entry
        return {field: value for field, value in full.items() if value != known[field]}

    def _is_dated(self, endpoint: Endpoint) -> bool:
        """Whether changed rows can be asked for: by their own ``Modified``, or by that of their headers."""
        if endpoint.kind == "bulk":
            return endpoint.path in self.overlay.dated_bulk
        return "Modified" in endpoint.offered or (endpoint.path in self._dated_headers and not endpoint.demands_filter)

    def _header_key(self, endpoint: Endpoint, views: Sequence[Endpoint]) -> str | None:
        """Return the property besides the key that joins headers and lines, as the standard endpoint has it."""
        for view in views:
            key = self._header_keys.get(view.path)
            if key is not None and key in endpoint.offered and key not in endpoint.stable_key:
                return key
        return None

    def _refuse_leftovers(self, entities: Mapping[str, Sequence[Endpoint]]) -> None:
        """Refuse a decision about something that does not exist: a spelling mistake, or out of date.

        Raises:
            ValueError: there is one.
        """
        overlay = self.overlay
        paths = [*overlay.names, *overlay.endpoints.values(), *overlay.mixed, *overlay.dated_bulk, *overlay.left_out]
        wrong = [path for path in paths if path not in self.reference]
        wrong += [name for name in (*overlay.core, *overlay.endpoints, *overlay.streams) if name not in entities]
        wrong += [word for word in overlay.words if all(word != one.entity for one in self.reference.values())]
        if wrong:
            raise ValueError(f"the overlay decides about what does not exist: {', '.join(wrong)}")


_NOT_READ = frozenset({"Timestamp"})


def _navigation(endpoint: Endpoint) -> frozenset[str]:
    return frozenset(prop.name for prop in endpoint.properties if prop.is_navigation)


def _transport(endpoint: Endpoint) -> str:
    if endpoint.kind == "sync":
        return "feed"
    return "list" if endpoint.kind == "standard" and "Modified" in endpoint.offered else "snapshot"


def _service(endpoint: Endpoint) -> str:
    first, *rest = endpoint.path.split("/")
    return (rest[0] if first in ("sync", "bulk", "read") else first).lower()


def load_overlay(file: Path = OVERLAY_FILE) -> Overlay:
    """Return the decisions; a stream that has a title only stands there as that text."""
    table = yaml.safe_load(file.read_text(encoding="utf-8"))
    streams = {name: {"title": one} if isinstance(one, str) else one for name, one in table.pop("streams").items()}
    return Overlay(streams=streams, **table)


def load_generator(file: Path = OVERLAY_FILE) -> CatalogGenerator:
    """Return the generator with the repository's reference and decisions."""
    feeds = yaml.safe_load(SYNC_FEEDS_FILE.read_text(encoding="utf-8"))
    numbers = {path: number for number, path in feeds["entity_types"].items()}
    return CatalogGenerator(load_reference(), load_overlay(file), numbers, frozenset(feeds["sync_timestamp"]))


def render(generator: CatalogGenerator) -> str:
    """Return the text of catalog.yaml: its head, the streams, what is left out."""
    overlay = generator.overlay
    parts = [HEAD_FILE.read_text(encoding="utf-8"), "streams:\n"]
    group = None
    for at, entry in enumerate(generator.entries()):
        if at >= len(overlay.core) and entry["group"] != group:
            group = entry["group"]
            parts.append(f"  # ---- {group}\n\n")
        why = overlay.streams[entry["name"]].get("why", "")
        parts += [_comment(why), _entry_text(entry), "\n"]
    parts.append(f"# Endpoints that no stream serves, and why.\nleft_out:\n{_left_out_text(generator)}")
    return "".join(parts)


def _entry_text(entry: Entry) -> str:
    lines = [f"{field}: {_value(value)}" for field, value in entry.items()]
    return "  - " + "\n    ".join(lines) + "\n"


def _value(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True, sort_keys=False)
    return text.removesuffix("...\n").strip()


def _comment(text: str) -> str:
    return "".join(f"  # {line}\n" for line in textwrap.wrap(text, 116))


def _left_out_text(generator: CatalogGenerator) -> str:
    return "".join(f"  {path}: {_value(reason)}\n" for path, reason in generator.left_out())


def differences(text: str, file: Path = CATALOG_FILE) -> list[str]:
    """Return how a committed catalogue differs from the generated one, in words; empty when it does not."""
    committed = file.read_text(encoding="utf-8") if file.exists() else "streams: []"
    if committed == text:
        return []
    old, new = ({entry["name"]: entry for entry in yaml.safe_load(one)["streams"]} for one in (committed, text))
    found = [f"{name}: not committed" for name in new if name not in old]
    found += [f"{name}: not generated" for name in old if name not in new]
    found += [f"{name}: changed" for name in new if name in old and new[name] != old[name]]
    return found or ["same streams; comments, order, layout or the list of what is left out differ"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.generate_catalog", description="Generate the catalogue.")
    parser.add_argument("--check", action="store_true", help="compare with the committed file and write nothing")
    check: bool = parser.parse_args(arguments).check
    text = render(load_generator())
    found = differences(text)
    for line in found:
        print(line)
    if check:
        print("the catalogue differs: run 'make schemas'" if found else "the catalogue is up to date")
        return 1 if found else 0
    CATALOG_FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
