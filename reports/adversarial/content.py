"""What the report of the adversarial probe tells, as the floors below give it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from probes.adversarial.attacks import ATTACKS
from reports.adversarial.tables import printed_tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from analyses.findings import Verdict
    from probes.adversarial.attacks import Entry
    from probes.panels import Panel
    from rcdm_core.linear_classifier import LinearClassifier
    from reports.tables import Table


@dataclass(frozen=True)
class Content:
    """Everything that the report tells, as the floors below give it.

    Args:
        robustness: `analyses.adversarial.robustness_table`.
        budgets: `analyses.adversarial.budget_table`; no rows without labels.
        rendered: `analyses.adversarial.rendered_table`; no rows without an RCDM and a judge.
        effort: `analyses.adversarial.effort_table`; no rows without an iterated attack.
        transfers: `analyses.adversarial.transfer_table`; no rows without labels, or for a single encoder.
        gradients: `analyses.adversarial.gradient_table`.
        controls: `analyses.adversarial.controls_table`.
        comparison: `analyses.adversarial.comparison_table`.
        smallest: The records ``smallest_budget``.
        panels: Grids of images.
        classifiers: The linear classifier on each encoder; none without labels.
        verdicts: From `analyses.adversarial.robustness_verdicts`.
        run: The content of ``run.json``.
    """

    robustness: pd.DataFrame
    budgets: pd.DataFrame
    rendered: pd.DataFrame
    effort: pd.DataFrame
    transfers: pd.DataFrame
    gradients: pd.DataFrame
    controls: pd.DataFrame
    comparison: pd.DataFrame
    smallest: pd.DataFrame
    panels: Sequence[Panel]
    classifiers: Mapping[str, LinearClassifier]
    verdicts: Sequence[Verdict]
    run: Mapping[str, Any]

    @cached_property
    def printed(self) -> dict[str, Table]:
        """The tables of the report, by name."""
        return printed_tables(self)

    @property
    def reference(self) -> str:
        """Name of the encoder that the others are compared with."""
        return self.run["arguments"]["reference"]

    @property
    def beside_supervised(self) -> bool:
        """Whether the comparison is the paper's: its reference is an encoder that is not self-supervised."""
        return self.run["encoder_cards"][self.reference]["self_supervised"] is False

    @property
    def decided(self) -> bool:
        """Whether there are labels, and so decisions."""
        return bool(self.classifiers)

    @property
    def attacks(self) -> tuple[Entry, ...]:
        """The attacks, that of the verdicts first."""
        return tuple(ATTACKS[name] for name in self.run["arguments"]["attacks"])

    @property
    def encoders(self) -> tuple[str, ...]:
        """Names of the encoders, the reference first."""
        return tuple(dict.fromkeys(self.robustness["encoder"]))

    @property
    def undrawn(self) -> tuple[str, ...]:
        """Names of the encoders that no RCDM draws from."""
        return tuple(name for name in self.encoders if f"rcdm of {name}" not in self.run["hashes"])
