"""A reference beside each other encoder, on images that both get right.

An image counts once: its displacement, and whether its decision and its rendered class hold, are averaged over the
budgets of the grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from analyses.adversarial.by_encoder import by_strength, right_images
from analyses.bootstrap import RESAMPLES, interval
from analyses.columns import headings
from analyses.paired import holm, rank_biserial, signed_rank
from analyses.statistics import mean, median

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyses.statistics import Statistic

ASPECTS = ("displacement", "accuracy", "rendered")
"""What a comparison can be about; the three are kept apart, because they can disagree."""


@dataclass(frozen=True)
class Gain:
    """What one encoder gains over the reference in one aspect.

    Attributes:
        gain: Of each image, above 0 where the encoder is the more robust.
        statistic: What stands for all images.
    """

    gain: pd.Series
    statistic: Statistic


def comparison_table(
    records: pd.DataFrame, reference: str, attack: str, *, resamples: int = RESAMPLES, seed: int = 0
) -> pd.DataFrame:
    """What each encoder gains over the reference, image by image, over all budgets of an attack.

    Args:
        records: Records of the probe.
        reference: The encoder that the others are compared with.
        attack: The attack.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resamples.

    Returns:
        One row an (``encoder``, ``aspect``), aspects as `ASPECTS`: ``gain``, above 0 where the encoder is more robust
        than the reference (see `gains`); Wilcoxon's ``p_value``; ``p_holm``, corrected over the encoders of an aspect;
        the rank-biserial ``effect``; ``images``. What was not measured has no row.
    """
    lines = []
    for encoder in dict.fromkeys(records["encoder"]):
        if encoder == reference:
            continue
        for aspect, found in gains(records, reference, encoder, attack):
            differences = found.gain.to_numpy()
            estimate = interval(differences, found.statistic, resamples=resamples, seed=seed)
            lines.append(
                {
                    "encoder": encoder,
                    "aspect": aspect,
                    **estimate.columns("gain"),
                    "p_value": signed_rank(differences),
                    "effect": rank_biserial(differences),
                    "images": estimate.n,
                }
            )
    table = pd.DataFrame(lines, columns=["encoder", "aspect", *headings("gain"), "p_value", "effect", "images"])
    corrected = table.groupby("aspect")["p_value"].transform(holm)
    table.insert(table.columns.get_loc("effect"), "p_holm", corrected.astype(float))
    return table


def gains(records: pd.DataFrame, reference: str, encoder: str, attack: str) -> Iterator[tuple[str, Gain]]:
    """The paired differences behind `comparison_table`, for the aspects that were measured; of no image, maybe.

    * displacement: relative displacement of the reference minus that of the encoder, mean over budgets; median.
    * accuracy: share of budgets at which the decision is right, encoder minus reference; mean.
    * rendered: share of budgets at which the judge has lost the class that it saw in the sample from ``h(x)`` (minus
      that at which it has found it), reference minus encoder; mean.
    """
    both = right_images(records, reference) & right_images(records, encoder)
    sides = {}
    for name in (reference, encoder):
        moved = by_strength(records, name, "relative_displacement", attack).mean(axis=1)
        right = by_strength(records, name, "correct", attack).mean(axis=1)
        seen = by_strength(records, name, "class_seen", attack).mean(axis=1)
        before = by_strength(records, name, "class_seen", "").mean(axis=1)
        sides[name] = {"displacement": -moved, "accuracy": right, "rendered": seen - before}
    asked = ("displacement", "accuracy") if (records["measure"] == "correct").any() else ("displacement",)
    for aspect in ASPECTS:
        gain = (sides[encoder][aspect] - sides[reference][aspect]).dropna()
        gain = gain[gain.index.isin(both)].sort_index()
        if len(gain) or aspect in asked:
            yield aspect, Gain(gain, median if aspect == "displacement" else mean)
