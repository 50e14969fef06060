"""The figures of the report of the reproduction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from probes.invariance import NEGLIGIBLE
from probes.transformations import TRANSFORMATIONS
from reports.figures.displacement import draw_by_encoder
from reports.figures.grid import draw_panel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from rcdm_probe.reproduction_report.content import Content
    from rcdm_probe.reproduction_report.part import Part


def figures(content: Content) -> Iterator[tuple[str, Figure]]:
    """The figures that are drawn anew, with their file names."""
    if content.kept is not None:
        yield "kept", draw_panel(content.kept)
    if content.of("invariance"):
        moved = pd.concat([_at_reference(part) for part in content.of("invariance")], ignore_index=True)
        measured = set(moved["condition"])
        yield (
            "by-encoder",
            draw_by_encoder(
                moved,
                labels={name: t.label for name, t in TRANSFORMATIONS.items() if name in measured},
                trained={
                    p.encoders[0]: p.run["encoder_card"]["training_augmentations"] for p in content.of("invariance")
                },
                negligible=NEGLIGIBLE,
            ),
        )


def _at_reference(part: Part) -> pd.DataFrame:
    """The displacement table of an invariance run, each transformation at its reference dose, with its encoder."""
    table = part.tables["displacement"]
    references = table["condition"].map({name: t.reference for name, t in TRANSFORMATIONS.items()})
    return table[table["strength"] == references].assign(encoder=part.encoders[0])
