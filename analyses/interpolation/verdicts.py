"""The verdicts of the interpolation probe (finding 4: the representation has a structure that can be explored).

What is compared, the test and the thresholds are stated here, before any encoder is measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from analyses.bootstrap import RESAMPLES, Estimate, interval
from analyses.findings import ERROR_RATE, Verdict, Word, aside, p_text, word_for
from analyses.interpolation.paths import (
    beyond_chance,
    distances,
    of_pairs,
    orders,
)
from analyses.paired import signed_rank
from analyses.statistics import mean, ratio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from analyses.statistics import Array, Statistic

INTERPOLATION = "interpolation"
"""The aspect of the finding."""

ORDERED = 0.5
"""Spearman's correlation above which factors count as following the path: large by Cohen's (1988) convention."""

PLACED = 0.5
"""Share of the way from chance to always, above which samples count as nearer to their own point than to both ends."""


@dataclass(frozen=True, eq=False)
class Criterion:
    """A number that a verdict asks to exceed a bound.

    Attributes:
        values: Of each pair of images, ``[N, ...]``.
        statistic: What is made of them.
        bound: The bound.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resamples.
    """

    values: Array
    statistic: Statistic
    bound: float
    resamples: int
    seed: int

    def estimate(self, error_rate: float = ERROR_RATE) -> Estimate:
        """The number, with the interval that misses with this probability."""
        return interval(self.values, self.statistic, level=1 - error_rate, resamples=self.resamples, seed=self.seed)


def word_of(criteria: Sequence[Criterion]) -> Word:
    """Supported where all intervals lie above their bounds, not supported where one lies below.

    All must hold for support: each at its own 95% bounds the error of them together. One failure is enough against it:
    there the error rate is shared out among them (Bonferroni).
    """
    return word_for(
        all(each.estimate().low > each.bound for each in criteria),
        any(each.estimate(ERROR_RATE / len(criteria)).high < each.bound for each in criteria),
    )


def interpolation_verdicts(
    records: pd.DataFrame, *, is_ssl: bool | None, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Verdict, ...]:
    """Finding 4, interpolation, for every level, on the first path.

    Args:
        records: Records of the interpolation probe, of one encoder.
        is_ssl: Whether the encoder is self-supervised, None if not known: the paper's claim is about those.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resamples.

    Returns:
        A verdict a level; none from a single pair.
    """
    right, wrong = (of_pairs(orders(records, shift)) for shift in (0, 1))
    criterion = partial(Criterion, resamples=resamples, seed=seed)
    encoder = str(records["encoder"].iloc[0])
    found: dict[str, Verdict] = {}
    for (level, path), apart, _ in distances(records):
        if level in found or len(apart) < 2:
            continue  # the first path alone is judged
        beyond = beyond_chance(apart)
        place = criterion(beyond, ratio, PLACED)
        about: dict[str, Any] = {"encoder": encoder, "level": level, "path": path, "is_ssl": is_ssl}
        if (level, path) in right:
            order = right[level, path]
            gain = (order - wrong.get((level, path), np.nan)).dropna().to_numpy()
            followed, led = criterion(order.to_numpy(), mean, ORDERED), criterion(gain, mean, 0.0)
            found[level] = _from_factors(followed, led, place, **about)
        else:
            found[level] = _from_distances(place, **about)
    return tuple(found.values())


def _from_factors(order: Criterion, gain: Criterion, place: Criterion, **about: Any) -> Verdict:
    """The verdict where factors are known."""
    followed, p_value = order.estimate(), signed_rank(order.values - ORDERED)
    criteria = order, gain, place
    return _verdict(
        followed,
        word_of(criteria),
        p_value,
        statistic="mean over pairs of Spearman's correlation of readings with the position, over differing factors",
        rule=(
            "Supported where three 95% intervals over pairs lie above their bounds: of the mean Spearman correlation "
            f"{ORDERED}, of its gain over readings scored towards another image 0, and of {_PLACE}, {PLACED}. Not "
            f"supported where one lies below (intervals of {1 - ERROR_RATE / len(criteria):.1%}, Bonferroni); else "
            f"inconclusive. p: Wilcoxon signed-rank, of the correlation against its bound. {_EACH_LEVEL}"
        ),
        evidence=(
            f"the factors in which A and B differ follow it with a mean Spearman correlation of {followed} "
            f"({followed.n} pairs, {p_text(p_value)} against {ORDERED}), {gain.estimate()} more than towards another "
            f"image, and {_own(place.estimate())}"
        ),
        **about,
    )


def _from_distances(place: Criterion, **about: Any) -> Verdict:
    """The verdict where no factors are known."""
    placed = place.estimate()
    return _verdict(
        placed,
        word_of((place,)),
        signed_rank(place.values[:, 0] - PLACED * place.values[:, 1]),
        statistic=_PLACE,
        rule=(
            "Without known factors, the verdict rests on distances alone: supported where the whole 95% interval of "
            f"{_PLACE}, lies above {PLACED}, not supported where it lies below, else inconclusive. p: Wilcoxon "
            f"signed-rank, against that bound. {_EACH_LEVEL}"
        ),
        evidence=f"{_own(placed)} ({placed.n} pairs). What the images show was not read, for nothing is known of them",
        **about,
    )


_PLACE = (
    "how often samples, encoded again, are nearer to their own point of the path than to both ends, from chance (0) to "
    "always (1)"
)

_EACH_LEVEL = "Each level is a verdict of its own, not corrected for the others."


def _own(place: Estimate) -> str:
    return (
        f"how often samples lie nearer to their own point than to both ends is {place} on a scale from chance (0) to "
        "always (1)"
    )


_OUTCOMES: Mapping[Word, str] = {
    "supported": "is drawn as images that change from A to B",
    "not supported": "falls short of images that change from A to B",
    "inconclusive": "may or may not be drawn as images that change from A to B",
}


def _verdict(
    value: Estimate,
    word: Word,
    p_value: float,
    *,
    statistic: str,
    rule: str,
    evidence: str,
    encoder: str,
    level: str,
    path: str,
    is_ssl: bool | None,
) -> Verdict:
    return Verdict.of(
        value,
        finding=4,
        claim=(
            f"The {level} has a structure that can be explored: a {path} path between two images is drawn as images "
            f"that change from the one to the other{aside(is_ssl)}."
        ),
        encoder=encoder,
        word=word,
        statistic=statistic,
        p_value=p_value,
        rule=rule,
        sentence=f"The {path} path through the {level} of {encoder} {_OUTCOMES[word]}: {evidence}.",
        aspect=INTERPOLATION,
        level=level,
    )
