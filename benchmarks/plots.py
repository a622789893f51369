"""Two kinds of plots as SVG: bars beside each other, and small panels that show how something grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH = 760
FONT = 'font-family="system-ui, sans-serif" font-size="13"'
BACKGROUND, INK, FAINT, LINE = "#ffffff", "#1f2933", "#6b7785", "#d8dee6"
OURS, OTHERS = "#0b7285", "#adb5bd"


def bars(title: str, values: Mapping[str, float], unit: str, ours: str) -> str:
    """Return horizontal bars, one below the other.

    Args:
        title: of the plot.
        values: length of each bar by its name.
        unit: of the values.
        ours: the bar that stands out.
    """
    left, row, top = 190, 34, 50
    longest = max(values.values())
    parts = [_text(20, 28, title, weight="600")]
    for number, (name, value) in enumerate(values.items()):
        y = top + number * row
        width = (WIDTH - left - 110) * value / longest
        colour = OURS if name == ours else OTHERS
        parts.append(_text(left - 10, y + 17, name, anchor="end"))
        parts.append(f'<rect x="{left}" y="{y}" width="{width:.1f}" height="24" rx="3" fill="{colour}"/>')
        parts.append(_text(left + width + 8, y + 17, f"{value:.1f} {unit}", FAINT))
    return _document(top + len(values) * row + 12, title, parts)


@dataclass(frozen=True, slots=True)
class Panel:
    """One curve.

    Attributes:
        title: what grows.
        points: x and y.
        x: what the horizontal axis counts.
        form: format of a value of the vertical axis.
    """

    title: str
    points: Sequence[tuple[float, float]]
    x: str
    form: str


def panels(title: str, shown: Sequence[Panel]) -> str:
    """Return panels side by side; each vertical axis begins at zero, so that what is flat looks flat."""
    gap, height, top = 34, 150, 84
    width = (WIDTH - 40 - gap * (len(shown) - 1)) / len(shown)
    parts = [_text(20, 28, title, weight="600")]
    for number, panel in enumerate(shown):
        left = 20 + number * (width + gap)
        right_x, top_y = max(x for x, _ in panel.points), max(y for _, y in panel.points) * 1.25 or 1.0
        at = [(left + (width - 30) * x / right_x, top + height - height * y / top_y) for x, y in panel.points]
        parts.append(_text(left, top - 22, panel.title))
        parts.append(f'<path d="M{left:.1f} {top}V{top + height}H{left + width:.1f}" fill="none" stroke="{LINE}"/>')
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in at)
        parts.append(f'<path d="M{path}" fill="none" stroke="{OURS}" stroke-width="2"/>')
        for (x, y), (name, value) in zip(at, panel.points, strict=True):
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{OURS}"/>')
            parts.append(_text(x, y - 9, panel.form.format(value), anchor="middle"))
            parts.append(_text(x, top + height + 18, f"{name:,.0f}", FAINT, anchor="middle"))
        parts.append(_text(left + width, top + height + 36, panel.x, FAINT, anchor="end"))
    return _document(top + height + 52, title, parts)


def _text(x: float, y: float, text: str, colour: str = INK, *, anchor: str = "start", weight: str = "400") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(text)}</text>"
    )


def _document(height: float, title: str, parts: Sequence[str]) -> str:
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" {FONT}>',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height:.0f}" fill="{BACKGROUND}"/>',
        *parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
