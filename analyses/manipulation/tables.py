"""The tables of the manipulation probe, each a function of its records alone.

A number ``x`` with its 95% bootstrap interval is three columns, ``x``, ``x_low`` and ``x_high``; ``images`` is how many
it rests on. `analyses.manipulation.readings` says what the change of a factor is, and its way to the target.

*Share of the way.* Over images, with the progress ``d.g`` and the whole way ``g.g`` of each,

    share = sum d.g / sum g.g,

the slope of the regression of ``d`` on ``g``: 0 where the edit leaves the factor as it was, 1 where it takes it to the
target. Of the class it is the share of images that now show the target's class, among those that did not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyses.bootstrap import RESAMPLES, interval
from analyses.by_image import by_image, measured
from analyses.columns import columns, headings
from analyses.manipulation.readings import (
    ENCODED,
    TRANSPLANT_MEASURES,
    change_of,
    changes_of_images,
    mean_by_image,
    readings,
    slopes_of_images,
    spreads,
    ways_of_images,
)
from analyses.paired import holm, rank_biserial, signed_rank
from analyses.statistics import mean, median, ratio
from probes.manipulation.rule import is_sparse

if TYPE_CHECKING:
    from analyses.statistics import Array

ALL = "all factors"
"""What stands in the column ``factor`` for the mean over the factors."""

_TEST = ("p_value", "p_holm", "effect", "images")


def level_table(records: pd.DataFrame) -> pd.DataFrame:
    """What the rule found at each level.

    Returns:
        One row a ``level``: ``zeros``, the share of exact zeros; ``rule``, ``non-zero`` or ``quantile``; medians over
        images of the number of common dimensions of the image (``own``) and of its target; ``images``.
    """
    lines = []
    for level, rows in measured(records, "zeros", "dimensions").groupby("level", sort=False):
        zeros = float(measured(rows, "zeros")["value"].iloc[0])
        counts = by_image(measured(rows, "dimensions"), "condition")
        line = {"level": level, "zeros": zeros, "rule": "non-zero" if is_sparse(zeros) else "quantile"}
        lines.append({**line, **counts[["own", "target"]].median().to_dict(), "images": len(counts)})
    return pd.DataFrame(lines, columns=["level", "zeros", "rule", "own", "target", "images"])


def edit_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """How far each edit moves ``h``, and the samples drawn from it.

    Returns:
        One row a (``level``, ``edit``): medians ``moved`` of the relative displacement of ``h``, ``drawn`` of that of
        the samples encoded again; ``images``.
    """
    lines = []
    measures = {"moved": "edited_displacement", "drawn": "sample_displacement"}
    for (level, edit), rows in measured(records, *measures.values()).groupby(["level", "condition"], sort=False):
        values = {name: mean_by_image(measured(rows, measure)) for name, measure in measures.items()}
        found = {name: interval(part, median, resamples=resamples, seed=seed) for name, part in values.items()}
        lines.append({"level": level, "edit": edit, **columns(found), "images": found["moved"].n})
    return pd.DataFrame(lines, columns=["level", "edit", *headings(*measures), "images"])


def removal_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """How much each factor changes where dimensions are removed, common ones against as many random ones.

    Returns:
        One row a (``level``, ``factor``): means ``common`` and ``random`` of the absolute change, of the class the
        share of images that show another one; ``difference`` of the two; ``p_value`` (two-sided Wilcoxon signed-rank),
        ``p_holm`` over the factors of the level; ``effect`` (rank-biserial); ``images``.
    """
    lines = []
    for level, rows in records.groupby("level", sort=False):
        before = readings(measured(rows, "rendered_untouched"))
        changes = {
            name: readings(measured(rows, f"rendered_{edit}"))
            for name, edit in (("common", "removed"), ("random", "removed_random"))
        }
        spread = spreads(records)
        for factor, start in before.items():
            moved = {
                name: np.abs(change_of(factor, start, after[factor])).mean(1) / spread.get(factor, 1.0)
                for name, after in changes.items()
            }
            difference = moved["common"] - moved["random"]
            found = {
                name: interval(values, mean, resamples=resamples, seed=seed)
                for name, values in {**moved, "difference": difference}.items()
            }
            lines.append({"level": level, "factor": factor, **columns(found), **_test(difference)})
    names = ["level", "factor", *headings("common", "random", "difference"), *_TEST]
    return _corrected(pd.DataFrame(lines, columns=names), ["level"])


def transplant_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """How far each factor is taken towards the target by transplanted dimensions, common ones against random ones.

    Returns:
        One row a (``level``, ``factor``), ``encoded again`` and, where factors are known, ``all factors`` among them:
        the shares of the way ``common``, ``random`` (as many dimensions) and ``far`` (random ones, until ``h`` moved as
        far); ``gain``, common minus random, and ``gain_far``, common minus far; ``p_value`` of the gain (two-sided
        Wilcoxon signed-rank on its summands), ``p_holm`` over the factors of the level (the row of all factors is no
        member of the family and keeps its own); ``effect`` (rank-biserial); ``images``.
    """
    lines = []
    for level, rows in measured(records, *TRANSPLANT_MEASURES).groupby("level", sort=False):
        ways = dict(ways_of_images(rows))
        factors = [factor for factor in ways if factor != ENCODED]
        for factor, way in ways.items():
            lines.append({"level": level, "factor": factor, **_shares(way[:, None], resamples, seed)})
        if factors:
            together = np.stack([ways[factor] for factor in factors], axis=1)
            lines.append({"level": level, "factor": ALL, **_shares(together, resamples, seed)})
    names = ["level", "factor", *headings("common", "random", "far", "gain", "gain_far"), *_TEST]
    table = pd.DataFrame(lines, columns=names)
    single = table["factor"] != ALL
    corrected = _corrected(table[single], ["level"])["p_holm"]
    return table.assign(p_holm=corrected.reindex(table.index).where(single, table["p_value"]))


def direction_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """What moving along the direction of a factor does to it and to every other one: the table of side effects.

    Of each image, the change of the factor that is read is regressed, through the origin, on how far ``h`` was moved;
    the table holds the mean of the slopes.

    Returns:
        One row a (``level``, ``moved``, ``read``): ``change`` of the factor read, in its standard deviations, for each
        standard deviation of the readout (of the class: share of images that show another one, for each standard
        deviation in either sense); ``readable``, the R2 of the readout; ``p_value`` (two-sided Wilcoxon signed-rank
        against 0; none for the class, which cannot be below), ``p_holm`` over the level; ``effect``; ``images``.
    """
    lines = []
    for level, slopes in slopes_of_images(records).items():
        readable = measured(records[records["level"] == level], "readable").set_index("condition")["value"]
        for (moved, read), values in slopes.items():
            change = interval(values, mean, resamples=resamples, seed=seed)
            test = _test(values)
            if read == "class":
                test |= {"p_value": np.nan, "effect": np.nan}
            keys = {"level": level, "moved": moved, "read": read}
            lines.append({**keys, **change.columns("change"), "readable": readable[moved], **test})
    names = ["level", "moved", "read", *headings("change"), "readable", *_TEST]
    return _corrected(pd.DataFrame(lines, columns=names), ["level"])


def response_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """How each factor follows its own direction, against how far ``h`` is moved.

    Returns:
        One row a (``level``, ``factor``, ``strength``), strengths ascending: mean ``change`` in standard deviations of
        the factor; ``images``.
    """
    lines = []
    for level, changes in changes_of_images(records).items():
        for (moved, read), by_strength in changes.items():
            if moved != read:
                continue
            for strength, values in sorted(by_strength.items()):
                change = interval(values, mean, resamples=resamples, seed=seed)
                keys = {"level": level, "factor": moved, "strength": strength}
                lines.append({**keys, **change.columns("change"), "images": change.n})
    return pd.DataFrame(lines, columns=["level", "factor", "strength", *headings("change"), "images"])


def _shares(ways: Array, resamples: int, seed: int) -> dict[str, float]:
    """Shares, gains and test of ``[N, F, 4]``, averaged over the F factors."""
    common, random, far, gap = np.moveaxis(ways, -1, 0)
    parts = {"common": common, "random": random, "far": far, "gain": common - random, "gain_far": common - far}
    found = {
        name: interval(np.stack([part, gap], axis=-1), _mean_ratio, resamples=resamples, seed=seed)
        for name, part in parts.items()
    }
    scale = gap.mean(0)
    summands = np.divide(common - random, scale, out=np.zeros_like(common), where=scale > 0).mean(1)
    return {**columns(found), **_test(summands)}


def _mean_ratio(values: Array, counts: Array) -> Array:
    """Mean over factors of the `ratio` of ``values [N, F, 2]``; factors without a way do not count."""
    ratios = np.stack([ratio(values[:, factor], counts) for factor in range(values.shape[1])])
    known = ~np.isnan(ratios)
    return np.divide(
        np.where(known, ratios, 0).sum(0), known.sum(0), out=np.full(len(counts), np.nan), where=known.any(0)
    )


def _test(differences: Array) -> dict[str, float]:
    return {
        "p_value": signed_rank(differences), "p_holm": np.nan, "effect": rank_biserial(differences),
        "images": len(differences),
    }  # fmt: skip


def _corrected(table: pd.DataFrame, family: list[str]) -> pd.DataFrame:
    """The table with ``p_holm`` over the rows of each family."""
    if table.empty:
        return table
    return table.assign(p_holm=table.groupby(family, sort=False)["p_value"].transform(holm))
