"""A short run of each target of `make fuzz`, always with the same inputs, and the runner itself."""

from __future__ import annotations

import pytest

from fuzz import __main__ as runner
from fuzz.mutations import corpus, property_of
from fuzz.targets import TARGETS, Target

EXAMPLES = 60


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of warnings about damaged states would be kept for a report that nobody reads."""
    caplog.set_level("CRITICAL")


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_every_input_of_the_corpus_is_borne(target: Target) -> None:
    inputs = corpus(target)
    for data in inputs:
        target.check(data)
    assert len(inputs) == len(set(inputs)) >= 6


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_so_is_what_becomes_of_it(target: Target) -> None:
    property_of(target, EXAMPLES, seed_number=0)()


def test_every_corpus_has_its_target() -> None:
    assert {file.stem for file in TARGETS[0].corpus.parent.iterdir()} == {target.name for target in TARGETS}


def test_a_run_ends_badly_and_names_the_target_and_the_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def dates(data: bytes) -> None:
        if b"+" in data:
            raise RuntimeError(f"cannot bear {data!r}")

    monkeypatch.setattr(runner, "TARGETS", (Target(dates, (b"+",)),))
    monkeypatch.setattr(runner.importlib.util, "find_spec", lambda _: None)

    assert runner.main(["--seconds", "1", "--seed", "1"]) == 1

    said = capsys.readouterr().out
    assert "failed: dates" in said
    assert "cannot bear" in said


def test_a_run_takes_the_targets_that_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner.importlib.util, "find_spec", lambda _: None)

    assert runner.main(["--seconds", "0", "dates"]) == 0

    assert "nothing found" in capsys.readouterr().out
