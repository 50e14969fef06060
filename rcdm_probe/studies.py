"""What all studies have in common.

A study is prepared (everything is loaded and checked, nothing is computed), conducted (probe, then statistics) and
saved (report, figures, tables).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rcdm_probe import runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from analyses.findings import Verdict
    from probes.panels import Panel


@dataclass(frozen=True)
class ProbeResult(ABC):
    """What a study of one probe found.

    Attributes:
        records: Every measurement, one a row.
        panels: Labelled grids of pictures.
        tables: Summaries with 95% intervals, by name.
        verdicts: The findings tested.
        run: Where the numbers come from: the content of ``run.json``.
    """

    records: pd.DataFrame
    panels: tuple[Panel, ...]
    tables: Mapping[str, pd.DataFrame]
    verdicts: tuple[Verdict, ...]
    run: runs.Facts

    def save(self, folder: str | Path) -> Path:
        """Write report, figures, tables, records and ``run.json``.

        Args:
            folder: Where; made if it is not there.

        Returns:
            Path of the PDF report.

        Raises:
            UserError: The folder cannot be written.
        """
        return runs.save(Path(folder), records=self.records, facts=self.run, write=self._write)

    @abstractmethod
    def _write(self, folder: Path) -> Path:
        """Write the report with its figures and tables; gives the path of the PDF."""
