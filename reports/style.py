"""How every figure looks: sizes in millimetres as printed, two colours of lines and dots for two levels, one theme.

A figure is drawn at the size at which it is printed, so that a font of 7 pt is 7 pt on paper. Figures are plain
`matplotlib.figure.Figure` objects with the Agg canvas: no window, no global state, the same bytes on every machine.
Colours are those of Okabe and Ito (2008, "Color Universal Design") and two of Tol's, told apart by readers with any
colour vision and, since levels and encoders also differ in the shape of their marker, on a black-and-white print.
"""

from __future__ import annotations

import math
import re
from contextlib import contextmanager
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from rcdm_core.kept import atomic_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from numpy.typing import ArrayLike

TEXT_WIDTH = 170.0  # mm: the report's text block, and the widest that a figure may be
DPI = 300
SMALL, NORMAL = 7.0, 8.0  # pt, as printed
INK, MUTED, HAIR = "#1f2328", "#6b7280", "#d5d9de"

LEVEL_COLOURS = {"backbone": "#0072B2", "projector": "#D55E00"}
_LEVEL_MARKERS = {"backbone": "o", "projector": "D"}
GREEN, PINK, SKY, AMBER, WINE, OLIVE = _OTHERS = "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#882255", "#999933"
_OTHER_MARKERS = ("s", "^", "v", "P", "X")  # of colours one more: the first to look like another is the 31st

DASHED = (0, (4, 2))
LEGEND, _LINE = 6.0, 4.5  # mm: a line of a legend below the plots, and another one
TITLE = 3.5  # mm: another line of a title

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
    "text.parse_math": False,  # a name with dollars is no formula
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


