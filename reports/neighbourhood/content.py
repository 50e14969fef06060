"""What the report of neighbourhood sampling tells, as the floors below give it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from reports import style
from reports.neighbourhood.tables import printed_tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from analyses.findings import Verdict
    from probes.panels import Panel
    from reports.tables import Table


@dataclass(frozen=True)
class Content:
    """Everything that the report tells, as the floors below give it.

    Args:
        kinds: `analyses.neighbourhood.kind_table`.
        comparison: `analyses.neighbourhood.comparison_table`.
        panels: Grids of images.
        verdicts: From `analyses.neighbourhood.neighbourhood_verdicts`.
        distance: What a squared Frechet distance is called in the feature space, such as ``FD-judge``.
        run: The content of ``run.json``.
    """

    kinds: pd.DataFrame
    comparison: pd.DataFrame
    panels: Sequence[Panel]
    verdicts: Sequence[Verdict]
    distance: str
    run: Mapping[str, Any]

    @property
    def drawn(self) -> tuple[str, ...]:
        """Levels that were drawn from, backbone and projector first."""
        return style.ordered_levels(level for level in self.kinds["level"] if level)

    @cached_property
    def printed(self) -> dict[str, Table]:
        """The tables of the report, by name."""
        return printed_tables(self)
