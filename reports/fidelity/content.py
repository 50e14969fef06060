"""What the report of the fidelity probe tells, as the floors below give it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from probes.records import REAL
from reports.fidelity.tables import printed_tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from analyses.bootstrap import Estimate
    from probes.panels import Panel
    from reports.tables import Table


@dataclass(frozen=True)
class Content:
    """Everything that the report tells, as the floors below give it.

    Args:
        ranks: `analyses.fidelity.ranks_table`.
        sets: `analyses.fidelity.sets_table`.
        copies: `analyses.fidelity.copies_table`; no rows where no training images were at hand.
        solvers: `analyses.fidelity.solvers_table`; no rows where solvers were not compared.
        floor: `analyses.fidelity.solvers_floor`.
        distances: The records ``nearest_training``.
        panels: Grids of images.
        run: The content of ``run.json``.
    """

    ranks: pd.DataFrame
    sets: pd.DataFrame
    copies: pd.DataFrame
    solvers: pd.DataFrame
    floor: Estimate
    distances: pd.DataFrame
    panels: Sequence[Panel]
    run: Mapping[str, Any]

    @cached_property
    def printed(self) -> dict[str, Table]:
        """The tables of the report, by name."""
        return printed_tables(self)

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments of the run."""
        return self.run["arguments"]

    @property
    def distance(self) -> str:
        """What a squared Frechet distance is called in the feature space of the run."""
        return self.run["features_card"]["distance"]

    @property
    def score(self) -> str:
        """What an Inception score is called there; empty where there is none."""
        return self.run["features_card"]["score"]

    @property
    def samples(self) -> pd.DataFrame:
        """The rows of `sets` that are of samples."""
        return self.sets[self.sets["encoder"] != REAL]

    @property
    def real(self) -> pd.Series:
        """The row of `sets` that is of real images."""
        return self.sets[self.sets["encoder"] == REAL].iloc[0]

    @property
    def swept(self) -> str:
        """Encoder and level on which solvers were compared."""
        return self.arguments["swept_level"]

    @property
    def gallery(self) -> int:
        """Among how many images ranks are taken."""
        return self.run["study_card"]["gallery"]

    @property
    def chance(self) -> float:
        """MRR of a random order of the gallery."""
        return sum(1 / rank for rank in range(1, self.gallery + 1)) / self.gallery
