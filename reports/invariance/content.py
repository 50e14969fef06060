"""What the report of the invariance probe tells, as the floors below give it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from probes.transformations import TRANSFORMATIONS
from reports import style
from reports.invariance.tables import printed_tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from analyses.findings import Verdict
    from probes.panels import Map, Panel
    from reports.tables import Table


@dataclass(frozen=True)
class Content:
    """Everything that the report tells, as the floors below give it.

    Args:
        displacement: `analyses.invariance.displacement_table`.
        readability: `analyses.invariance.readability_table`.
        factors: `analyses.invariance.factor_table`; no rows where the data has no known factors.
        variance: `analyses.invariance.variance_table`; no rows without an RCDM.
        comparison: `analyses.invariance.comparison_table`; no rows without two levels.
        panels: Grids of images; none without an RCDM.
        maps: Maps over pixels; none without an RCDM.
        verdicts: From `analyses.invariance.invariance_verdicts`.
        trained: Names of the transformations that the encoder was trained with.
        run: The content of ``run.json``.
    """

    displacement: pd.DataFrame
    readability: pd.DataFrame
    factors: pd.DataFrame
    variance: pd.DataFrame
    comparison: pd.DataFrame
    panels: Sequence[Panel]
    maps: Sequence[Map]
    verdicts: Sequence[Verdict]
    trained: Sequence[str]
    run: Mapping[str, Any]

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels that were measured, backbone and projector first."""
        return style.ordered_levels(self.displacement["level"])

    @property
    def drawn(self) -> tuple[str, ...]:
        """Levels from which samples were drawn; none without an RCDM."""
        return style.ordered_levels(self.variance["level"])

    @property
    def labels(self) -> dict[str, str]:
        """The transformations that were measured, as printed."""
        measured = set(self.displacement["condition"])
        return {name: t.label for name, t in TRANSFORMATIONS.items() if name in measured}

    def marked(self, condition: str) -> str:
        """A transformation as printed, with a mark where the encoder was trained with it."""
        label = self.labels[condition]
        return f"{style.TRAINED} {label}" if condition in self.trained else label

    @cached_property
    def printed(self) -> dict[str, Table]:
        """The tables of the report, by name."""
        return printed_tables(self)

    @property
    def at_reference(self) -> pd.DataFrame:
        """`displacement` at each transformation's reference dose."""
        references = self.displacement["condition"].map({name: t.reference for name, t in TRANSFORMATIONS.items()})
        return self.displacement[self.displacement["strength"] == references]
