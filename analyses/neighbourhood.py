"""The tables and the verdict of neighbourhood sampling, functions of its records alone.

A number ``x`` with its 95% bootstrap interval is three columns, ``x``, ``x_low`` and ``x_high``; ``images`` is how many
pictures it rests on. Frechet distances are means of contributions (see `rcdm_core.fidelity`), so that they are
resampled without counting a picture twice. A distance is squared, as FID is.

The verdict (finding 4: a structure that can be explored) is stated here, before any encoder is measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyses.bootstrap import RESAMPLES, interval
from analyses.by_image import by_image
from analyses.columns import columns, estimate_of, headings
from analyses.findings import Verdict, aside, word_for
from analyses.statistics import mean, median

if TYPE_CHECKING:
    from analyses.statistics import Statistic

_MEASURES: dict[str, tuple[str, Statistic]] = {
    "frechet": ("frechet", mean), "diversity": ("diversity", mean), "nearest": ("nearest", median),
}  # fmt: skip
_COMPARED = (("between", "images"), ("gaussian", "between"), ("gaussian", "images"))

ASPECT = "neighbourhood"

RULE = (
    "The squared Frechet distance from real images of pictures drawn from a Gaussian fitted to the representations, "
    "minus that of pictures drawn from between neighbours. Supported where the whole 95% interval lies above 0, not "
    "supported where it lies below 0, else inconclusive; the distance belongs to the set, so that there is no test "
    "over single images beside."
)


def kind_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """How each kind of pictures compares with real images.

    Returns:
        One row a (``level``, ``kind``), real images first with an empty level: ``frechet``, the squared distance;
        ``diversity``, the mean distance of two pictures over that of two real images; ``nearest``, the median distance
        to the nearest image of the gallery, in the same unit; ``images``.
    """
    lines = []
    for (level, kind), rows in records.groupby(["level", "condition"], sort=False):
        values = by_image(rows, "measure")
        found = {
            name: interval(values[measure].to_numpy(), statistic, resamples=resamples, seed=seed)
            for name, (measure, statistic) in _MEASURES.items()
        }
        lines.append({"level": level, "kind": kind, **columns(found), "images": len(values)})
    return pd.DataFrame(lines, columns=["level", "kind", *headings(*_MEASURES), "images"])


def comparison_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """Frechet distance and diversity of one kind less those of another, from equal noise, picture by picture.

    Returns:
        One row a (``level``, ``first``, ``second``): ``frechet`` and ``diversity``, each the first minus the second;
        ``images``.
    """
    lines = []
    for level, rows in records[records["level"] != ""].groupby("level", sort=False):
        for first, second in _COMPARED:
            line: dict[str, float] = {}
            for name in ("frechet", "diversity"):
                measure, statistic = _MEASURES[name]
                values = by_image(rows[rows["measure"] == measure], "condition")
                found = interval((values[first] - values[second]).to_numpy(), statistic, resamples=resamples, seed=seed)
                line |= found.columns(name)
            lines.append({"level": level, "first": first, "second": second, **line, "images": found.n})
    return pd.DataFrame(lines, columns=["level", "first", "second", *headings("frechet", "diversity"), "images"])


def neighbourhood_verdicts(
    records: pd.DataFrame, *, is_ssl: bool | None, distance: str, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Verdict, ...]:
    """Finding 4 by neighbourhood sampling, for each level of the encoder of the records.

    Args:
        records: Records of neighbourhood sampling, of one encoder.
        is_ssl: Whether the encoder is self-supervised, None if not known: the paper's claim is about those.
        distance: What a squared Frechet distance is called in the feature space of the records.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resamples.
    """
    encoder = str(records["encoder"].iloc[0])
    kinds = kind_table(records, resamples=resamples, seed=seed).set_index(["level", "kind"])
    table = comparison_table(records, resamples=resamples, seed=seed)
    verdicts = []
    for _, row in table[(table["first"] == "gaussian") & (table["second"] == "between")].iterrows():
        level, gain = row["level"], estimate_of(row, "frechet")
        word = word_for(gain.low > 0, gain.high < 0)
        told = {kind: f"{kinds.loc[(level, kind), 'frechet']:.2f}" for kind in ("images", "between", "gaussian")}
        verdicts.append(
            Verdict.of(
                gain,
                finding=4,
                claim=(
                    f"At the {level} of {encoder}, representations between neighbours are drawn as images, more so "
                    f"than those of a Gaussian with the same mean and covariance{aside(is_ssl)}."
                ),
                encoder=encoder,
                word=word,
                statistic=f"{ASPECT}: {distance} from real images, Gaussian minus between neighbours",
                p_value=np.nan,
                rule=RULE,
                sentence=(
                    f"Drawn from between neighbours at the {level}, pictures have a {distance} of {told['between']} "
                    f"from real images, from a Gaussian {told['gaussian']}, from representations of real images "
                    f"{told['images']}: Gaussian minus between is {gain.signed()} "
                    f"({gain.n} pictures of each kind)."
                ),
                aspect=ASPECT,
                level=level,
            )
        )
    return tuple(verdicts)
