"""The figures of the report of the fidelity probe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probes.records import REAL
from reports.figures.fidelity import draw_copies, draw_levels, draw_solvers
from reports.figures.grid import draw_panel
from reports.names import file_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from reports.fidelity.content import Content


def figures(content: Content) -> Iterator[tuple[str, Figure]]:
    """The figures of the report with their file names, drawn one by one."""
    yield (
        "levels",
        draw_levels(
            content.ranks.merge(content.samples, on=["encoder", "level"]),
            titles={
                "mrr": "MRR", "frechet": content.distance, "precision": "precision", "recall": "recall",
            },
            floor=content.real,
            chance={"mrr": content.chance},
        ),
    )  # fmt: skip
    if len(content.solvers):
        chosen = (content.arguments["solver"], content.arguments["steps"])
        yield "solvers", draw_solvers(content.solvers, chosen=chosen, floor=content.floor, distance=content.distance)
    if len(content.copies):
        yield "copies", draw_copies(content.distances, content.copies, real=REAL)
    for panel in content.panels:
        yield file_name(panel.name), draw_panel(panel)
