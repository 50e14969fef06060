"""What the records of the invariance probe say: its tables, and its verdicts on findings 1 and 2."""

from analyses.invariance.references import reference_strengths
from analyses.invariance.tables import (
    PAIR,
    comparison_table,
    displacement_table,
    factor_table,
    readability_table,
    variance_table,
)
from analyses.invariance.verdicts import NEGLIGIBLE, invariance_verdicts

__all__ = [
    "NEGLIGIBLE",
    "PAIR",
    "comparison_table",
    "displacement_table",
    "factor_table",
    "invariance_verdicts",
    "readability_table",
    "reference_strengths",
    "variance_table",
]
