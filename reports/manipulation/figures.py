"""The figures of the report of the manipulation probe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.factors import SHORT_LABELS
from reports.figures.grid import draw_panel
from reports.figures.manipulation import draw_edits, draw_responses, draw_side_effects
from reports.manipulation.labels import FAR, LABELS, SERIES
from reports.names import file_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from reports.manipulation.content import Content


def figures(content: Content) -> Iterator[tuple[str, Figure]]:
    """The figures of the report with their file names, drawn one by one."""
    yield (
        "transplant",
        draw_edits(content.transplant, series={**SERIES, **FAR}, labels=LABELS, unit="share of the way to the target"),
    )
    if len(content.removal):
        yield (
            "removal",
            draw_edits(
                content.removal, series=SERIES, labels=LABELS, unit="change, standard deviations (class: share)"
            ),
        )
    if len(content.directions):
        yield "responses", draw_responses(content.responses, labels=SHORT_LABELS)
        yield "side-effects", draw_side_effects(content.directions, labels=SHORT_LABELS)
    for panel in content.panels:
        yield file_name(panel.name), draw_panel(panel)
