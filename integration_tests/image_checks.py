"""The built image, run as a platform runs it, against the sandbox (`make image image-test`).

Not collected by `make test`: it needs a container engine. Every run is locked down (no capabilities, read-only file
system but for /tmp, no way to gain privileges), so that the image works wherever it is not given more. The container
shares the host's network, since the sandbox and `base_url` are on the loopback interface.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from integration_tests.connector import configured_catalog
from integration_tests.full_books import FullBooks
from integration_tests.protocol import Message, latest_config, members, parse_output
from integration_tests.sandbox_client import Sandbox

ROOT = Path(__file__).parent.parent
CORE = yaml.safe_load((ROOT / "metadata.yaml").read_text(encoding="utf-8"))["data"]["suggestedStreams"]["streams"]
LOCKED_DOWN = ["--read-only", "--tmpfs", "/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
RUN_SECONDS = 300
LEDGER_LINES = 200_000
LARGE_RUN_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Engine:
    """A container engine with the image to run: `docker` and `podman` take the same arguments."""

    command: str
    image: str

    def run(
        self, *arguments: str, options: tuple[str, ...] = ("--network=host",), seconds: float = RUN_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Returns a finished run of the image.

        Args:
            arguments: Arguments of the image's entry point.
            options: Options of the engine's `run` beside those that lock the container down.
            seconds: Longest time that it may take.
        """
        command = [self.command, "run", "--rm", *LOCKED_DOWN, *options, self.image, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the four verbs, run one after the other, wrote to stdout."""

    spec: list[Message]
    check: list[Message]
    discover: list[Message]
    read: list[Message]


@pytest.fixture(scope="module")
def engine() -> Engine:
    """The engine and image that the Makefile names; ends the run with what is missing where they cannot be used."""
    engine = Engine(os.environ.get("DOCKER", "docker"), os.environ.get("IMAGE", "airbyte/source-exact-online:dev"))
    try:
        subprocess.run([engine.command, "ps", "--quiet"], capture_output=True, text=True, check=True)
        subprocess.run([engine.command, "image", "inspect", engine.image], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        pytest.exit(f"{engine.command} is not installed: name a container engine with DOCKER=...", returncode=2)
    except subprocess.CalledProcessError as error:
        pytest.exit(f"{' '.join(error.cmd)} says: {error.stderr.strip()}", returncode=2)
    return engine


def finished(engine: Engine, *arguments: str, folder: Path) -> list[Message]:
    """Returns the messages of a run that succeeds; the folder is mounted at /secrets."""
    run = engine.run(*arguments, options=("--network=host", "--volume", f"{folder}:/secrets:ro"))
    assert run.returncode == 0, (
        f"{arguments[0]} ended with {run.returncode}\n{run.stdout[-4000:]}\n{run.stderr[-4000:]}"
    )
    return parse_output(run.stdout)


@pytest.fixture(scope="module")
def outputs(engine: Engine, shared_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    """Runs the verbs in a platform's order; each gets the configuration that the one before it left."""
    folder = tmp_path_factory.mktemp("secrets")
    # The user of the image is not the one who runs this test.
    folder.chmod(0o755)

    def write(name: str, content: dict[str, Any]) -> str:
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
        (folder / name).chmod(0o644)
        return f"/secrets/{name}"

    config = shared_sandbox.config()
    config_file = write("config.json", config)
    spec = finished(engine, "spec", folder=folder)
    check = finished(engine, "check", "--config", config_file, folder=folder)
    write("config.json", latest_config(check, config))
    discover = finished(engine, "discover", "--config", config_file, folder=folder)
    catalog = write("catalog.json", configured(discover))
    read = finished(engine, "read", "--config", config_file, "--catalog", catalog, folder=folder)
    return Outputs(spec, check, discover, read)


def configured(discover: list[Message]) -> dict[str, Any]:
    """Returns a configured catalogue of the core, incremental where a stream can be."""
    streams = [stream for stream in members(discover, "CATALOG")[0]["streams"] if stream["name"] in CORE]
    return {
        "streams": [
            {"stream": stream, "sync_mode": stream["supported_sync_modes"][-1], "destination_sync_mode": "append_dedup"}
            for stream in streams
        ]
    }


def test_spec_shows_the_required_fields(outputs: Outputs) -> None:
    (spec,) = members(outputs.spec, "SPEC")

    assert {"site", "credentials"} <= set(spec["connectionSpecification"]["required"])


def test_check_succeeds(outputs: Outputs) -> None:
    assert [status["status"] for status in members(outputs.check, "CONNECTION_STATUS")] == ["SUCCEEDED"]


def test_discover_shows_the_core(outputs: Outputs) -> None:
    (catalog,) = members(outputs.discover, "CATALOG")

    assert set(CORE) <= {stream["name"] for stream in catalog["streams"]}


def test_read_brings_records_of_every_core_stream(outputs: Outputs) -> None:
    assert {record["stream"] for record in members(outputs.read, "RECORD")} == set(CORE)


def test_read_completes_every_stream_with_a_state(outputs: Outputs) -> None:
    statuses = {
        trace["stream_status"]["stream_descriptor"]["name"]: trace["stream_status"]["status"]
        for trace in members(outputs.read, "TRACE")
        if trace["type"] == "STREAM_STATUS"
    }
    states = {state["stream"]["stream_descriptor"]["name"] for state in members(outputs.read, "STATE")}

    assert statuses == dict.fromkeys(CORE, "COMPLETE")
    assert states == set(CORE)


@pytest.mark.parametrize("arguments", [("spec",), ("discover", "--config", "/secrets/config.json")], ids=lambda a: a[0])
def test_spec_and_discover_need_no_network(engine: Engine, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    tmp_path.chmod(0o755)
    config = {"site": "nl", "credentials": {"client_id": "c", "client_secret": "s", "refresh_token": "r"}}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "config.json").chmod(0o644)

    run = engine.run(*arguments, options=("--network=none", "--volume", f"{tmp_path}:/secrets:ro"))

    assert run.returncode == 0, run.stdout[-2000:]
    assert len(members(parse_output(run.stdout), {"spec": "SPEC", "discover": "CATALOG"}[arguments[0]])) == 1


def test_a_config_file_that_the_user_may_not_read_is_one_message(engine: Engine, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "config.json").chmod(0o600)

    run = engine.run(
        "check", "--config", "/secrets/config.json", options=("--volume", f"{tmp_path}:/secrets:ro", "--user=1234")
    )

    assert run.returncode != 0
    assert "/secrets/config.json" in run.stdout
    assert "Traceback" not in run.stderr


def test_the_image_runs_as_a_user_without_rights(engine: Engine) -> None:
    run = engine.run("-c", "id -u; id -un; touch /opt/connector/x 2>&1", options=("--entrypoint=/bin/sh",))

    assert run.stdout.splitlines()[:2] == ["1000", "airbyte"]
    assert run.returncode != 0


def test_the_dependencies_bring_no_commands_of_their_own(engine: Engine) -> None:
    run = engine.run("/opt/connector/bin", options=("--entrypoint=ls",))

    assert [name for name in run.stdout.split() if not name.startswith("python")] == ["source-exact-online"]


def test_only_the_connector_is_added_to_the_path(engine: Engine) -> None:
    """A package's command would be found by whoever opens a shell in the container, and by scanners."""
    script = "for folder in $(echo $PATH | tr : ' '); do ls $folder; done"
    ours = engine.run("-c", script, options=("--entrypoint=/bin/sh",)).stdout.split()
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    base = engine.run("-c", script, options=("--entrypoint=/bin/sh", f"--env=PATH={path}")).stdout.split()

    added = {name for name in set(ours) - set(base) if not name.startswith("python")}
    assert added == {"source-exact-online"}


def test_airbytes_variable_names_the_entry_point(engine: Engine) -> None:
    image = inspected(engine)

    assert image["Entrypoint"] == ["/opt/connector/bin/source-exact-online"]
    assert "AIRBYTE_ENTRYPOINT=/opt/connector/bin/source-exact-online" in image["Env"]


def test_labels_say_version_source_and_licence(engine: Engine) -> None:
    labels = inspected(engine)["Labels"]
    metadata = yaml.safe_load((ROOT / "metadata.yaml").read_text(encoding="utf-8"))["data"]

    assert labels["io.airbyte.name"] == metadata["dockerRepository"]
    assert labels["io.airbyte.version"] == metadata["dockerImageTag"]
    assert labels["org.opencontainers.image.version"] == metadata["dockerImageTag"]
    assert labels["org.opencontainers.image.licenses"] == metadata["license"]
    assert labels["org.opencontainers.image.documentation"] == metadata["documentationUrl"]
    assert metadata["remoteRegistries"]["pypi"]["packageName"] in labels["org.opencontainers.image.source"]
    assert labels["org.opencontainers.image.revision"]


@pytest.mark.timeout(LARGE_RUN_SECONDS * 2)
def test_a_large_ledger_needs_no_more_than_256_megabytes(engine: Engine, tmp_path: Path) -> None:
    books = FullBooks(seed=1, token_life=600)
    division, ledger = books.divisions[0], "financialtransaction/TransactionLines"
    lines = itertools.islice(itertools.cycle(list(books.store.rows(division, ledger))), LEDGER_LINES)
    books.store.insert_many(division, ledger, ({**line, "ID": str(uuid4())} for line in lines))
    tmp_path.chmod(0o755)
    limits = ("--memory=256m", "--memory-swap=256m", "--network=host", "--volume", f"{tmp_path}:/secrets:ro")
    with books.server:
        for name, content in {"config": books.config(), "catalog": configured_catalog(["transaction_lines"])}.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
            (tmp_path / f"{name}.json").chmod(0o644)
        run = engine.run(
            *("read", "--config", "/secrets/config.json", "--catalog", "/secrets/catalog.json"),
            options=limits,
            seconds=LARGE_RUN_SECONDS,
        )

    assert run.returncode == 0, run.stdout[-4000:]
    assert run.stdout.count('"type":"RECORD"') == sum(books.store.count(one, ledger) for one in books.divisions)


def inspected(engine: Engine) -> dict[str, Any]:
    """The configuration of the image."""
    command = [engine.command, "image", "inspect", engine.image]
    (image,) = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    config: dict[str, Any] = image["Config"]
    return config
