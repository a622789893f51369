"""The committed schemas are what the generator makes of the reference, and say what they must."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from tools.descriptions import load_describer
from tools.generate_schemas import (
    INSTANTS_FILE,
    SCHEMAS_DIRECTORY,
    SchemaGenerator,
    differences,
    generate,
    load_catalog,
    load_generator,
    main,
    render,
    write,
)
from tools.reference import Endpoint, Property, at_address, load_reference

REFERENCE = load_reference()
CATALOG = load_catalog()
SCHEMAS: dict[str, dict[str, Any]] = {
    stream["name"]: json.loads((SCHEMAS_DIRECTORY / f"{stream['name']}.json").read_text(encoding="utf-8"))
    for stream in CATALOG
}
DRAFT = Draft7Validator(Draft7Validator.META_SCHEMA)
NAIVE = ("date-time", "timestamp_without_timezone")
AWARE = ("date-time", "timestamp_with_timezone")
EDM_TO_JSON = {
    "Edm.String": "string", "Edm.Guid": "string", "Edm.DateTime": "string", "Edm.Boolean": "boolean",
    "Edm.Double": "number", "Edm.Byte": "integer", "Edm.Int16": "integer", "Edm.Int32": "integer",
    "Edm.Int64": "integer",
}  # fmt: skip

STAMPED = {"Created", "CreatedDate", "DeletedDate", "Modified", "ModifiedDate", "syscreated", "sysmodified"}


def properties(stream: dict[str, Any]) -> dict[str, Any]:
    """The committed schemas of a stream's properties."""
    found: dict[str, Any] = SCHEMAS[stream["name"]]["properties"]
    return found


def entity(**types: str) -> Endpoint:
    columns = tuple(
        Property(name, edm, description=None, values={}, obsolete=False, hidden=False) for name, edm in types.items()
    )
    return Endpoint(
        "Things", "Test", "test/Things", ("GET",), "standard", None, 60, ("ID",), None, "current", None, columns
    )


def generated(endpoint: Endpoint, **stream: str) -> dict[str, Any]:
    generator = SchemaGenerator({endpoint.path: endpoint}, load_describer(), {"Modified": True, "DueDate": False})
    return generator.schema({"name": "things", "title": "Things", "path": endpoint.path, "key": ["ID"], **stream})


def test_committed_schemas_are_what_the_generator_writes() -> None:
    assert differences(generate()) == []


def test_generation_is_deterministic() -> None:
    first, second = generate(), generate()
    assert [render(first[name]) for name in first] == [render(second[name]) for name in second]


def test_schemas_are_valid_draft_07() -> None:
    assert {schema["$schema"] for schema in SCHEMAS.values()} == {"http://json-schema.org/draft-07/schema#"}
    invalid = {name: [error.message for error in DRAFT.iter_errors(schema)] for name, schema in SCHEMAS.items()}
    assert {name: errors for name, errors in invalid.items() if errors} == {}


def test_properties_are_the_references_plus_division_and_deletion() -> None:
    wrong = {}
    for stream in CATALOG:
        # The embedded DivisionClass objects are rows of hrm/DivisionClasses, so they count as navigation.
        expected = {
            prop.name
            for prop in at_address(REFERENCE, stream["path"]).properties
            if not (prop.obsolete or prop.hidden or prop.type == "Edm.Binary")
            and not prop.type.startswith(("Collection(", "Complex(DivisionClass)"))
        } | {"Division"}
        if "entity_type" in stream:
            expected.add("_ab_cdc_deleted_at")
        if "header" in stream:
            expected.add("Modified")
        if differing := properties(stream).keys() ^ expected:
            wrong[stream["name"]] = differing
    assert wrong == {}


def test_types_are_those_of_the_reference() -> None:
    wrong = {
        (stream["name"], prop.name): properties(stream)[prop.name]
        for stream in CATALOG
        for prop in at_address(REFERENCE, stream["path"]).properties
        if prop.name in properties(stream)
        and _types(properties(stream)[prop.name]) - {"null"} != {EDM_TO_JSON.get(prop.type, "object")}
    }
    assert wrong == {}


def test_everything_but_the_primary_key_is_nullable() -> None:
    wrong = {}
    for stream in CATALOG:
        required = {name for name, schema in properties(stream).items() if "null" not in _types(schema)}
        if required != {"Division", *stream["key"]}:
            wrong[stream["name"]] = required
    assert wrong == {}


def test_division_key_and_cursor_come_first() -> None:
    wrong = {}
    for stream in CATALOG:
        first = ["Division", *stream["key"], *([stream["cursor"]] if "cursor" in stream else [])]
        if list(properties(stream))[: len(first)] != first:
            wrong[stream["name"]] = first
    assert wrong == {}


def test_instants_have_a_zone_and_business_dates_none() -> None:
    wrong = {
        (stream["name"], name): schema
        for stream in CATALOG
        for name, schema in properties(stream).items()
        if "format" in schema
        and (schema["format"], schema["airbyte_type"]) != (AWARE if name in STAMPED | {"_ab_cdc_deleted_at"} else NAIVE)
    }
    assert wrong == {}


def test_every_date_of_the_reference_has_a_format() -> None:
    plain = {
        (stream["name"], prop.name)
        for stream in CATALOG
        for prop in at_address(REFERENCE, stream["path"]).properties
        if prop.type == "Edm.DateTime" and "format" not in properties(stream).get(prop.name, {"format": ""})
    }
    assert plain == set()


def test_every_property_has_a_description() -> None:
    silent = {
        (stream["name"], name)
        for stream in CATALOG
        for name, schema in properties(stream).items()
        if not schema["description"].strip()
    }
    assert silent == set()


