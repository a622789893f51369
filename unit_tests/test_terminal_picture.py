"""The picture of a terminal shows what was printed, where it was printed."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from tools.terminal_picture import CELL_WIDTH, COLOURS, FOREGROUND, MARGIN, Run, Style, main, picture, runs, without

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> dict[str, ElementTree.Element]:
    return {element.text or "": element for element in ElementTree.fromstring(svg).iter(f"{SVG}text")}


def test_runs_keep_their_columns_and_leave_out_wide_gaps() -> None:
    assert runs("  accounts   72  yes no") == [
        Run(2, "accounts", Style()),
        Run(13, "72", Style()),
        Run(17, "yes no", Style()),
    ]


def test_sequences_set_the_style_and_take_no_room() -> None:
    assert runs("a \x1b[1;36mb\x1b[0m \x1b[Kc") == [
        Run(0, "a", Style()),
        Run(2, "b", Style(COLOURS[36], True)),
        Run(4, "c", Style()),
    ]


def test_text_stands_at_its_column_and_is_as_wide_as_its_characters() -> None:
    shown = texts(picture("x    12.50\n", "title"))["12.50"]
    assert float(shown.attrib["x"]) == round(MARGIN + 5 * CELL_WIDTH, 1)
    assert float(shown.attrib["textLength"]) == round(5 * CELL_WIDTH, 1)
    assert shown.attrib["fill"] == FOREGROUND


def test_markup_in_what_was_printed_stays_text() -> None:
    assert "a <b> & c" in texts(picture("a <b> & c", "t"))


def test_a_bar_is_as_long_as_its_blocks() -> None:
    root = ElementTree.fromstring(picture("██▌", "t"))
    bar = [rect for rect in root.iter(f"{SVG}rect") if rect.attrib.get("fill") == FOREGROUND]
    assert [float(rect.attrib["width"]) for rect in bar] == [round(2.5 * CELL_WIDTH, 1)]


def test_paragraphs_can_be_left_out_by_their_heading() -> None:
    printed = "\n title\n\n \x1b[1mWho owes most?\x1b[0m\n  Jansen  12\n\n last\n"
    assert without(printed, ["Who owes"]) == " title\n\n last\n"


def test_the_command_writes_the_file(tmp_path: Path) -> None:
    printed, svg = tmp_path / "printed", tmp_path / "picture.svg"
    printed.write_text("\x1b[32m✓\x1b[0m done\n", encoding="utf-8")
    main([str(printed), str(svg), "--title", "make demo"])
    assert set(texts(svg.read_text(encoding="utf-8"))) == {"make demo", "✓", "done"}
