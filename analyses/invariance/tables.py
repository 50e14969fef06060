"""The tables of the invariance probe: what its records say about each level, with intervals over images.

Each table is a function of the records alone, so `records.parquet` is enough to make every number of a report again. A
number ``x`` with its 95% bootstrap interval is three columns, ``x``, ``x_low`` and ``x_high``; ``images`` is how many
it rests on; what was not measured is NaN. Rows come in the order in which levels and conditions first appear in the
records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyses.bootstrap import RESAMPLES, Estimate, interval
from analyses.by_image import by_image, measured
from analyses.columns import columns, headings
from analyses.invariance.references import reference_displacements, reference_strengths
from analyses.paired import compare, holm
from analyses.statistics import auc, mean, mean_reciprocal, median, r2, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analyses.statistics import Statistic

PAIR = ("backbone", "projector")

_DISPLACEMENT: dict[str, tuple[str, Statistic]] = {
    "relative_displacement": ("relative_displacement", median),
    "cosine": ("cosine", median),
    "mrr": ("rank", mean_reciprocal),
    "rank": ("rank", median),
}
_MISSING = Estimate(np.nan, np.nan, np.nan, 0)


def displacement_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """How far each dose moves ``h``, and whether the original is still the nearest image.

    Returns:
        One row a (``level``, ``condition``, ``strength``), strengths ascending: medians ``relative_displacement``,
        ``cosine`` and ``rank``, and ``mrr``, the mean of 1 / rank; ``images``.
    """

    def estimates(rows: pd.DataFrame) -> dict[str, Estimate]:
        values = by_image(rows, "measure")
        return {
            name: interval(values[measure], statistic, resamples=resamples, seed=seed)
            if measure in values
            else _MISSING
            for name, (measure, statistic) in _DISPLACEMENT.items()
        }

    rows = measured(records, *(measure for measure, _ in _DISPLACEMENT.values()))
    return _table(rows, ["level", "condition", "strength"], tuple(_DISPLACEMENT), estimates)


def readability_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """How well a linear readout of ``h`` tells that a transformation was applied, and how strongly.

    Returns:
        One row a (``level``, ``condition``): ``auc`` of telling transformed from untouched images (chance 0.5), ``r2``
        of the predicted strength (chance 0; NaN for a transformation of a single dose, where it would say no more than
        ``auc``); ``images``.
    """

    def estimates(rows: pd.DataFrame) -> dict[str, Estimate]:
        scores = by_image(measured(rows, "applied_score"), "strength")
        doses = by_image(measured(rows, "strength_predicted"), "strength")
        true = np.broadcast_to(doses.columns.to_numpy(dtype=np.float64), doses.shape)
        pairs = np.stack([true, doses.to_numpy()], axis=-1)[:, :, None]
        return {
            "auc": interval(scores, auc, resamples=resamples, seed=seed) if scores.shape[1] == 2 else _MISSING,
            "r2": interval(pairs, r2, resamples=resamples, seed=seed) if (doses.columns > 0).sum() > 1 else _MISSING,
        }

    return _table(
        measured(records, "applied_score", "strength_predicted"), ["level", "condition"], ("auc", "r2"), estimates
    )


def factor_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """How much of each known factor is present in ``h``, and how much is rendered in the samples.

    Accuracy for ``class``; R2 for the others, jointly over cosine and sine where a factor is circular. All samples of
    an image count, and are drawn together in the bootstrap.

    Returns:
        One row a (``level``, ``factor``): ``present``, ``rendered``; ``chance``, the score of the best constant answer
        (share of the commonest class, R2 of 0); ``images``, and how many of them were ``rendered_images``.
    """
    rows = measured(records, "true", "present", "rendered")
    rows = rows.assign(factor=rows["condition"].str.removesuffix(".cos").str.removesuffix(".sin"))
    truths = {factor: by_image(true, "condition") for factor, true in measured(rows, "true").groupby("factor")}

    def estimates(readings: pd.DataFrame) -> dict[str, Estimate]:
        factor = readings["factor"].iloc[0]
        return {
            measure: _agreement(truths[factor], measured(readings, measure), factor, resamples, seed)
            for measure in ("present", "rendered")
        }

    table = _table(measured(rows, "present", "rendered"), ["level", "factor"], ("present", "rendered"), estimates)
    classes = truths["class"].to_numpy() if "class" in truths else np.zeros(0)
    commonest = np.unique(classes, return_counts=True)[1].max() / len(classes) if len(classes) else np.nan
    table.insert(table.columns.get_loc("images"), "chance", np.where(table["factor"] == "class", commonest, 0.0))
    drawn = measured(rows, "rendered").groupby(["level", "factor"], observed=True)["image"].nunique()
    counts = table.join(drawn.rename("rendered_images"), on=["level", "factor"])["rendered_images"]
    return table.assign(rendered_images=counts.fillna(0).astype(int))


def variance_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """How much the samples of one ``h`` vary, against how much the mean samples of different ``h`` do.

    Returns:
        One row a ``level``: variance of a pixel ``within`` one ``h`` (what ``h`` leaves open) and ``between`` several
        (what it fixes), in squared units of [0, 1], their ``ratio``; ``images``, drawn for both together.
    """

    def estimates(rows: pd.DataFrame) -> dict[str, Estimate]:
        parts = by_image(rows, "measure").reindex(columns=["within_variance", "between_variance"])
        within, between = parts.to_numpy().T
        return {
            "within": interval(within, mean, resamples=resamples, seed=seed),
            "between": interval(between, mean, resamples=resamples, seed=seed),
            "ratio": interval(parts, ratio, resamples=resamples, seed=seed),
        }

    return _table(
        measured(records, "within_variance", "between_variance"), ["level"], ("within", "between", "ratio"), estimates
    )


def comparison_table(
    records: pd.DataFrame,
    conditions: Sequence[str] | None = None,
    *,
    levels: tuple[str, str] = PAIR,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Which of two levels a transformation moves more, image by image, at its reference dose.

    Args:
        records: Records of the probe.
        conditions: Transformations to compare, the family of Holm's correction; by default all of them.
        levels: The two levels; a positive difference says that the first moves more.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resamples.

    Returns:
        One row a ``condition``: its ``strength``, the median paired ``difference`` of relative displacement, Wilcoxon's
        ``p_value``, ``p_holm`` corrected over the rows, the rank-biserial ``effect``; ``images``. No rows where a level
        was not measured.
    """
    strengths = reference_strengths(records)
    wanted = {condition: strengths[condition] for condition in (strengths if conditions is None else conditions)}
    moved = reference_displacements(records, wanted)
    lines = []
    for condition, strength in wanted.items():
        values = by_image(moved[moved["condition"] == condition], "level")
        if not set(levels) <= set(values.columns):
            continue
        result = compare(values[levels[0]] - values[levels[1]], resamples=resamples, seed=seed)
        lines.append(
            {
                "condition": condition,
                "strength": strength,
                **result.difference.columns("difference"),
                "p_value": result.p_value,
                "p_holm": np.nan,
                "effect": result.effect,
                "images": result.difference.n,
            }
        )
    names = ["condition", "strength", *headings("difference"), "p_value", "p_holm", "effect", "images"]
    return pd.DataFrame(lines, columns=names).assign(p_holm=lambda table: holm(table["p_value"]))


