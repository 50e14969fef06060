"""What the records of the manipulation probe say: its tables, and its verdicts on finding 4."""

from analyses.manipulation.readings import ENCODED
from analyses.manipulation.tables import (
    ALL,
    direction_table,
    edit_table,
    level_table,
    removal_table,
    response_table,
    transplant_table,
)
from analyses.manipulation.verdicts import DIRECTIONS, LEAST_IMAGES, MANIPULATION, manipulation_verdicts

__all__ = [
    "ALL",
    "DIRECTIONS",
    "ENCODED",
    "LEAST_IMAGES",
    "MANIPULATION",
    "direction_table",
    "edit_table",
    "level_table",
    "manipulation_verdicts",
    "removal_table",
    "response_table",
    "transplant_table",
]
