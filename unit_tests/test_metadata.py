"""metadata.yaml is what Airbyte's registry expects and says the same as the package, the spec and the catalogue."""

from __future__ import annotations

import ast
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

import exact_online_sandbox
from source_exact_online.version import VERSION

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def metadata() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((ROOT / "metadata.yaml").read_text(encoding="utf-8"))["data"]
    return data


def setup_argument(name: str) -> object:
    """Return a literal argument of the call of setup() in setup.py."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setup"]
    return ast.literal_eval(next(keyword.value for keyword in calls[0].keywords if keyword.arg == name))


def test_metadata_is_valid_against_airbytes_model() -> None:
    models = pytest.importorskip(
        "airbyte_connector_models.metadata.v0.connector_metadata_definition_v0",
        reason="Airbyte's models of metadata.yaml are not published for Python 3.13",
    )
    document = yaml.safe_load((ROOT / "metadata.yaml").read_text(encoding="utf-8"))

    assert models.ConnectorMetadataDefinitionV0.model_validate(document).data.name == "Exact Online"


def test_every_copy_of_the_version_is_that_of_the_package(metadata: dict[str, Any]) -> None:
    label = re.search(r"^ARG VERSION=(.+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)

    for distribution in ("airbyte-source-exact-online", "exact-online-sandbox"):
        assert version(distribution) == VERSION, f"{distribution} is installed: make .venv/ready brings it up to date"
    assert exact_online_sandbox.__version__ == VERSION
    assert metadata["dockerImageTag"] == VERSION
    assert label is not None
    assert label[1] == VERSION


def test_names_follow_from_the_image_name(metadata: dict[str, Any]) -> None:
    image = metadata["dockerRepository"].removeprefix("airbyte/")

    assert image == metadata["githubIssueLabel"] == "source-exact-online"
    assert setup_argument("name") == metadata["remoteRegistries"]["pypi"]["packageName"] == f"airbyte-{image}"
    assert setup_argument("entry_points") == {"console_scripts": [f"{image}=source_exact_online.run:run"]}


def test_license_is_that_of_the_package(metadata: dict[str, Any]) -> None:
    assert metadata["license"] == setup_argument("license")
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith(f"{metadata['license']} License")


def test_suggested_streams_are_in_the_catalogue(metadata: dict[str, Any]) -> None:
    catalogue = yaml.safe_load((ROOT / "source_exact_online/catalog/catalog.yaml").read_text(encoding="utf-8"))
    suggested = metadata["suggestedStreams"]["streams"]

    assert set(suggested) <= {stream["name"] for stream in catalogue["streams"]}
    assert len(suggested) == len(set(suggested)) > 0


def test_allowed_hosts_are_those_of_the_sites_in_the_spec(metadata: dict[str, Any]) -> None:
    spec = yaml.safe_load((ROOT / "source_exact_online/spec.yaml").read_text(encoding="utf-8"))
    sites = spec["connectionSpecification"]["properties"]["site"]["enum"]

    assert sorted(metadata["allowedHosts"]["hosts"]) == sorted(f"start.exactonline.{site}" for site in sites)


def test_icon_is_square(metadata: dict[str, Any]) -> None:
    icon = ElementTree.parse(ROOT / metadata["icon"]).getroot()

    assert icon.get("width") == icon.get("height")
    assert icon.get("viewBox") == f"0 0 {icon.get('width')} {icon.get('height')}"


def test_changelog_has_a_chapter_for_the_version() -> None:
    assert f"\n## [{VERSION}] - " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