def _agreement(true: pd.DataFrame, read: pd.DataFrame, factor: str, resamples: int, seed: int) -> Estimate:
    """Agreement of readings with the truth ``[images, components]``; an image may have been read in several samples."""
    readings = by_image(read, "sample", "condition")
    images = true.index.intersection(readings.index)
    if len(images) == 0:
        return _MISSING
    target = true.loc[images].to_numpy()[:, None, :]
    answer = readings.loc[images].to_numpy().reshape(len(images), -1, target.shape[2])
    if factor == "class":
        return interval((answer == target).mean(axis=(1, 2)), mean, resamples=resamples, seed=seed)
    pairs = np.stack(np.broadcast_arrays(target, answer), axis=-1)
    return interval(pairs, r2, resamples=resamples, seed=seed)


def _table(
    records: pd.DataFrame,
    keys: list[str],
    names: tuple[str, ...],
    estimates: Callable[[pd.DataFrame], dict[str, Estimate]],
) -> pd.DataFrame:
    """One row a group of records with equal keys: the keys, the named estimates of the group, the number of images.

    Groups come in order of appearance, except that strengths ascend.
    """
    lines = []
    for key, rows in records.groupby(keys, sort=False, observed=True):
        found = estimates(rows)
        line = columns({name: found[name] for name in names})
        lines.append({**dict(zip(keys, key, strict=True)), **line, "images": max(e.n for e in found.values())})
    table = pd.DataFrame(lines, columns=[*keys, *headings(*names), "images"])
    if "strength" not in keys:
        return table
    place = table.groupby(keys[:-1], sort=False).ngroup()
    return table.assign(place=place).sort_values(["place", "strength"], ignore_index=True).drop(columns="place")
