"""What happens along a path between two images A and B, pair by pair: from records to arrays.

**Progress.** Where A and B differ in a factor, a reading is turned into the share of the way from A's value to B's that
it has gone: 0 is A's, 1 is B's. Of a circular factor the way is the shorter arc between the two, and readings are
unwrapped around its middle, so that the cut lies as far from both ends as can be. A and B *differ* in a factor where
they are at least a quarter (`DIFFERENT`) of the largest possible difference apart.

**Order.** Spearman's correlation of progress with the position along the path, so signed that it is 1 where the reading
moves from A towards B all the way, -1 where it moves away, and 0 on average where it has nothing to do with the
position. A reading that never changes has 0. It does not ask how far the reading gets; the table says that beside it.

**Wrong end.** A path that leads anywhere but back to A will often move towards any other image: if A's garment lies at
the left edge, nearly every image lies to its right. So the same readings are also scored against the second end of
*another* pair. Only what exceeds this says that the path leads to B.

**Own point.** Is a sample, encoded again, nearer to the point it was drawn from than to both ends? The plain share of
samples that are proves little: in many dimensions the middle of a line is nearer to anything than its ends are. So the
same points are also put to the samples of all other positions between the ends of the same path: their share is what
chance reaches on this very path, and what counts is the share of the way from chance to always, as in Cohen's (1960)
kappa. 1: always nearer to the own point than to both ends; 0: no more often than samples of other positions.

**Approach.** How a sample lies between h(A) and h(B), as the encoder sees it: its projection on the line through both,
which is linear in the difference of its squared distances. Its Spearman correlation with the position is the order of
the samples in ``h`` itself, where no factor needs to be known; 0 on average without any relation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from analyses.by_image import by_image
from rcdm_core.data.scenes import CIRCULAR, RANGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyses.statistics import Array

DIFFERENT = 0.25
"""Two images differ in a factor from this share of the largest possible difference on."""

CLASS = "class"

KEYS = ("level", "path", "factor")


def readings(records: pd.DataFrame) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame, pd.Series, pd.Series]]:
    """Of each (level, path, factor): readings ``[pairs, positions]``, and the factor at both ends ``[pairs]``."""
    known = records[records["measure"].isin(["from", "to"])]
    ends = {factor: by_image(rows, "measure") for factor, rows in known.groupby("condition", sort=False)}
    read = records[records["measure"] == "reading"]
    for (level, condition), rows in read.groupby(["level", "condition"], sort=False):
        path, _, factor = condition.partition(": ")
        wide = by_image(rows, "strength")
        at = ends[factor].loc[wide.index]
        yield (level, path, factor), wide, at["from"], at["to"]


def trajectories(records: pd.DataFrame, shift: int) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame]]:
    """Of each (level, path, factor): progress ``[pairs that differ, positions]`` towards the second end.

    A ``shift`` of 1 takes the second end of the next pair instead: the wrong one.
    """
    for key, read, first, second in readings(records):
        if shift and len(second) < 2:
            continue
        target = pd.Series(np.roll(second.to_numpy(), -shift), index=second.index)
        chosen = differ(key[2], first, target)
        if chosen.any():
            yield key, _progress(key[2], read[chosen], first[chosen], target[chosen])


def _way(factor: str, first: pd.Series, second: pd.Series) -> pd.Series:
    """The signed way from one value to another; of a circular factor the shorter arc, in turns."""
    return _wrapped(second - first) if factor in CIRCULAR else second - first


def differ(factor: str, first: pd.Series, second: pd.Series) -> pd.Series:
    """Whether two values count as different, ``[pairs]``."""
    if factor == CLASS:
        return first != second
    low, high = RANGES[factor]
    largest = 0.5 if factor in CIRCULAR else high - low
    return _way(factor, first, second).abs() >= DIFFERENT * largest


def _progress(factor: str, read: pd.DataFrame, first: pd.Series, second: pd.Series) -> pd.DataFrame:
    """Share of the way from first to second that readings ``[pairs, positions]`` have gone."""
    if factor == CLASS:
        return read.eq(second, axis=0).astype(float)
    way = _way(factor, first, second)
    from_middle = read.sub(first + way / 2, axis=0)
    if factor in CIRCULAR:
        from_middle = _wrapped(from_middle)
    return from_middle.div(way, axis=0) + 0.5


def _wrapped(turns: pd.DataFrame | pd.Series) -> pd.DataFrame | pd.Series:
    """Differences of angles, in turns, as those in [-1/2, 1/2)."""
    return (turns + 0.5) % 1 - 0.5


def orders(records: pd.DataFrame, shift: int) -> pd.DataFrame:
    """One row a (level, path, factor, image), the class left out: ``order``, progress ``at_first``, ``at_second``."""
    tables = [
        pd.DataFrame(
            {
                **dict(zip(KEYS, key, strict=True)),
                "image": progress.index,
                "order": spearman(progress.to_numpy()),
                "at_first": progress.iloc[:, 0].to_numpy(),
                "at_second": progress.iloc[:, -1].to_numpy(),
            }
        )
        for key, progress in trajectories(records, shift)
        if key[2] != CLASS
    ]
    return pd.concat(tables) if tables else pd.DataFrame(columns=[*KEYS, "image", "order", "at_first", "at_second"])


def spearman(values: Array) -> Array:
    """Spearman's correlation of each row of ``values [N, K]`` with the order of its columns; 0 where it is constant."""
    ranks = rankdata(values, axis=1)
    ranks = ranks - ranks.mean(1, keepdims=True)
    columns = np.arange(values.shape[1]) - (values.shape[1] - 1) / 2
    scale = np.sqrt((ranks**2).sum(1) * (columns**2).sum())
    return np.divide(ranks @ columns, scale, out=np.zeros(len(values)), where=scale > 0)


