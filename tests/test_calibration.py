"""Words are false in no more than 5% of worlds where there is nothing to say, and intervals hold the truth in 95%.

Small here; ``python tests/calibrated.py`` is the large one, whose tables stand in docs/calibration.md.
"""

from __future__ import annotations

import pytest
from calibrated import INTERVALS, NULLS, TRUTHS, covered, false_words, words_of

RUNS, IMAGES, RESAMPLES = 200, 24, 300


def beyond(rate: float) -> float:
    """Three standard errors of a share of the runs: a sound rule goes beyond in one test of a thousand."""
    return 3 * (rate * (1 - rate) / RUNS) ** 0.5


@pytest.mark.parametrize("null", NULLS)
def test_where_there_is_nothing_words_are_seldom_said(null: str) -> None:
    assert false_words(null, IMAGES, RUNS, RESAMPLES) <= 0.05 + beyond(0.05)


@pytest.mark.parametrize("truth", TRUTHS)
def test_where_there_is_something_the_opposite_is_not_said(truth: str) -> None:
    rule, right = TRUTHS[truth]
    said = words_of(rule, IMAGES, RUNS, RESAMPLES)
    assert said["not supported" if right == "supported" else "supported"] <= 0.05


@pytest.mark.parametrize("of", INTERVALS)
def test_intervals_hold_the_truth(of: str) -> None:
    assert covered(of, IMAGES, RUNS, RESAMPLES) >= 0.95 - beyond(0.95)
