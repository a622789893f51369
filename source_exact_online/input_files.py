"""The JSON files of the command line, in the encodings that editors and shells write them in."""

from __future__ import annotations

import io
import json
from typing import Any


class EmptyFileError(ValueError):
    """There is nothing in a file."""


def read_json(path: str, message_type: str = "") -> Any:  # noqa: ANN401 - JSON
    """Return the JSON document in a file; a byte order mark is no part of it.

    Args:
        path: of the file.
        message_type: type of Airbyte's messages that matter in a file that holds one message a line, as connectors
            print them: there may be millions of others. Empty = no such file is expected.

    Returns:
        The document; of a file of messages a list: the first of them, and those that may be of that type.

    Raises:
        OSError: the file cannot be read.
        ValueError: it does not hold JSON.
    """
    with open(path, "rb") as raw:  # opened once: the shell's <(...) cannot be read twice
        file = io.TextIOWrapper(raw, json.detect_encoding(raw.peek(4)[:4]))
        first = file.readline()
        try:
            document = json.loads(first)
        except ValueError:  # a document of many lines, or none
            text = first + file.read()
            if not text.strip():
                raise EmptyFileError("it is empty") from None
            return json.loads(text)
        if not message_type:
            return json.loads(first + file.read())
        messages, is_alone = [document], True
        for line in file:
            is_alone = is_alone and not line.strip()
            if f'"{message_type}"' in line:
                messages.append(json.loads(line))
        if is_alone:
            return document
        return messages
