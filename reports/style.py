"""How every figure looks: sizes in millimetres as printed, two colours that always mean the same levels, one theme.

A figure is drawn at the size at which it is printed, so that a font of 7 pt is 7 pt on paper. Figures are plain
`matplotlib.figure.Figure` objects with the Agg canvas: no window, no global state, the same bytes on every machine.
Colours are those of Okabe and Ito (2008, "Color Universal Design"), told apart by readers with any colour vision and,
since levels also differ in the shape of their marker, on a black-and-white print.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rcdm_core.kept import atomic_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

TEXT_WIDTH = 170.0  # mm: the report's text block, and the widest that a figure may be
DPI = 300
SMALL, NORMAL = 7.0, 8.0  # pt, as printed
INK, MUTED, HAIR = "#1f2328", "#6b7280", "#d5d9de"

LEVEL_COLOURS = {"backbone": "#0072B2", "projector": "#D55E00"}
_LEVEL_MARKERS = {"backbone": "o", "projector": "D"}
_OTHER_COLOURS = ("#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_OTHER_MARKERS = ("s", "^", "v", "P", "X")

TRAINED = "●"  # stands, in every figure and table, before a transformation that the encoder was trained with

_THEME: dict[Any, Any] = {
    **sns.axes_style("ticks"),
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": SMALL,
    "axes.titlesize": NORMAL,
    "axes.titleweight": "bold",
    "axes.labelsize": NORMAL,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.0,
    "grid.color": HAIR,
    "grid.linewidth": 0.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "rcdm-probe",
}


_DEFAULTS = {name: value for name, value in mpl.rcParamsDefault.items() if not name.startswith("backend")}
"""What a matplotlibrc of the user's may have set otherwise; which windows open is left to them."""


@contextmanager
def theme() -> Iterator[None]:
    """Within it, matplotlib draws in the project's theme; outside, the user's own settings stay as they were."""
    with mpl.rc_context({**_DEFAULTS, **_THEME}):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of the given size in millimetres, as printed."""
    figure = Figure(figsize=(width / 25.4, height / 25.4), dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, folder: Path, name: str) -> Path:
    """Write ``name.png`` (300 dpi) and ``name.svg`` (text as outlines) into a folder; give the path of the SVG."""
    with theme():
        with atomic_path(folder / f"{name}.png") as temporary:
            figure.savefig(temporary, dpi=DPI, metadata={"Software": None}, pil_kwargs={"compress_level": 3})
        with atomic_path(folder / f"{name}.svg") as temporary:
            figure.savefig(temporary, dpi=DPI, metadata={"Date": None, "Creator": None})
    return folder / f"{name}.svg"


def ordered_levels(levels: Iterable[str]) -> tuple[str, ...]:
    """The distinct levels, backbone and projector first, others as they come."""
    present = dict.fromkeys(levels)
    return (
        *(level for level in LEVEL_COLOURS if level in present),
        *(level for level in present if level not in LEVEL_COLOURS),
    )


def level_looks(levels: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each level, in the order of `ordered_levels`. Backbone and projector never change theirs."""
    others = iter(zip(_OTHER_COLOURS * 9, _OTHER_MARKERS * 9, strict=True))
    return {
        level: (LEVEL_COLOURS[level], _LEVEL_MARKERS[level]) if level in LEVEL_COLOURS else next(others)
        for level in ordered_levels(levels)
    }


def level_handles(levels: Iterable[str], *, line: bool = False) -> list[Line2D]:
    """Legend entries of the levels."""
    return [
        Line2D([], [], color=colour, marker=marker, linestyle="-" if line else "none", label=level)
        for level, (colour, marker) in level_looks(levels).items()
    ]
