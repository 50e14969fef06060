"""The figures of the report of the interpolation probe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyses.interpolation import ORDERED
from probes.interpolation.paths import CROSS_FADE
from reports.factors import FACTOR_LABELS, SHORT_LABELS
from reports.figures.grid import draw_panel
from reports.figures.interpolation import draw_approach, draw_orders, draw_trajectories
from reports.names import file_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from reports.interpolation.content import Content


def figures(content: Content) -> Iterator[tuple[str, Figure]]:
    """The figures of the report with their file names, drawn one by one."""
    for panel in content.panels:
        yield file_name(panel.name), draw_panel(panel)
    if len(content.orders):
        yield (
            "orders",
            draw_orders(
                content.factors,
                content.orders,
                path=content.paths[0],
                control=CROSS_FADE,
                bound=ORDERED,
                labels=FACTOR_LABELS,
            ),
        )
        yield "trajectories", draw_trajectories(content.trajectories, paths=content.paths, labels=SHORT_LABELS)
    yield "approach", draw_approach(content.approach, paths=content.paths)
