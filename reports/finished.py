"""A finished run as its folder tells it: what a report over several runs is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from reports.blocks import figure_name
from reports.names import file_name
from reports.panels import read_panel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from reports.blocks import Block
    from reports.panels import Panel


@dataclass(frozen=True)
class FinishedRun:
    """A finished run of one probe.

    Attributes:
        probe: Name of the probe.
        encoders: Encoders that it measured.
        folder: The run folder.
        run: The content of its ``run.json``.
        document: Its report as plain data: the content of ``report.json``.
        tables: Its tables as numbers, by file name.
    """

    probe: str
    encoders: tuple[str, ...]
    folder: Path
    run: Mapping[str, Any]
    document: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]

    @property
    def prefix(self) -> str:
        """What its figures are called by, among those of other runs."""
        return file_name("-".join([self.probe, *(self.encoders if len(self.encoders) == 1 else ())]))

    def panel(self, name: str) -> Panel | None:
        """A panel of its report by file name; None where the figure of that name is none, or an older run's."""
        path = self.folder / "figures" / f"{name}.npz"
        return read_panel(path) if path.is_file() else None

    def shown(self) -> dict[tuple[str, str], Block]:
        """Every figure and table of its report, in order, by kind and file name."""
        blocks = [block for section in self.document["sections"] for block in section["blocks"]]
        named = [
            (block, figure_name(block) or block.get("name"))
            for block in (self.document.get("figure"), *blocks)
            if block
        ]
        return {(block["kind"], name): block for block, name in named if name}


def joined(runs: Sequence[FinishedRun], table: str) -> pd.DataFrame:
    """A table of runs on one encoder each, one under the other; the first column tells the ``encoder``."""
    told = [(run.encoders[0], run.tables[table]) for run in runs if table in run.tables]
    return pd.concat([rows.assign(encoder=name)[["encoder", *rows]] for name, rows in told], ignore_index=True)
