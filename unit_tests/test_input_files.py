"""Files of the command line, as editors and shells write them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from source_exact_online.input_files import EmptyFileError, read_json

DOCUMENT = {"site": "nl", "name": "Café €"}


def written(folder: Path, content: bytes) -> str:
    path = folder / "file.json"
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_document_is_read_in_the_encoding_that_it_has(encoding: str, indent: int | None, tmp_path: Path) -> None:
    text = json.dumps(DOCUMENT, ensure_ascii=False, indent=indent)

    assert read_json(written(tmp_path, text.encode(encoding)), "STATE") == DOCUMENT


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_messages_are_those_that_matter_and_the_first(encoding: str, tmp_path: Path) -> None:
    messages = [{"type": "LOG"}, {"type": "RECORD"}, {"type": "STATE", "state": {}}, {"type": "RECORD"}]
    text = "".join(json.dumps(one) + "\n" for one in messages)

    found = read_json(written(tmp_path, text.encode(encoding)), "STATE")

    assert found == [messages[0], messages[2]]


def test_blank_lines_after_a_document_make_no_messages_of_it(tmp_path: Path) -> None:
    assert read_json(written(tmp_path, b"[1]\n\n \n"), "STATE") == [1]


@pytest.mark.parametrize("content", [b"", b" \n\n", b"\xef\xbb\xbf"])
def test_nothing_is_told_from_nonsense(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(EmptyFileError):
        read_json(written(tmp_path, content), "STATE")


@pytest.mark.parametrize("content", [b"{", b"{} {}", b"{}\n{}", b"caf\xe9", b'{"a": 1,}'])
def test_what_is_no_json_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"line|decode"):
        read_json(written(tmp_path, content))


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs named files of open pipes")
def test_a_pipe_is_read_as_the_shell_gives_it() -> None:
    """`--catalog <(source-exact-online catalog)`."""
    reading, writing = os.pipe()
    os.write(writing, b'\xef\xbb\xbf{"streams": []}')
    os.close(writing)

    assert read_json(f"/dev/fd/{reading}") == {"streams": []}
