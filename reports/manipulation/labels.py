"""What the edits, their controls and the factors are called in the report of the manipulation probe."""

from __future__ import annotations

from analyses.manipulation import ALL, ENCODED
from probes.manipulation.editing import EDITS
from reports.factors import FACTOR_LABELS

EDIT_LABELS = dict(
    zip(
        EDITS,
        (
            "own common dimensions removed",
            "as many random ones removed",
            "target's common dimensions put in",
            "as many random ones put in",
            "random ones put in until h moved as far",
        ),
        strict=True,
    )
)

SERIES = {"common": "common dimensions", "random": "as many random ones"}

FAR = {"far": "random ones, until h has moved as far"}

LABELS = {**FACTOR_LABELS, ALL: "mean over factors", ENCODED: "samples, encoded again"}
