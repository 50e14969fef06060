"""The figures of the report of neighbourhood sampling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probes.records import REAL
from reports.figures.grid import draw_panel
from reports.figures.neighbourhood import draw_kinds
from reports.names import file_name
from reports.neighbourhood.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from reports.neighbourhood.content import Content


def figures(content: Content) -> Iterator[tuple[str, Figure]]:
    """The figures of the report with their file names, drawn one by one."""
    yield "kinds", draw_kinds(content.kinds, real=REAL, labels=KINDS, distance=content.distance)
    for panel in content.panels:
        yield file_name(panel.name), draw_panel(panel)
