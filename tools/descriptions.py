"""A sentence for every property: the reference's where it has one, else one made from name and type."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from tools.reference import Property

DESCRIPTIONS_FILE = Path(__file__).with_name("descriptions.yaml")
# "GLAccountCode" is GL, Account, Code; "Class_01" is Class, 01; "FreeTextField2" is Free, Text, Field, 2
_NAME_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z]|\d|_|$)|[A-Z]?[a-z]+|\d+")
_ENDINGS = (("FullName", "Full name"), ("Name", "Name"), ("Code", "Code"), ("Description", "Description"))


@dataclass(frozen=True, slots=True)
class Describer:
    """Writes descriptions; its attributes are the tables of descriptions.yaml."""

    properties: dict[str, str]
    words: dict[str, str]
    verbs: frozenset[str]
    notes: dict[str, dict[str, str]]
    dutch: dict[str, str]

    def describe(self, prop: Property, stream: str = "") -> str:
        """Return the description of a property in one line.

        After it come the meanings of its codes in brackets, what has to be known of it in a stream, and the Dutch word
        for it, under which it is looked for.
        """
        text = prop.description or self.properties.get(prop.name) or self._from_name(prop)
        if prop.values:
            text += f" ({', '.join(f'{code} = {meaning}' for code, meaning in prop.values.items())})"
        if (note := self.notes.get(stream, {}).get(prop.name)) is not None:
            text += f". {note}"
        return f"{text} [Dutch: {self.dutch[prop.name]}]" if prop.name in self.dutch else text

    def _from_name(self, prop: Property) -> str:
        parts = _NAME_PARTS.findall(prop.name)
        if prop.type == "Edm.Guid":
            return f"Identifier of the {self._phrase(parts)}"
        if prop.type == "Edm.Boolean":
            return self._flag(parts) or f"Whether it is marked as {self._phrase(parts)}"
        if prop.type == "Edm.Byte" and not prop.values and (flag := self._flag(parts)):
            return f"{flag} (1 = yes, 0 = no)"
        if prop.type == "Edm.String":
            for ending, words in _ENDINGS:
                if owner := _NAME_PARTS.findall(prop.name.removesuffix(ending)) if prop.name.endswith(ending) else []:
                    return f"{words} of the {self._phrase(owner)}"
        phrase = self._phrase(parts)
        return phrase[0].upper() + phrase[1:]

    def _flag(self, parts: list[str]) -> str | None:
        first, rest = parts[0], parts[1:]
        if rest and first == "Is":
            return f"Whether it is {self._phrase(rest)}"
        if rest and first == "Has":
            return f"Whether it has {self._phrase(rest)}"
        if not {"Is", "Are"}.isdisjoint(rest):
            return f"Whether {self._phrase(parts)}"
        if rest and first in self.verbs:
            return f"Whether to {self._phrase(parts)}"
        return None

    def _phrase(self, parts: list[str]) -> str:
        return " ".join(self.words.get(part, part.lower()) for part in parts)


def load_describer(file: Path = DESCRIPTIONS_FILE) -> Describer:
    """Return the describer with the tables of descriptions.yaml."""
    tables = yaml.safe_load(file.read_text(encoding="utf-8"))
    verbs = frozenset(tables["verbs"])
    return Describer(tables["properties"], tables["words"], verbs, tables["notes"], tables["dutch"])
