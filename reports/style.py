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
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rcdm_core.kept import atomic_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

TEXT_WIDTH = 170.0  # mm: the report's text block, and the widest that a figure may be
DPI = 300
SMALL, NORMAL = 7.0, 8.0  # pt, as printed
INK, MUTED, HAIR = "#1f2328", "#6b7280", "#d5d9de"

LEVEL_COLOURS = {"backbone": "#0072B2", "projector": "#D55E00"}
_LEVEL_MARKERS = {"backbone": "o", "projector": "D"}
_OTHER_COLOURS = ("#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_OTHER_MARKERS = ("s", "^", "v", "P", "X")

DASHED = (0, (4, 2))
LEGEND = 6.0  # mm: a line of a legend below the plots

TRAINED = "●"  # stands, in every figure and table, before a transformation that the encoder was trained with

_THEME: dict[Any, Any] = {
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
    """Within it, matplotlib draws in the project's theme; outside, the user's own settings stay as they were.

    It is a decorator as well, of a function that draws.
    """
    import seaborn as sns

    with mpl.rc_context({**_DEFAULTS, **sns.axes_style("ticks"), **_THEME}):
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


def shifts(count: int, reach: float = 0.16) -> Sequence[float]:
    """How far above its row each of several series stands, so that none covers another."""
    return np.linspace(reach, -reach, count).tolist() if count > 1 else [0.0]


def dots(
    axes: Axes, rows: pd.DataFrame, name: str, y: ArrayLike, look: tuple[str, str], *, filled: bool = True
) -> None:
    """Numbers, each a dot on the line of its interval.

    Args:
        axes: Where.
        rows: With the column ``name``, its ``_low`` and ``_high``.
        name: Of the number.
        y: Height of each row, ``[N]``.
        look: Colour and marker.
        filled: Whether dots are full.
    """
    colour, marker = look
    face, edge, width, size = (colour, "white", 0.4, 4.2) if filled else ("white", colour, 1.0, 3.6)
    axes.hlines(y, rows[f"{name}_low"], rows[f"{name}_high"], color=colour, lw=1.2)
    # A dot on the edge is whole; where there is none, the layout must not make room for it.
    axes.plot(rows[name], y, marker, mfc=face, mec=edge, mew=width, ms=size, clip_on=rows[name].isna().all())


def as_list(axes: Axes, labels: Sequence[str] = (), *, down: bool = False) -> None:
    """A plot whose rows are the lines of a list: named at the left, with a rule each instead of an axis.

    Args:
        axes: The plot; of several that share their rows one needs the labels.
        labels: Of the rows, from below, or ``down`` from above.
        down: Whether the first is above.
    """
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    if labels:
        ends = (-0.6, len(labels) - 0.4)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(*(reversed(ends) if down else ends))


def legend_below(figure: Figure, handles: Sequence[Artist], *, left: float = 0.0, above: float = 0.0) -> None:
    """Lay a figure out, with a legend in a line below its plots.

    Args:
        figure: With all else drawn.
        handles: Entries of the legend.
        left: What is left free beside the plots, as a share of the width.
        above: mm between the legend and the plots.
    """
    figure.legend(
        handles=list(handles), loc="lower left", ncols=len(handles), bbox_to_anchor=(0, 0), columnspacing=1.2,
        handlelength=1.6,
    )  # fmt: skip
    bottom = (LEGEND + above) / (25.4 * figure.get_figheight())
    figure.tight_layout(pad=0.3, h_pad=1.2, w_pad=1.5, rect=(left, bottom, 1, 1))
