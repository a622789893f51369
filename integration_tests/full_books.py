"""A sandbox with rows for every stream, odd changes to all of them, and a comparison with a destination's tables."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

from exact_online_sandbox.books import generate
from exact_online_sandbox.clock import Clock
from exact_online_sandbox.entities import DELETED, DIVISIONS, MIXED_FEEDS, Entity, entities, entity_of
from exact_online_sandbox.rows import key_of
from exact_online_sandbox.sandbox import DEFAULT_USER, Sandbox
from exact_online_sandbox.server import Server
from exact_online_sandbox.store import Store
from exact_online_sandbox.synthetic import fill
from exact_online_sandbox.truth import truth_rows
from integration_tests.connector import stream_schema
from integration_tests.every_stream import CATALOG, Stream, by_key, expected, keys
from integration_tests.truth import same

DELETED_AT = "_ab_cdc_deleted_at"
BEYOND_DOUBLES = 2**53 + 1
"""The first whole number that a double cannot hold."""
ODD_TEXTS = (
    *("0500", "4000", "4000.0", "007", "1e5", "0x10", "1700000000", "12345678901234567890", "€ 1.000,00", "2024-01-31"),
    *("NaN", "null", "None", "true", "{}", "\\N", "'\"\\n\\", "  padded  ", " ", "", "a\0b", "a\tb\r\nc"),
    "\U0001f9fe \u2028 \u202ee\u0301",
)
"""Texts that loaders like to take for something else."""
SUMMED_UP = {
    *(
        "financialtransaction/TransactionLines",
        "sync/Cashflow/PaymentTerms",
        "cashflow/Receivables",
        "cashflow/Payments",
    ),
    *("financial/GLAccounts", "financial/FinancialPeriods", "hrm/Costcenters", "hrm/Costunits"),
    "financial/GLAccountClassificationMappings",
}
"""Rows that the sandbox works its reports out from: they stay whole."""
CLIENT = ("runner-client", "runner-secret")
ENOUGH = 1_000_000_000

Row = dict[str, Any]


@dataclass(slots=True)
class Comparison:
    """What a destination holds, against the sandbox's rows."""

    rows: int = 0
    values: int = 0
    differences: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.rows} rows, {self.values} values, {len(self.differences)} differences"


