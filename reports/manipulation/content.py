"""What the report of the manipulation probe tells, as the floors below give it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from reports import style
from reports.manipulation.tables import printed_tables

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
        levels: `analyses.manipulation.level_table`.
        edits: `analyses.manipulation.edit_table`.
        removal: `analyses.manipulation.removal_table`; no rows where the data has no known factors.
        transplant: `analyses.manipulation.transplant_table`.
        directions: `analyses.manipulation.direction_table`; no rows where the data has no known factors.
        responses: `analyses.manipulation.response_table`; likewise.
        panels: Grids of images.
        verdicts: From `analyses.manipulation.manipulation_verdicts`.
        run: The content of ``run.json``.
    """

    levels: pd.DataFrame
    edits: pd.DataFrame
    removal: pd.DataFrame
    transplant: pd.DataFrame
    directions: pd.DataFrame
    responses: pd.DataFrame
    panels: Sequence[Panel]
    verdicts: Sequence[Verdict]
    run: Mapping[str, Any]

    @property
    def drawn(self) -> tuple[str, ...]:
        """Levels that were measured, backbone and projector first."""
        return style.ordered_levels(self.levels["level"])

    @property
    def given(self) -> bool:
        """Whether the user gave the image that was manipulated."""
        return bool(self.run["arguments"].get("given"))

    @property
    def gallery(self) -> int:
        """Images among which neighbours were sought: as many as asked for, room for pairs, no more than there are."""
        arguments = self.run["arguments"]
        return min(max(arguments["gallery"], 2 * arguments["images"]), self.run["data_card"]["images"])

    @property
    def quantile(self) -> str:
        """The quantile beyond which a dimension is active where a level is not sparse."""
        return f"{self.run['arguments']['quantile']:g}"

    @cached_property
    def printed(self) -> dict[str, Table]:
        """The tables of the report, by name."""
        return printed_tables(self)
