"""The verdicts of the interpolation probe (finding 4: the representation has a structure that can be explored).

What is compared, the test and the thresholds are stated here, before any encoder is measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analyses.bootstrap import RESAMPLES, Estimate, interval
from analyses.findings import Verdict, Word, aside, p_text, word_for
from analyses.interpolation.paths import (
    beyond_chance,
    distances,
    of_pairs,
    orders,
)
from analyses.interpolation.tables import means_of_pairs
from analyses.paired import signed_rank
from analyses.statistics import ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


ORDERED = 0.5
"""Spearman's correlation above which factors count as following the path: large by Cohen's (1988) convention."""

PLACED = 0.5
"""Share of the way from chance to always, above which samples count as nearest to their own point."""


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
    means = means_of_pairs(resamples, seed)
    found: dict[str, Verdict] = {}
    for (level, path), apart, _ in distances(records):
        if level in found or len(apart) < 2:
            continue  # the first path alone is judged
        beyond = beyond_chance(apart)
        place = interval(beyond, ratio, resamples=resamples, seed=seed)
        about = {"encoder": str(records["encoder"].iloc[0]), "level": level, "path": path, "is_ssl": is_ssl}
        if (level, path) in right:
            order = right[level, path]
            gain = means((order - wrong.get((level, path), np.nan)).dropna())
            p_value = signed_rank(order.to_numpy() - ORDERED)
            found[level] = _from_factors(means(order), gain, place, p_value, **about)
        else:
            found[level] = _from_distances(place, signed_rank(beyond[:, 0] - PLACED * beyond[:, 1]), **about)
    return tuple(found.values())


def _from_factors(order: Estimate, gain: Estimate, place: Estimate, p_value: float, **about: Any) -> Verdict:
    """The verdict where factors are known."""
    return _verdict(
        order,
        _word((order, ORDERED), (gain, 0.0), (place, PLACED)),
        p_value,
        statistic="mean over pairs of Spearman's correlation of readings with the position, over differing factors",
        rule=(
            "Supported where three 95% intervals over pairs lie above their bounds: that of the mean Spearman "
            f"correlation, over all factors in which A and B differ, above {ORDERED}; that of its gain over the same "
            f"readings scored against another image than B, above 0; and that of {_PLACE}, above {PLACED}. Not "
            "supported where one of them lies below its bound, else inconclusive. The p-value (Wilcoxon signed-rank, "
            "of the correlation against its bound) stands beside."
        ),
        evidence=(
            f"the factors in which A and B differ follow it with a mean Spearman correlation of {order} ({order.n} "
            f"pairs, {p_text(p_value)} against {ORDERED}), {gain} more than towards another image, and {_own(place)}"
        ),
        **about,
    )


def _from_distances(place: Estimate, p_value: float, **about: Any) -> Verdict:
    """The verdict where no factors are known."""
    return _verdict(
        place,
        _word((place, PLACED)),
        p_value,
        statistic="how often samples are nearest to their own point, as a share of the way from chance to always",
        rule=(
            "Without known factors, the verdict rests on distances alone: supported where the whole 95% interval of "
            f"{_PLACE}, lies above {PLACED}, not supported where it lies below, else inconclusive. The p-value "
            "(Wilcoxon signed-rank against that bound) stands beside."
        ),
        evidence=f"{_own(place)} ({place.n} pairs). What the images show was not read, for nothing is known of them",
        **about,
    )


_PLACE = (
    "how often samples, encoded again, are nearer to their own point of the path than to both ends, as a share of the "
    "way from chance to always"
)


def _own(place: Estimate) -> str:
    return f"how often samples lie nearest to their own point is {place} on a scale from chance (0) to always (1)"


def _word(*tests: tuple[Estimate, float]) -> Word:
    """All intervals above their bounds, or one below."""
    return word_for(
        all(estimate.low > bound for estimate, bound in tests), any(estimate.high < bound for estimate, bound in tests)
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
        aspect="interpolation",
        level=level,
    )