def of_pairs(orders: pd.DataFrame) -> dict[tuple[str, str], pd.Series]:
    """Of each (level, path): the mean over the factors of each pair, indexed by pair."""
    return {
        (level, path): rows.groupby("image")["order"].mean()
        for (level, path), rows in orders.groupby(["level", "path"], sort=False)
    }


def distances(records: pd.DataFrame) -> Iterator[tuple[tuple[str, str], Array, Array]]:
    """Of each (level, path): distances ``[pairs, samples, points]`` along the path, and the positions ``[points]``."""
    rows = records[records["measure"] == "distance"]
    origin = rows["condition"].str.rpartition(": ")
    rows = rows.assign(path=origin[0], origin=origin[2].astype(int))
    for key, part in rows.groupby(["level", "path"], sort=False):
        wide = by_image(part, "origin", "strength")
        positions = wide.columns.levels[1].to_numpy()
        yield key, wide.to_numpy().reshape(len(wide), len(positions), len(positions)), positions


def placed(apart: Array) -> dict[str, Array]:
    """Where the samples of each pair lie: numbers ``[pairs]`` from distances ``[pairs, samples, points]``."""
    between = np.arange(1, apart.shape[1] - 1)
    inner = apart[:, between][:, :, between]  # from samples to points, neither at an end
    end = np.minimum(apart[:, between, 0], apart[:, between, -1])  # from the sample to the nearer one
    own = np.diagonal(inner, axis1=1, axis2=2)
    places = rankdata(apart, axis=2)[:, between][:, :, between]  # among all points, seen from each sample
    return {
        "own_point": (own < end).mean(1),
        "own_point_chance": _elsewhere(inner < end[:, :, None]),
        "rank": np.diagonal(places, axis1=1, axis2=2).mean(1),
        "rank_chance": _elsewhere(places),
        "approach": spearman(apart[:, :, 0] ** 2 - apart[:, :, -1] ** 2),
        "own": own.mean(1),
        "end": end.mean(1),
    }


def _elsewhere(values: Array) -> Array:
    """Mean over points and the samples of other points, ``[N, K, K]`` -> ``[N]``."""
    others = ~np.eye(values.shape[1], dtype=bool)
    return values[:, others].mean(1)


def beyond_chance(apart: Array) -> Array:
    """How much more often than by chance a sample is nearer to its own point than to both ends, and the most possible.

    From distances ``[pairs, samples, points]`` to ``[pairs, 2]``, for the statistic `ratio`.
    """
    place = placed(apart)
    return np.stack([place["own_point"] - place["own_point_chance"], 1 - place["own_point_chance"]], 1)
