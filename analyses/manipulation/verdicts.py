"""The verdicts of the manipulation probe (finding 4: the representation has a structure that can be explored).

What is compared, the test and the thresholds are stated here, before any encoder is measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyses.bootstrap import RESAMPLES, interval
from analyses.columns import estimate_of
from analyses.findings import Verdict, aside, p_text, rule_of_gain, word_of_gain
from analyses.manipulation.readings import ENCODED, slopes_of_images
from analyses.manipulation.tables import ALL, edit_table, transplant_table
from analyses.paired import holm, rank_biserial, signed_rank
from analyses.statistics import mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd


LEAST_IMAGES = 20
"""Below, there is no verdict."""

MANIPULATION, DIRECTIONS = "manipulation", "directions"
"""The two aspects of the finding."""

_RULES = {
    MANIPULATION: (
        "The share of the way to the target that transplanting the target's common dimensions takes what is drawn, "
        "minus that of as many random dimensions; mean over the factors, where there are any, else of the samples "
        "encoded again. "
    ),
    DIRECTIONS: (
        "Along the direction of a factor, the change of that factor for each standard deviation, minus the mean "
        "absolute change of the other factors; mean over the factors. Noise alone gives a value below 0. "
    ),
}


def manipulation_verdicts(
    records: pd.DataFrame, *, is_ssl: bool | None, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Verdict, ...]:
    """Finding 4 by manipulation, for each level of the encoder of the records and both aspects.

    Args:
        records: Records of the manipulation probe, of one encoder.
        is_ssl: Whether the encoder is self-supervised, None if not known: the paper's claim is about those.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resamples.

    Returns:
        The verdicts that the records allow: at least `LEAST_IMAGES` images; for the directions, known factors.
    """
    if records.empty:
        return ()
    encoder = str(records["encoder"].iloc[0])
    return (
        *_transplanted(records, encoder, aside(is_ssl), resamples, seed),
        *_directed(records, encoder, aside(is_ssl), resamples, seed),
    )


def _transplanted(records: pd.DataFrame, encoder: str, comparison: str, resamples: int, seed: int) -> Iterator[Verdict]:
    table = transplant_table(records, resamples=resamples, seed=seed)
    moved = edit_table(records, resamples=resamples, seed=seed).set_index(["level", "edit"])["moved"]
    by_factors = (table["factor"] == ALL).any()
    rows = table[(table["factor"] == (ALL if by_factors else ENCODED)) & (table["images"] >= LEAST_IMAGES)]
    what = "the factors of what is drawn" if by_factors else "what is drawn, encoded again,"
    for (_, row), p in zip(rows.iterrows(), holm(rows["p_value"]), strict=True):
        level, gain = row["level"], estimate_of(row, "gain")
        word = word_of_gain(gain, p)
        yield Verdict.of(
            gain,
            finding=4,
            claim=(
                f"At the {level} of {encoder}, the dimensions that a target shares with its neighbours take more of "
                f"the target with them than as many random dimensions{comparison}."
            ),
            encoder=encoder,
            word=word,
            statistic=(
                f"{MANIPULATION}: share of the way to the target, common minus random dimensions, "
                f"{'mean over factors' if by_factors else 'of the samples encoded again'}"
            ),
            p_value=float(p),
            rule=_RULES[MANIPULATION] + rule_of_gain("levels"),
            sentence=(
                f"Put into another image's h at the {level}, a target's common dimensions take {what} "
                f"{estimate_of(row, 'common')} of the way to the target, as many random ones "
                f"{estimate_of(row, 'random')}: {gain.signed()} ({gain.n} images, {p_text(p)}, rank-biserial "
                f"{row['effect']:.2f}). They move h itself by {moved[level, 'transplanted']:.2f} and "
                f"{moved[level, 'transplanted_random']:.2f} of the distance to another image; beside random dimensions "
                "that move it as far, the gain is "
                f"{estimate_of(row, 'gain_far').signed()}."
            ),
            aspect=MANIPULATION,
            level=level,
        )


def _directed(records: pd.DataFrame, encoder: str, comparison: str, resamples: int, seed: int) -> Iterator[Verdict]:
    own, side = {}, {}
    for level, slopes in slopes_of_images(records).items():
        numbers = {key: values for key, values in slopes.items() if key[1] != "class"}
        own[level] = np.mean([values for (moved, read), values in numbers.items() if moved == read], axis=0)
        side[level] = np.mean([np.abs(values) for (moved, read), values in numbers.items() if moved != read], axis=0)
    levels = [level for level in own if len(own[level]) >= LEAST_IMAGES]
    p_values = holm([signed_rank(own[level] - side[level]) for level in levels])
    for level, p in zip(levels, p_values, strict=True):
        difference = own[level] - side[level]
        gain, itself, others = (
            interval(values, mean, resamples=resamples, seed=seed) for values in (difference, own[level], side[level])
        )
        yield Verdict.of(
            gain,
            finding=4,
            claim=(
                f"At the {level} of {encoder}, moving along the linear direction of a factor changes that factor in "
                f"what is drawn, by more than it changes others{comparison}."
            ),
            encoder=encoder,
            word=word_of_gain(gain, p),
            statistic=f"{DIRECTIONS}: own change minus mean absolute change of the others, for each standard deviation",
            p_value=float(p),
            rule=_RULES[DIRECTIONS] + rule_of_gain("levels"),
            sentence=(
                f"One standard deviation along a factor's direction at the {level} changes the factor by {itself} of "
                f"its own standard deviations in what is drawn, and another factor by {others} in either sense: "
                f"{gain.signed()} ({gain.n} images, {p_text(p)}, rank-biserial {rank_biserial(difference):.2f})."
            ),
            aspect=DIRECTIONS,
            level=level,
        )