@contextmanager
def theme() -> Iterator[None]:
    """Within it, matplotlib draws in the project's theme; outside, the user's own settings stay as they were.

    It is a decorator as well, of a function that draws.
    """
    from reports.canvas import DEFAULTS, mpl, sns

    with mpl.rc_context({**DEFAULTS, **sns.axes_style("ticks"), **_THEME}):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of the given size in millimetres, as printed."""
    from reports.canvas import Figure, FigureCanvasAgg

    figure = Figure(figsize=(width / 25.4, height / 25.4), dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def small_plots(count: int, across: int, height: float, **shared: Any) -> tuple[Figure, Sequence[Axes]]:
    """A figure of plots in lines, and these; behind them the free places of the last line, which are empty.

    Args:
        count: How many.
        across: In a line.
        height: Of a line, in mm.
        **shared: Which axes they share.
    """
    lines = math.ceil(count / across)
    figure = new_figure(TEXT_WIDTH, height * lines)
    plots = figure.subplots(lines, across, squeeze=False, **shared).ravel()
    for axes in plots[count:]:
        axes.set_axis_off()
    return figure, plots


def save(figure: Figure, folder: Path, name: str) -> Path:
    """Write ``name.png`` (300 dpi) and ``name.svg`` (text as outlines) into a folder; give the path of the SVG."""
    from matplotlib.layout_engine import PlaceHolderLayoutEngine

    with theme():
        if isinstance(figure.get_layout_engine(), PlaceHolderLayoutEngine):  # left by `tight_layout`, and it lays out
            figure.set_layout_engine(None)  # nothing more, but a figure that has one is drawn before it is drawn
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
    others = other_looks()
    return {
        level: (LEVEL_COLOURS[level], _LEVEL_MARKERS[level]) if level in LEVEL_COLOURS else next(others)
        for level in ordered_levels(levels)
    }


def encoder_looks(encoders: Iterable[str], reference: str) -> dict[str, tuple[str, str]]:
    """Colour and marker of each encoder of a run: the reference in ink and first, the others in order."""
    others = zip((name for name in encoders if name != reference), other_looks(), strict=False)
    return {reference: (INK, "o"), **dict(others)}


def other_looks() -> Iterator[tuple[str, str]]:
    """Colours and markers that no level of their own has."""
    return zip(cycle(_OTHERS), cycle(_OTHER_MARKERS), strict=True)


def entry(label: str, marker: str = "", colour: str = INK, **look: Any) -> Line2D:
    """An entry of a legend: a marker alone, unless a line is asked for, or there is no marker."""
    from reports.canvas import Line2D

    return Line2D([], [], color=colour, label=label, **{"marker": marker, "ls": "none" if marker else "-", **look})


def level_handles(levels: Iterable[str], line: str = "none") -> list[Line2D]:
    """Entries of the levels."""
    return [entry(level, marker, colour, ls=line) for level, (colour, marker) in level_looks(levels).items()]


def ticks(axis: Axis, most: int = 9, *, apart: float = 0.0, **how: Any) -> None:
    """Ticks at round numbers: so many steps at the ``most``, or as far ``apart``; how else, as `MaxNLocator` has it."""
    from matplotlib.ticker import MaxNLocator, MultipleLocator

    axis.set_major_locator(MultipleLocator(apart) if apart else MaxNLocator(most, **how))


def shifts(count: int, reach: float = 0.16) -> Sequence[float]:
    """How far above its row each of several series stands, so that none covers another."""
    return np.linspace(reach, -reach, count).tolist() if count > 1 else [0.0]


def dots(
    axes: Axes, rows: pd.DataFrame, name: str, y: ArrayLike, look: tuple[str, str], label: str = "", filled: bool = True
) -> None:
    """Numbers, each a dot on the line of its interval.

    Args:
        axes: Where.
        rows: With the column ``name``, its ``_low`` and ``_high``.
        name: Of the number.
        y: Height of each row, ``[N]``.
        look: Colour and marker.
        label: Of the dots in a legend.
        filled: Whether dots are full.
    """
    colour, marker = look
    face, edge, width, size = (colour, "white", 0.4, 4.2) if filled else ("white", colour, 1.0, 3.6)
    axes.hlines(y, rows[f"{name}_low"], rows[f"{name}_high"], color=colour, lw=1.2)
    clipped = rows[name].isna().all()  # a dot on the edge is whole; but the layout must make no room for none
    axes.plot(rows[name], y, marker, mfc=face, mec=edge, mew=width, ms=size, clip_on=clipped, label=label)


def curve(axes: Axes, rows: pd.DataFrame, name: str, look: tuple[str, str], band: float = 0.15, **line: Any) -> None:
    """A number against the column ``strength``: a line with dots, in the band of its interval; nothing of no rows.

    Args:
        axes: Where.
        rows: With the columns ``strength`` and ``name``, its ``_low`` and ``_high``; without a row of no strength the
            number is 0 there.
        name: Of the number.
        look: Colour and marker.
        band: How dark the band is, up to 1; 0 draws none.
        **line: How else the line is drawn.
    """
    if rows.empty:
        return
    colour, marker = look
    points = rows.set_index("strength")[[name, f"{name}_low", f"{name}_high"]]
    if 0.0 not in points.index:
        points.loc[0.0] = 0.0
    points = points.sort_index()
    axes.plot(points[name], color=colour, **{"marker": marker, "ms": 3.2, "mec": "white", "mew": 0.4, **line})
    if band:
        axes.fill_between(points.index, points[f"{name}_low"], points[f"{name}_high"], color=colour, alpha=band, lw=0)


def as_list(
    axes: Axes, labels: Sequence[str] = (), *, title: str = "", colour: str = INK, unit: str = "", down: bool = False
) -> None:
    """A plot whose rows are the lines of a list: named at the left, with a rule each instead of an axis.

    Args:
        axes: The plot; of several that share their rows one needs the labels.
        labels: Of the rows, from below, or ``down`` from above.
        title: Of the plot, in a ``colour``.
        colour: Of the title.
        unit: What the numbers are.
        down: Whether the first is above.
    """
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_title(title, loc="left", color=colour)
    axes.set_xlabel(unit)
    if labels:
        ends = (-0.6, len(labels) - 0.4)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(*(reversed(ends) if down else ends))


def folded(title: str, letters: int) -> str:
    """A title in lines of so many letters, broken after a part of a name such as ``timm/vit_small_patch16_224``."""
    lines = [""]
    for part in re.findall(rf"[^-/_. ]{{1,{letters - 1}}}[-/_. ]?|[-/_. ]", title):
        if lines[-1] and len(lines[-1] + part) > letters:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def legend_below(figure: Figure, *others: Artist, unit: str = "", left: float = 0.0, apart: float = 1.5) -> None:
    """Lay a figure out, with a legend below its plots: of all in them that has a label, each label once.

    Args:
        figure: With all else drawn, and room for one line of a legend; it grows by those that the entries need besides.
        *others: Further entries.
        unit: What stands below all plots together.
        left: What is left free beside the plots, as a share of the width.
        apart: Between plots, in letters.
    """
    drawn = [artist for axes in figure.axes for artist in axes.get_legend_handles_labels()[0]]
    entries = {str(artist.get_label()): artist for artist in (*drawn, *others)}
    for across in range(len(entries), 0, -1):
        drawn_legend = figure.legend(
            handles=list(entries.values()), loc="lower left", ncols=across, bbox_to_anchor=(0, 0), columnspacing=1.2,
            handlelength=1.6, markerscale=1.2,
        )  # fmt: skip
        if across == 1 or drawn_legend.get_window_extent().width <= figure.bbox.width:
            break
        drawn_legend.remove()
    more = _LINE * (math.ceil(len(entries) / across) - 1)
    legend, height = LEGEND + more, 25.4 * figure.get_figheight() + more
    figure.set_figheight(height / 25.4)
    if unit:
        figure.supxlabel(unit, fontsize=NORMAL, y=legend / height)
    figure.tight_layout(pad=0.3, h_pad=1.2, w_pad=apart, rect=(left, (legend + bool(unit)) / height, 1, 1))
