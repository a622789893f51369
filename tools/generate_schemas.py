"""Generate the JSON schemas of the streams from the catalogue and the API reference.

`python -m tools.generate_schemas` writes source_exact_online/schemas/. With `--check` it writes nothing, says what
differs from the committed files, and ends with exit code 1 if anything does.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tools.descriptions import Describer, load_describer
from tools.reference import REPOSITORY, Endpoint, Property, at_address, load_reference

CATALOG_FILE = REPOSITORY / "source_exact_online" / "catalog" / "catalog.yaml"
SCHEMAS_DIRECTORY = REPOSITORY / "source_exact_online" / "schemas"
INSTANTS_FILE = Path(__file__).with_name("instants.yaml")

DIVISION = Property(
    "Division", "Edm.Int32", "Number of the administration (division)", values={}, obsolete=False, hidden=False
)
HEADERS_MODIFIED = Property(
    "Modified",
    "Edm.DateTime",
    "When the header was last changed; empty where all rows were read, as in a first sync. The rows have no such time",
    values={},
    obsolete=False,
    hidden=False,
)
DELETED_AT = "_ab_cdc_deleted_at"
_JSON_TYPES = {
    "Edm.String": "string",
    "Edm.Guid": "string",
    "Edm.Int16": "integer",
    "Edm.Int32": "integer",
    "Edm.Int64": "integer",
    "Edm.Byte": "integer",
    "Edm.Double": "number",
    "Edm.Boolean": "boolean",
}
_INSTANT = {"format": "date-time", "airbyte_type": "timestamp_with_timezone"}
_BUSINESS = {"format": "date-time", "airbyte_type": "timestamp_without_timezone"}
_BINARY = {"contentEncoding": "base64"}
BINARY_PROPERTIES = "binaryProperties"
"""Member of a schema with the properties that are offered only where the configuration asks for pictures and files."""
ABSENT_PROPERTIES = "absentProperties"
"""Member of a schema with all columns: those that only the endpoint has from which the stream is usually read."""

Schema = dict[str, Any]


class SchemaGenerator:
    """Builds schemas from the reference; knows no stream by name."""

    def __init__(self, reference: Mapping[str, Endpoint], describer: Describer, instants: Mapping[str, bool]) -> None:
        """`instants` says for each Edm.DateTime property name whether it is an instant (True) or a business date."""
        self._reference = reference
        self._describer = describer
        self._instants = instants
        self._entities = {endpoint.name for endpoint in reference.values() if endpoint.readable}

    def schema(self, stream: Mapping[str, Any]) -> Schema:
        """Return the JSON schema (draft-07) of an entry: Division, key, cursor, then the order of the reference.

        Raises:
            KeyError: the reference has no such path.
            ValueError: the key or cursor is not a property, or a property has a type or date name not seen before.
        """
        endpoint = at_address(self._reference, stream["path"])
        return self._schema(stream, {prop.name: prop for prop in endpoint.properties if self._offered(prop)})

    def full_schema(self, stream: Mapping[str, Any]) -> Schema:
        """Return the JSON schema of an entry as `full_columns` has it read.

        It has the columns of that endpoint, those that the reference calls obsolete or no longer shows included, and in
        a member of their own those of the usual endpoint that this one lacks.

        Raises:
            KeyError: the reference has no such path.
            ValueError: as `schema` does.
        """
        full = {**stream, **stream["full"]}
        endpoint = at_address(self._reference, full["path"])
        columns = {prop.name: prop for prop in endpoint.properties if self._is_value(prop) and prop.name != "Division"}
        found = self._schema(full, columns)
        usual = self.schema(stream)["properties"]
        absent = {name: schema for name, schema in usual.items() if name not in found["properties"]}
        for name, schema in absent.items():
            json_type = schema["type"] if isinstance(schema["type"], list) else ["null", schema["type"]]
            described = f"{schema['description']}. Empty with full_columns: {full['path']} does not have it"
            absent[name] = {**schema, "type": json_type, "description": described}
        return {**found, **({ABSENT_PROPERTIES: absent} if absent else {})}

    def _schema(self, stream: Mapping[str, Any], columns: Mapping[str, Property]) -> Schema:
        offered = {DIVISION.name: DIVISION} | dict(columns)
        if "header" in stream:
            offered.setdefault(HEADERS_MODIFIED.name, HEADERS_MODIFIED)
        primary_key = [DIVISION.name, *stream["key"]]
        first = [*primary_key, *([stream["cursor"]] if "cursor" in stream else [])]
        if unknown := [name for name in first if name not in offered]:
            raise ValueError(f"{stream['name']}: {stream['path']} has no property {', '.join(unknown)}")
        order = dict.fromkeys([*first, *columns])
        schemas = {
            name: self._property(offered[name], stream["name"], nullable=name not in primary_key) for name in order
        }
        properties = {name: schema for name, schema in schemas.items() if not offered[name].is_binary}
        binary = {name: schema for name, schema in schemas.items() if offered[name].is_binary}
        if "entity_type" in stream:
            properties[DELETED_AT] = {
                "type": ["null", "string"],
                **_INSTANT,
                "description": "When the record was deleted in Exact Online; empty as long as it exists",
            }
        return {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "title": stream["name"],
            "description": stream["title"],
            "additionalProperties": True,
            "properties": properties,
            **({BINARY_PROPERTIES: binary} if binary else {}),
        }

    def _offered(self, prop: Property) -> bool:
        """Whether a property is a column: still in the reference, and a value of its own."""
        return prop.is_offered and self._is_value(prop)

    def _is_value(self, prop: Property) -> bool:
        return not (prop.is_navigation or self._has_own_endpoint(prop))

    def _has_own_endpoint(self, prop: Property) -> bool:
        """Whether the rows of an embedded object can be read elsewhere (DivisionClass: hrm/DivisionClasses)."""
        name = prop.complex_type
        return name is not None and not self._entities.isdisjoint({name, f"{name}s", f"{name}es"})

    def _property(self, prop: Property, stream: str, *, nullable: bool) -> Schema:
        extra: dict[str, str] = {}
        if prop.complex_type:
            json_type = "object"
        elif prop.type == "Edm.DateTime":
            if prop.name not in self._instants:
                raise ValueError(f"{prop.name} is an Edm.DateTime that {INSTANTS_FILE.name} does not list")
            json_type, extra = "string", _INSTANT if self._instants[prop.name] else _BUSINESS
        elif prop.is_binary:
            json_type, extra = "string", _BINARY
        elif prop.type in _JSON_TYPES:
            json_type = _JSON_TYPES[prop.type]
        else:
            raise ValueError(f"{prop.name} has the unknown type {prop.type}")
        description = self._describer.describe(prop, stream)
        if not prop.is_offered:
            description += ". Exact calls it obsolete or no longer shows it: it may go"
        return {"type": ["null", json_type] if nullable else json_type, **extra, "description": description}


def load_generator() -> SchemaGenerator:
    """Return the generator with the repository's reference and tables."""
    reviewed = yaml.safe_load(INSTANTS_FILE.read_text(encoding="utf-8"))
    instants = dict.fromkeys(reviewed["business"], False) | dict.fromkeys(reviewed["instants"], True)
    return SchemaGenerator(load_reference(), load_describer(), instants)