def test_every_date_name_of_the_reference_is_reviewed_once() -> None:
    reviewed = yaml.safe_load(INSTANTS_FILE.read_text(encoding="utf-8"))
    names = [*reviewed["instants"], *reviewed["business"]]
    assert len(set(names)) == len(names)
    used = {prop.name for endpoint in REFERENCE.values() for prop in endpoint.properties if prop.type == "Edm.DateTime"}
    assert set(names) == used


def test_what_the_server_stamps_is_an_instant() -> None:
    assert set(yaml.safe_load(INSTANTS_FILE.read_text(encoding="utf-8"))["instants"]) >= STAMPED


def test_every_readable_entity_of_the_reference_can_be_given_a_schema() -> None:
    generator = load_generator()
    readable = [endpoint for endpoint in REFERENCE.values() if endpoint.readable]
    for endpoint in readable:
        stream = {"name": "any", "title": "Any", "path": endpoint.path, "key": list(endpoint.stable_key)}
        Draft7Validator.check_schema(generator.schema(stream))
    assert len(readable) > 300


def test_division_is_added_where_the_entity_has_none() -> None:
    assert generated(entity(ID="Edm.Guid"))["properties"]["Division"]["type"] == "integer"


def test_embedded_object_is_kept_unless_its_rows_can_be_read_elsewhere() -> None:
    kept = generated(entity(ID="Edm.Guid", Calculator="Complex(PlanCalculator)"))
    left_out = generated(entity(ID="Edm.Guid", Part="Complex(Thing)"))
    assert kept["properties"]["Calculator"]["type"] == ["null", "object"]
    assert "Part" not in left_out["properties"]


@pytest.mark.parametrize(
    ("types", "stream", "complaint"),
    [
        ({"ID": "Edm.Guid", "Moved": "Edm.DateTime"}, {}, "Moved"),
        ({"ID": "Edm.Guid", "Price": "Edm.Decimal"}, {}, r"Edm\.Decimal"),
        ({"Code": "Edm.String"}, {}, "no property ID"),
        ({"ID": "Edm.Guid"}, {"cursor": "Modified"}, "no property Modified"),
    ],
)
def test_what_the_generator_does_not_understand_it_refuses(
    types: dict[str, str], stream: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        generated(entity(**types), **stream)


@pytest.mark.parametrize(
    ("name", "edm", "values", "expected"),
    [
        ("GLAccountCode", "Edm.String", {}, "Code of the G/L account [Dutch: grootboekrekeningnummer]"),
        ("ManagerFullName", "Edm.String", {}, "Full name of the manager"),
        ("PlannedDate", "Edm.DateTime", {}, "Planned date"),
        ("IsReleased", "Edm.Boolean", {}, "Whether it is released"),
        ("UseStorageLocations", "Edm.Byte", {}, "Whether to use storage locations (1 = yes, 0 = no)"),
        ("NegativeStockIsAllowed", "Edm.Byte", {}, "Whether negative stock is allowed (1 = yes, 0 = no)"),
        ("SalesChannel", "Edm.Guid", {}, "Identifier of the sales channel"),
        ("UploadStatus", "Edm.Int32", {"0": "Unknown", "5": "Rejected"}, "Upload status (0 = Unknown, 5 = Rejected)"),
    ],
)
def test_description_is_made_from_name_type_and_codes(
    name: str, edm: str, values: dict[str, str], expected: str
) -> None:
    prop = Property(name, edm, description=None, values=values, obsolete=False, hidden=False)
    assert load_describer().describe(prop) == expected


def test_differences_name_missing_changed_and_left_over_files(tmp_path: Path) -> None:
    schemas = {"things": generated(entity(ID="Edm.Guid", DueDate="Edm.DateTime", Price="Edm.Double"))}
    assert differences(schemas, tmp_path) == ["things.json: missing"]
    write(schemas, tmp_path)
    assert differences(schemas, tmp_path) == []

    edited = json.loads((tmp_path / "things.json").read_text())
    edited["properties"]["Price"]["type"] = "string"
    edited["properties"]["Mine"] = edited["properties"].pop("DueDate")
    (tmp_path / "things.json").write_text(json.dumps(edited))
    (tmp_path / "gone.json").write_text("{}")
    assert differences(schemas, tmp_path) == [
        "gone.json: no such stream in the catalogue",
        "things.json: not committed: DueDate; not generated: Mine; changed: Price",
    ]
    write(schemas, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["things.json"]


def test_check_ends_with_1_and_names_the_file_when_a_schema_differs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["--check"]) == 0
    schemas = generate()
    schemas["accounts"]["properties"].pop("Name")
    monkeypatch.setattr("tools.generate_schemas.generate", lambda: schemas)
    assert main(["--check"]) == 1
    assert "accounts.json: not generated: Name" in capsys.readouterr().out


def _types(schema: dict[str, Any]) -> set[str]:
    types = schema["type"]
    return {types} if isinstance(types, str) else set(types)


def test_what_has_to_be_known_of_a_column_and_its_dutch_word_are_told() -> None:
    lines = SCHEMAS["transaction_lines"]["properties"]
    assert "belongs in every balance; 9999 is a line of VAT" in lines["LineNumber"]["description"]
    assert "[Dutch: grootboekrekening]" in lines["GLAccount"]["description"]


def test_notes_and_dutch_words_are_about_columns_that_exist() -> None:
    describer = load_describer()
    missing = [
        f"{stream}.{column}"
        for stream, notes in describer.notes.items()
        for column in notes
        if column not in SCHEMAS.get(stream, {"properties": {}})["properties"]
    ]
    known = {name for schema in SCHEMAS.values() for name in schema["properties"]} | {"StandardSalesPrice"}
    assert missing == []
    assert set(describer.dutch) - known == set()
