"""The figures of the report of the invariance probe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyses.invariance import NEGLIGIBLE
from probes.transformations import TRANSFORMATIONS
from reports.factors import FACTOR_LABELS
from reports.figures.displacement import draw_displacement
from reports.figures.dose_response import draw_dose_response
from reports.figures.factors import draw_factors
from reports.figures.grid import draw_panel
from reports.figures.maps import draw_maps
from reports.invariance.panels import beside
from reports.names import file_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from reports.invariance.content import Content


def figures(content: Content) -> Iterator[tuple[str, Figure]]:
    """The figures of the report with their file names, drawn one by one."""
    yield (
        "displacement",
        draw_displacement(
            content.at_reference,
            content.readability,
            labels=content.labels,
            trained=content.trained,
            negligible=NEGLIGIBLE,
        ),
    )
    yield (
        "dose-response",
        draw_dose_response(
            content.displacement,
            labels=content.labels,
            units={name: t.unit for name, t in TRANSFORMATIONS.items()},
            references={name: t.reference for name, t in TRANSFORMATIONS.items()},
            trained=content.trained,
        ),
    )
    if len(content.factors):
        yield "factors", draw_factors(content.factors, labels=FACTOR_LABELS)
    for panel in (*content.panels, *beside(content.panels)):
        yield file_name(panel.name), draw_panel(panel)
    for map_ in content.maps:
        yield file_name(map_.name), draw_maps(map_)
