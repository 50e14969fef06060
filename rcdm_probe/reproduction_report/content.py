"""What the report of the reproduction tells, as the floors below give it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rcdm_probe.findings_table import findings_table, tally
from rcdm_probe.reproduction_report.tables import printed_tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from rcdm_probe.reproduction_report.part import Part
    from reports.panels import Panel
    from reports.tables import Table


@dataclass(frozen=True)
class Content:
    """Everything that the report tells.

    Attributes:
        parts: Finished runs, in the order of the findings.
        kept: One picture of what each representation keeps; None without an RCDM.
        is_ssl: Of each encoder, whether it is self-supervised; None if not known.
        lacking: What could not be measured, with the reason.
        run: The content of ``run.json``.
    """

    parts: Sequence[Part]
    kept: Panel | None
    is_ssl: Mapping[str, bool | None]
    lacking: Mapping[str, str]
    run: Mapping[str, Any]

    @cached_property
    def findings(self) -> pd.DataFrame:
        """Every verdict beside the paper (`rcdm_probe.findings_table.findings_table`)."""
        verdicts = [
            part.tables["verdicts"].assign(reference=part.run["arguments"].get("reference", ""))
            for part in self.parts
            if "verdicts" in part.tables
        ]
        return findings_table(verdicts, self.is_ssl)

    @cached_property
    def tally(self) -> pd.DataFrame:
        """How many encoders agree with the paper (`rcdm_probe.findings_table.tally`)."""
        return tally(self.findings)

    @cached_property
    def printed(self) -> dict[str, Table]:
        """The tables that are made anew, by name."""
        return printed_tables(self)

    def of(self, probe: str) -> list[Part]:
        """The parts of a probe."""
        return [part for part in self.parts if part.probe == probe]