class FullBooks:
    """Two divisions with rows in all streams.

    Args:
        seed: of the books and of the changes.
        streams: names of the streams to change and compare; all where empty.
        token_life: seconds that an access token lives, so that runs have to refresh theirs.
    """

    def __init__(self, seed: int, streams: Iterable[str] = (), token_life: int = 20) -> None:
        wanted = set(streams)
        self.streams: list[Stream] = [one for one in CATALOG if not wanted or one["name"] in wanted]
        self.store = Store()
        self._clock = Clock(datetime.now(timezone.utc))
        generate(self.store, seed=seed, divisions=2, size="tiny", until=self._clock.now())
        self.divisions = sorted(self.store.division_codes())
        for division in self.divisions:
            fill(self.store, division, until=self._clock.now())
        self.box = Sandbox(self.store, self._clock)
        settings = self.box.settings
        settings.quota.minute_limit = settings.quota.daily_limit = ENOUGH
        settings.tokens.life_seconds = token_life
        self.box.register(*CLIENT)
        self._chance = random.Random(seed)
        self._number = 0
        self._added: defaultdict[tuple[int, str], list[Any]] = defaultdict(list)
        self.server = Server(self.box)

    def config(self, **credentials: str) -> dict[str, Any]:
        """A configuration of the connector with a login of its own; ends an earlier login."""
        chain = self.box.oauth.login(CLIENT[0], DEFAULT_USER, self.divisions)
        login = {"client_id": CLIENT[0], "client_secret": CLIENT[1], "refresh_token": chain.refresh_token}
        return {
            "site": "nl",
            "base_url": self.server.base_url,
            "stream_groups": ["all", "undocumented"],
            "credentials": {**login, **credentials},
        }

    @property
    def refreshes(self) -> int:
        """How often the current login was refreshed; each time its refresh token has changed."""
        return max((chain.refreshes for chain in self.box.oauth.chains() if not chain.dead), default=0)

    # -- changes ---------------------------------------------------------------------------------------------------

    def change(self) -> int:
        """Add, change and delete rows of every stream in both divisions; returns the number of changes."""
        before = self._number
        for division in self.divisions:
            for name in sorted({_entity_name(stream) for stream in self.streams}):
                if name == DIVISIONS:
                    text = self._text().replace("\0", "")
                    self.store.update_division(division, {"Description": text, "Modified": self._clock.now()})
                elif name != DELETED:
                    self._change(division, entities()[name])
        return self._number - before

    def _change(self, division: int, entity: Entity) -> None:
        for key in self._added.pop((division, entity.name), []):
            if entity.deletion_type is not None:
                self._tell()
                self.store.delete(division, entity.name, key, at=self._clock.now())
        rows = list(self.store.rows(division, entity.name))
        if not rows:
            return  # worked out from other rows
        row = self._chance.choice(rows)
        if entity.key != ("Division",):
            second = self._odd(entity, row) if entity.name in SUMMED_UP else self._bare(entity, row)
            for new in (self._odd(entity, row), second):
                self._tell()
                added = self.store.insert(division, entity.name, {**new, **self._new_key(entity)}, at=self._clock.now())
                self._added[division, entity.name].append(key_of(entity, added))
        self._tell()
        changes = {name: value for name, value in self._odd(entity, row).items() if name not in entity.key}
        self.store.update(division, entity.name, key_of(entity, row), changes, at=self._clock.now())

    def _odd(self, entity: Entity, row: Row) -> Row:
        """A row's content with odd texts; its dates are left to the store."""
        return {
            name: self._text() if entity.columns[name] == "Edm.String" and value is not None else value
            for name, value in row.items()
            if name not in ("Created", "Modified", "ID", *entity.key)
        }

    def _bare(self, entity: Entity, row: Row) -> Row:
        """As little of a row as may be: what its listing is filtered and split by, and what it belongs to."""
        kept = {"LineNumber", "ReportingYear", "Division", entity.header_key}
        return {name: value for name, value in row.items() if name in kept and name not in entity.key}

    def _new_key(self, entity: Entity) -> Row:
        return {name: self._new(entity.columns[name]) for name in entity.key}

    def _new(self, type_: str) -> Any:
        if type_ == "Edm.Guid":
            return str(UUID(int=self._chance.getrandbits(128), version=4))
        if type_ == "Edm.String":
            return f"0{self._number}"
        return {"Edm.Int16": 20_000, "Edm.Byte": 100}.get(type_, 900_000) + self._number % 100

    def _text(self) -> str:
        return self._chance.choice(ODD_TEXTS)

    def _tell(self) -> None:
        self._number += 1
        self._clock.advance(0.001)

    def grow_versions(self) -> None:
        """Let the row versions of the last division go on beyond what a double can hold."""
        self.store.raise_version(self.divisions[-1], BEYOND_DOUBLES)

    def move(self) -> None:
        """Move the first division to another database."""
        self.store.move_division(self.divisions[0], at=self._clock.now())

    # -- the truth -------------------------------------------------------------------------------------------------

    def compare(self, stream: Stream, held: Iterable[Mapping[str, Any]], column: Callable[[str], str]) -> Comparison:
        """Hold a table against the sandbox's rows, every column of every row.

        Args:
            stream: which.
            held: the table's rows, without those that bear the date of their deletion.
            column: gives the name of a property's column.
        """
        name = stream["name"]
        schemas = {prop: schema for prop, schema in stream_schema(name)["properties"].items() if prop != DELETED_AT}
        if "header" in stream:
            del schemas["Modified"]  # that of their header, or the start of the listing that brought them
        wanted = by_key(stream, expected(self._truth, self.divisions, stream, self._clock.now()))
        entity = _entity_name(stream)
        is_report = not any(True for division in self.divisions for _ in self.store.rows(division, entity))
        result, seen = Comparison(), set()
        for raw in held:
            result.rows += 1
            row = {prop: comparable(raw.get(column(prop)), schema) for prop, schema in schemas.items()}
            key = tuple(row[prop] for prop in keys()[name])
            result.values += len(row)
            if key not in wanted and is_report:
                continue  # a line that a report no longer has: a destination that merges keeps it
            if key in seen or key not in wanted:
                result.differences.append(f"{name} {key} is {'twice there' if key in seen else 'not in the sandbox'}")
                continue
            seen.add(key)
            for prop, schema in schemas.items():
                right = comparable(wanted[key].get(prop), schema)
                if not same(row[prop], right):
                    result.differences.append(f"{name} {key}.{prop} is {row[prop]!r} and should be {right!r}")
        result.differences += [f"{name} {key} is missing" for key in wanted.keys() - seen]
        return result

    def _truth(self, endpoint: str, division: int) -> list[Row]:
        rows: list[Row] = json.loads(b"".join(truth_rows(self.box, division, endpoint)))["rows"]
        return rows


def comparable(value: Any, schema: Mapping[str, Any]) -> Any:
    """A value of a record or of a table, whatever type the destination has for it; nothing is rounded."""
    if value is None:
        return None
    if schema.get("format") == "date-time":
        moment = datetime.fromisoformat(value.replace("Z", "+00:00")) if isinstance(value, str) else value
        return moment.astimezone(timezone.utc).replace(tzinfo=None) if moment.tzinfo else moment
    kinds = schema["type"]
    if "object" in kinds and isinstance(value, str):
        return json.loads(value)
    if "integer" in kinds and not isinstance(value, str) and value == int(value):
        return int(value)
    if "number" in kinds and not isinstance(value, str):
        return float(value)
    if "string" in kinds and isinstance(value, str):
        return value.replace("\0", "")  # no database takes one
    return value


def _entity_name(stream: Stream) -> str:
    path = stream["path"].removeprefix("beta/")
    if path in MIXED_FEEDS:
        return MIXED_FEEDS[path][stream["rows"] == "lines"]
    return entity_of(path)


def write_privately(path: Path, content: object) -> None:
    """Write a file of JSON that only its owner may read."""
    path.touch(mode=0o600)
    path.write_text(json.dumps(content), encoding="utf-8")


def total(comparisons: Iterable[Comparison]) -> Comparison:
    """The sum of some comparisons."""
    result = Comparison()
    for one in comparisons:
        result.rows += one.rows
        result.values += one.values
        result.differences += one.differences
    return result
