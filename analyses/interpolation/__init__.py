"""What the records of the interpolation probe say: its tables, and its verdicts on finding 4."""

from analyses.interpolation.tables import (
    ORDER,
    WRONG_END,
    approach_table,
    class_table,
    comparison_table,
    distance_table,
    factor_table,
    order_table,
    trajectory_table,
)
from analyses.interpolation.verdicts import INTERPOLATION, ORDERED, PLACED, interpolation_verdicts

__all__ = [
    "INTERPOLATION",
    "ORDER",
    "ORDERED",
    "PLACED",
    "WRONG_END",
    "approach_table",
    "class_table",
    "comparison_table",
    "distance_table",
    "factor_table",
    "interpolation_verdicts",
    "order_table",
    "trajectory_table",
]
