"""What a reproduction found, from the finished runs of its probes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rcdm_probe.findings_table import findings_table, tally
from rcdm_probe.known_probes import load_probe
from rcdm_probe.reproduction_report.claims import CLAIMS
from rcdm_probe.reproduction_report.joining import side_by_side

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from rcdm_probe.reproduction_report.joining import Shown
    from reports.finished import FinishedRun
    from reports.panels import Panel


@dataclass(frozen=True)
class Content:
    """What a reproduction found.

    Attributes:
        parts: The finished run of every probe, in the order of the findings.
        kept: One picture of what each representation keeps; None without an RCDM.
        is_ssl: Of each encoder, whether it is self-supervised; None if not known.
        lacking: What could not be measured, with the reason.
        run: The content of ``run.json``.
    """

    parts: Sequence[FinishedRun]
    kept: Panel | None
    is_ssl: Mapping[str, bool | None]
    lacking: Mapping[str, str]
    run: dict[str, Any]

    @cached_property
    def findings(self) -> pd.DataFrame:
        """Every verdict of every probe, beside what the paper claims (`rcdm_probe.findings_table.findings_table`)."""
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
    def shown(self) -> dict[int, dict[str, list[Shown]]]:
        """What the section of each finding shows of each probe; 0: what is beyond the paper."""
        runs = {name: [part for part in self.parts if part.probe == name] for name in self.probes}
        return {
            finding: {name: list(side_by_side(load_probe(name), runs[name], finding)) for name in self.probes}
            for finding in (*CLAIMS, 0)
        }

    @property
    def probes(self) -> list[str]:
        """Names of the probes that were run, each once."""
        return list(dict.fromkeys(part.probe for part in self.parts))
