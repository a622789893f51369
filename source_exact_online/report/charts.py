"""Charts as SVG, drawn by matplotlib: nothing to run in the browser, sharp on paper."""

from __future__ import annotations

import io
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from source_exact_online.report.books import BUCKETS, Month

BLUE, ORANGE, INK, GRID = "#0072B2", "#D55E00", "#1a1a1a", "#d9d9d9"
"""Blue and vermilion are told apart by people who do not see all colours."""
AGES = ("#56B4E9", "#F0E442", "#E69F00", "#D55E00", "#8C2D04")
WIDE, NARROW = 9.0, 3.7
"""Widths in inches, for a desk and for a phone."""
WIDE_MONTHS, NARROW_MONTHS = 24, 12

_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: sharp, searchable, in the reader's font
    "svg.hashsalt": "report",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GRID,
    "xtick.color": INK,
    "ytick.color": INK,
}


def result_by_month(months: Sequence[Month], *, width: float) -> str:
    """Draw revenue as bars and the result as a line."""
    shown = months[-(WIDE_MONTHS if width == WIDE else NARROW_MONTHS) :]
    figure, axes = _axes(width, 3.2)
    places = range(len(shown))
    axes.bar(places, [float(month.revenue) for month in shown], color=BLUE, width=0.7, label="Revenue")
    axes.plot(
        places, [float(month.result) for month in shown], color=ORANGE, marker="o", markersize=5, linewidth=2,
        label="Result", markeredgecolor="white",
    )  # fmt: skip
    axes.axhline(0, color=INK, linewidth=0.8)
    every = 3 if width == NARROW or len(shown) > NARROW_MONTHS else 1
    axes.set_xticks(list(places)[::every], [month.name for month in shown][::every])
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    _money(axes)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0)
    return _svg(figure)


def ageing(amounts: Sequence[Decimal], *, width: float) -> str:
    """Draw what customers owe by age, a bar for each age."""
    figure, axes = _axes(width, 2.3)
    places = range(len(amounts))
    axes.barh(places, [float(amount) for amount in amounts], color=AGES, edgecolor=INK, linewidth=0.5, height=0.7)
    axes.set_yticks(list(places), BUCKETS)
    axes.invert_yaxis()
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    _money(axes, "x")
    return _svg(figure)


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    return figure, axes


def _money(axes: Axes, which: str = "y") -> None:
    axis = axes.yaxis if which == "y" else axes.xaxis
    low, high = axes.get_ylim() if which == "y" else axes.get_xlim()
    largest = max(abs(low), abs(high))
    unit, name = (1_000_000, "m") if largest >= 2_000_000 else (1_000, "k") if largest >= 2_000 else (1, "")
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / unit:,.4g}{name if value else ''}"))
    axis.set_major_locator(MaxNLocator(5))


def _svg(figure: Figure) -> str:
    """Return the drawing as an element of a page, without size: the page decides."""
    text = io.StringIO()
    with mpl.rc_context(_STYLE):
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None})  # type: ignore[no-untyped-call]
    drawing = text.getvalue()
    begin = drawing.index("<svg")
    head, rest = drawing[begin:].split(">", 1)
    box = head.split('viewBox="')[1].split('"')[0]
    return f'<svg viewBox="{box}" aria-hidden="true">{rest}'
