"""What the report of the interpolation probe tells, as the floors below give it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from reports import style
from reports.interpolation.tables import printed_tables

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
        orders: `analyses.interpolation.order_table`; like the next three, no rows where no factors are known.
        factors: `analyses.interpolation.factor_table`.
        trajectories: `analyses.interpolation.trajectory_table`.
        classes: `analyses.interpolation.class_table`.
        distances: `analyses.interpolation.distance_table`.
        approach: `analyses.interpolation.approach_table`.
        comparison: `analyses.interpolation.comparison_table`.
        panels: Strips.
        verdicts: From `analyses.interpolation.interpolation_verdicts`; none from a single pair.
        run: The content of ``run.json``.
    """

    orders: pd.DataFrame
    factors: pd.DataFrame
    trajectories: pd.DataFrame
    classes: pd.DataFrame
    distances: pd.DataFrame
    approach: pd.DataFrame
    comparison: pd.DataFrame
    panels: Sequence[Panel]
    verdicts: Sequence[Verdict]
    run: Mapping[str, Any]

    @cached_property
    def printed(self) -> dict[str, Table]:
        """The tables of the report, by name."""
        return printed_tables(self)

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels that were drawn from, backbone and projector first."""
        return style.ordered_levels(self.distances["level"])

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths, that of the verdicts first, and last their control."""
        return tuple(dict.fromkeys(self.distances["path"]))

    @property
    def given(self) -> tuple[str, ...]:
        """The two images that were given; none where pairs were drawn."""
        return tuple(self.run["arguments"].get("given", ()))
