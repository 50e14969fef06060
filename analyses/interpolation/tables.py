"""The tables of the interpolation probe, each a function of its records alone.

`analyses.interpolation.paths` says what is counted. A number ``x`` with its 95% bootstrap interval over *pairs* of
images is three columns, ``x``, ``x_low`` and ``x_high``; ``pairs`` is how many it rests on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyses.bootstrap import RESAMPLES, Estimate, interval
from analyses.by_image import by_image
from analyses.columns import columns, headings
from analyses.interpolation.paths import (
    CLASS,
    KEYS,
    beyond_chance,
    differ,
    distances,
    of_pairs,
    orders,
    placed,
    readings,
    trajectories,
)
from analyses.paired import compare, holm
from analyses.statistics import mean, median, ratio

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

WRONG_END = "wrong end"
"""Versus the same readings scored against another image: a control, as the cross-fade is."""

ORDER, OWN_POINT = "order", "own point"
"""What paths are compared by."""

_NONE = pd.Series(dtype=float)


def order_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """How well readings follow each path, all differing factors of a pair taken together.

    Returns:
        One row a (``level``, ``path``): ``spearman``, the mean over pairs of the pair's mean over its differing
        factors; ``wrong_end``, the same towards another image; ``pairs``. No rows without readings.
    """
    means = means_of_pairs(resamples, seed)
    right, wrong = (of_pairs(orders(records, shift)) for shift in (0, 1))
    lines = [
        _line((level, path), spearman=means(own), wrong_end=means(wrong.get((level, path), _NONE)))
        for (level, path), own in right.items()
    ]
    return _frame(lines, ("level", "path"), ("spearman", "wrong_end"))


def factor_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """How well the reading of each factor follows each path, over the pairs that differ in it.

    Returns:
        One row a (``level``, ``path``, ``factor``): mean ``spearman`` towards B, and towards another image
        (``wrong_end``); mean progress ``at_first`` and ``at_second`` end, 0 and 1 where the decoder draws what A and B
        have; ``pairs``.
    """
    means = means_of_pairs(resamples, seed)
    wrong = {key: rows["order"] for key, rows in orders(records, 1).groupby([*KEYS], sort=False)}
    lines = [
        _line(
            key,
            spearman=means(rows["order"]),
            wrong_end=means(wrong.get(key, _NONE)),
            at_first=means(rows["at_first"]),
            at_second=means(rows["at_second"]),
        )
        for key, rows in orders(records, 0).groupby([*KEYS], sort=False)
    ]
    return _frame(lines, KEYS, ("spearman", "wrong_end", "at_first", "at_second"))


def trajectory_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """Mean progress of each factor at each position, over the pairs that differ in it.

    Returns:
        One row a (``level``, ``path``, ``factor``, ``position``): ``progress``, 0 is A's value and 1 is B's; of the
        class, the share of pairs in which B's is read; ``pairs``.
    """
    means = means_of_pairs(resamples, seed)
    lines = [
        _line((*key, position), progress=means(values))
        for key, progress in trajectories(records, 0)
        for position, values in progress.items()
    ]
    return _frame(lines, (*KEYS, "position"), ("progress",))


def class_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """How the class that is read changes along each path, over the pairs of two classes.

    Returns:
        One row a (``level``, ``path``): share of pairs in which the reading is A's class, then from some point on B's,
        and never another (``once``); in which it is A's at the first end and B's at the second, whatever lies between
        (``ends``); ``pairs``.
    """
    means = means_of_pairs(resamples, seed)
    lines = []
    for (level, path, factor), read, first, second in readings(records):
        chosen = differ(factor, first, second)
        if factor == CLASS and chosen.any():
            seen, a, b = read[chosen].to_numpy(), first[chosen].to_numpy(), second[chosen].to_numpy()
            ends = (seen[:, 0] == a) & (seen[:, -1] == b)
            only = ((seen == a[:, None]) | (seen == b[:, None])).all(1)
            once = ends & only & ((np.diff(seen, axis=1) != 0).sum(1) == 1)
            lines.append(_line((level, path), once=means(once), ends=means(ends)))
    return _frame(lines, ("level", "path"), ("once", "ends"))


def distance_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """Where samples lie among the points of their path.

    Every number of a pair is a mean over the points between the ends.

    Returns:
        One row a (``level``, ``path``): ``own_point``, the share of samples that lie nearer to their own point than to
        both ends, ``own_point_chance``, the share that samples of other positions reach, and ``beyond_chance``, the
        share of the way from the one to always; ``rank``, the mean place of a sample's own point among all points of
        the path (1 is the nearest), and ``rank_chance``; ``approach``, the mean Spearman correlation of the samples'
        way from h(A) to h(B) with the position; medians over pairs of the relative distance ``own`` to the own point,
        ``end`` to the nearer end, and ``offset`` of the path from the straight line; ``pairs``.
    """
    offsets = records[records["measure"] == "offset"]
    medians = ("own", "end", "offset")
    names = ("own_point", "own_point_chance", "beyond_chance", "rank", "rank_chance", "approach", *medians)
    lines = []
    for (level, path), apart, _ in distances(records):
        aside = by_image(offsets[(offsets["level"] == level) & (offsets["condition"] == path)], "strength")
        numbers = {**placed(apart), "offset": aside.iloc[:, 1:-1].mean(axis=1).to_numpy()}
        estimates = {
            name: interval(values, median if name in medians else mean, resamples=resamples, seed=seed)
            for name, values in numbers.items()
        }
        beyond = interval(beyond_chance(apart), ratio, resamples=resamples, seed=seed)
        lines.append(_line((level, path), **estimates, beyond_chance=beyond))
    return _frame(lines, ("level", "path"), names)


def approach_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """Median relative distances of the samples of each position.

    Returns:
        One row a (``level``, ``path``, ``position``): to the ``own`` point, to h(A) (``first``) and to h(B)
        (``second``); ``pairs``.
    """
    lines = [
        _line(
            (level, path, position),
            **{
                name: interval(apart[:, place, point], median, resamples=resamples, seed=seed)
                for name, point in (("own", place), ("first", 0), ("second", -1))
            },
        )
        for (level, path), apart, positions in distances(records)
        for place, position in enumerate(positions)
    ]
    return _frame(lines, ("level", "path", "position"), ("own", "first", "second"))


def comparison_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """The first path beside the other paths and beside both controls, pair by pair.

    Returns:
        One row a (``level``, ``measure``, ``versus``): median paired ``difference`` (above 0 the first path does
        better), Wilcoxon's ``p_value``, ``p_holm`` corrected over the rows, the rank-biserial ``effect``; ``pairs``.
        Measures are `ORDER` (Spearman's correlation) and `OWN_POINT` (a share, less that of chance).
    """
    right, wrong = (of_pairs(orders(records, shift)) for shift in (0, 1))
    shares = {key: pd.Series(beyond_chance(apart)[:, 0]) for key, apart, _ in distances(records)}
    differences = {}
    for level in dict.fromkeys(level for level, _ in shares):
        first, *others = [path for at, path in shares if at == level]
        for path in others if right else ():
            differences[level, ORDER, path] = right[level, first] - right[level, path]
        if (level, first) in wrong:
            differences[level, ORDER, WRONG_END] = right[level, first] - wrong[level, first]
        for path in others:
            differences[level, OWN_POINT, path] = shares[level, first] - shares[level, path]
    lines = []
    for key, values in differences.items():
        result = compare(values.dropna().to_numpy(), resamples=resamples, seed=seed)
        line = _line(key, difference=result.difference)
        lines.append({**line, "p_value": result.p_value, "effect": result.effect})
    keys = ("level", "measure", "versus")
    order = [*keys, *headings("difference"), "p_value", "p_holm", "effect", "pairs"]
    table = _frame(lines, keys, ("difference", "p_value", "effect"))
    return table.assign(p_holm=holm(table["p_value"]))[order]


def means_of_pairs(resamples: int, seed: int) -> Callable[[ArrayLike], Estimate]:
    """Mean with its interval, of the values of pairs."""
    return lambda values: interval(np.asarray(values), mean, resamples=resamples, seed=seed)


def _line(key: tuple[Any, ...], **estimates: Estimate) -> dict[str, Any]:
    """A row of a table, its key yet without names; the first estimate tells the number of pairs."""
    return {"key": key, **columns(estimates), "pairs": next(iter(estimates.values())).n}


def _frame(lines: list[dict[str, Any]], keys: tuple[str, ...], names: tuple[str, ...]) -> pd.DataFrame:
    """Rows as a table."""
    rows = [{**dict(zip(keys, line.pop("key"), strict=True)), **line} for line in lines]
    return pd.DataFrame(rows, columns=[*keys, *headings(*names), "pairs"])
