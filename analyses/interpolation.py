"""The tables of the interpolation probe, and what they say about finding 4 of the paper.

Each table is a function of the records alone; `analyses.paths` says what is counted. A number ``x`` with its 95%
bootstrap interval over *pairs* of images is three columns, ``x``, ``x_low`` and ``x_high``; ``pairs`` is how many it
rests on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyses.bootstrap import RESAMPLES, Estimate, interval
from analyses.by_image import by_image
from analyses.findings import Verdict, Word, p_text
from analyses.paired import compare, holm, signed_rank
from analyses.paths import (
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
from analyses.statistics import mean, median, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike

ORDERED = 0.5
"""Spearman's correlation above which factors count as following the path: large by Cohen's (1988) convention."""

PLACED = 0.5
"""Share of the way from chance to always, above which samples count as nearest to their own point."""

WRONG_END = "wrong end"
"""Versus the same readings scored against another image: a control, as the cross-fade is."""

ORDER, OWN_POINT = "order", "own point"
"""What paths are compared by."""

_NONE = pd.Series(dtype=float)
_MISSING = Estimate(np.nan, np.nan, np.nan, 0)


# Tables


def order_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """How well readings follow each path, all differing factors of a pair taken together.

    Returns:
        One row a (``level``, ``path``): ``spearman``, the mean over pairs of the pair's mean over its differing
        factors; ``wrong_end``, the same towards another image; ``pairs``. No rows without readings.
    """
    means = _means(resamples, seed)
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
    means = _means(resamples, seed)
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
    means = _means(resamples, seed)
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
    means = _means(resamples, seed)
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
    columns = [*keys, *_MISSING.columns("difference"), "p_value", "p_holm", "effect", "pairs"]
    table = _frame(lines, keys, ("difference", "p_value", "effect"))
    return table.assign(p_holm=holm(table["p_value"]))[columns]


def _means(resamples: int, seed: int) -> Callable[[ArrayLike], Estimate]:
    """Mean with its interval, of the values of pairs."""
    return lambda values: interval(np.asarray(values), mean, resamples=resamples, seed=seed)


def _line(key: tuple[Any, ...], **estimates: Estimate) -> dict[str, Any]:
    """A row of a table, its key yet without names; the first estimate tells the number of pairs."""
    columns = {
        column: number for name, estimate in estimates.items() for column, number in estimate.columns(name).items()
    }
    return {"key": key, **columns, "pairs": next(iter(estimates.values())).n}


def _frame(lines: list[dict[str, Any]], keys: tuple[str, ...], names: tuple[str, ...]) -> pd.DataFrame:
    """Rows as a table."""
    rows = [{**dict(zip(keys, line.pop("key"), strict=True)), **line} for line in lines]
    return pd.DataFrame(rows, columns=[*keys, *(c for name in names for c in _MISSING.columns(name)), "pairs"])


# The verdict


def interpolation_verdicts(
    records: pd.DataFrame, *, is_ssl: bool, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Verdict, ...]:
    """Finding 4, interpolation, for every level, on the first path.

    Args:
        records: Records of the interpolation probe, of one encoder.
        is_ssl: Whether the encoder is self-supervised: the paper's claim is about those.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resamples.

    Returns:
        A verdict a level; none from a single pair.
    """
    right, wrong = (of_pairs(orders(records, shift)) for shift in (0, 1))
    means = _means(resamples, seed)
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
    return f"samples go {place} of the way from chance to always lying nearest to their own point"


def _word(*tests: tuple[Estimate, float]) -> Word:
    """All intervals above their bounds, or one below; comparisons with NaN are false, so that it is neither."""
    if all(estimate.low > bound for estimate, bound in tests):
        return "supported"
    return "not supported" if any(estimate.high < bound for estimate, bound in tests) else "inconclusive"


_OUTCOMES: Mapping[Word, str] = {
    "supported": "is drawn as images that change from A to B",
    "not supported": "falls short of images that change from A to B",
    "inconclusive": "cannot be told to give images that change from A to B, nor not to",
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
    is_ssl: bool,
) -> Verdict:
    aside = "" if is_ssl else " (shown for comparison: the paper claims it of self-supervised encoders)"
    return Verdict(
        finding=4,
        claim=(
            f"The {level} has a structure that can be explored: a {path} path between two images is drawn as images "
            f"that change from the one to the other{aside}."
        ),
        encoder=encoder,
        word=word,
        statistic=statistic,
        value=value.value,
        low=value.low,
        high=value.high,
        p_value=p_value,
        n=value.n,
        rule=rule,
        sentence=f"The {path} path through the {level} of {encoder} {_OUTCOMES[word]}: {evidence}.",
        aspect="interpolation",
        level=level,
    )
