"""The figures of the report of the adversarial probe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probes.adversarial.robustness import NOISE
from reports.figures.grid import draw_panel
from reports.figures.robustness import draw_budgets, draw_gains, draw_rendered, draw_robustness
from reports.names import file_name
from reports.tables import rows_where

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from reports.adversarial.content import Content

_AXES = {
    "displacement": "displacement saved",
    "accuracy": "decisions saved",
    "rendered": "rendered classes saved",
}


def figures(content: Content) -> Iterator[tuple[str, Figure]]:
    """The figures of the report with their file names, drawn one by one."""
    first, reference = content.attacks[0], content.reference
    if len(content.comparison):
        yield "gains", draw_gains(content.comparison, aspects=_AXES, reference=reference)
    yield (
        "robustness",
        draw_robustness(
            content.robustness,
            attacks=[entry.name for entry in content.attacks],
            noise={entry.name: NOISE[entry.norm] for entry in content.attacks},
            units={entry.name: entry.unit for entry in content.attacks},
            reference=reference,
        ),
    )
    smallest, smallest_budgets = (rows_where(t, condition=first.name) for t in (content.smallest, content.budgets))
    if len(smallest):
        largest = float(smallest_budgets["largest"].max())
        yield (
            "smallest-budget",
            draw_budgets(smallest, attack=first.name, unit=first.unit, largest=largest, reference=reference),
        )
    if len(content.rendered):
        yield (
            "rendered",
            draw_rendered(
                content.rendered, attack=first.name, noise=NOISE[first.norm], unit=first.unit, reference=reference
            ),
        )
    for panel in content.panels:
        yield file_name(panel.name), draw_panel(panel)