def load_catalog(file: Path = CATALOG_FILE) -> list[dict[str, Any]]:
    """Return the catalogue's entries as they stand in the file."""
    streams: list[dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))["streams"]
    return streams


def generate() -> dict[str, Schema]:
    """Return the schema of every stream of the catalogue by name, that with all columns as `<name>.full`."""
    generator, streams = load_generator(), load_catalog()
    schemas = {stream["name"]: generator.schema(stream) for stream in streams}
    full = {f"{stream['name']}.full": generator.full_schema(stream) for stream in streams if "full" in stream}
    return schemas | full


def render(schema: Schema) -> str:
    """Return the text of a schema file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def differences(schemas: Mapping[str, Schema], directory: Path = SCHEMAS_DIRECTORY) -> list[str]:
    """Return how the committed files differ from what the generator writes, in words; empty when none does."""
    committed = {file.stem: file.read_text(encoding="utf-8") for file in sorted(directory.glob("*.json"))}
    found = [f"{name}.json: missing" for name in schemas if name not in committed]
    found += [f"{name}.json: no such stream in the catalogue" for name in committed if name not in schemas]
    for name, schema in schemas.items():
        if name in committed and committed[name] != render(schema):
            found.append(f"{name}.json: {_difference(committed[name], schema)}")
    return found


def _difference(committed: str, schema: Schema) -> str:
    try:
        old = json.loads(committed)["properties"]
        new = schema["properties"]
        details = {
            "not committed": [key for key in new if key not in old],
            "not generated": [key for key in old if key not in new],
            "changed": [key for key in new if key in old and old[key] != new[key]],
        }
    except (ValueError, KeyError, TypeError) as error:
        return f"not a schema ({error!r})"
    named = "; ".join(f"{what}: {', '.join(names)}" for what, names in details.items() if names)
    return named or "same properties; order, head or layout differ"


def write(schemas: Mapping[str, Schema], directory: Path = SCHEMAS_DIRECTORY) -> None:
    """Write every schema file and remove those of streams that are gone."""
    directory.mkdir(parents=True, exist_ok=True)
    for file in directory.glob("*.json"):
        if file.stem not in schemas:
            file.unlink()
    for name, schema in schemas.items():
        (directory / f"{name}.json").write_text(render(schema), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.generate_schemas", description="Generate the JSON schemas.")
    parser.add_argument("--check", action="store_true", help="compare with the committed files and write nothing")
    check: bool = parser.parse_args(arguments).check
    schemas = generate()
    found = differences(schemas)
    if check:
        for line in found:
            print(line)
        print(f"{len(found)} files differ: run 'make schemas'" if found else f"{len(schemas)} schemas are up to date")
        return 1 if found else 0
    write(schemas)
    print(f"{len(schemas)} schemas, {len(found)} files changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
