"""What the records of the adversarial probe say: its tables, the paired comparison, and its verdicts on finding 3."""

from analyses.adversarial.comparison import ASPECTS, comparison_table
from analyses.adversarial.tables import (
    budget_table,
    controls_table,
    effort_table,
    gradient_table,
    rendered_table,
    robustness_table,
    transfer_table,
)
from analyses.adversarial.verdicts import ERRING, RULE, VANISHING, doubts, robustness_verdicts

__all__ = [
    "ASPECTS",
    "ERRING",
    "RULE",
    "VANISHING",
    "budget_table",
    "comparison_table",
    "controls_table",
    "doubts",
    "effort_table",
    "gradient_table",
    "rendered_table",
    "robustness_table",
    "robustness_verdicts",
    "transfer_table",
]
