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

**Own sample.** Seen from a point of a path, which of three samples lies nearest: the one drawn from that point, or
those drawn from the two ends? If samples have nothing to do with their points, each is as likely: chance is one third.
The question is put the same way to all points between the ends. Its twin, whether a *sample* lies nearer to its own
point than to both ends, has no such chance: in many dimensions the middle of a line is nearer to anything than its ends
are. The table gives it beside the share that samples of all positions, exchanged within the path, would reach.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from analyses.by_image import by_image
from analyses.statistics import mean, median
from rcdm_core.data.scenes import CIRCULAR, RANGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyses.statistics import Array, Statistic

DIFFERENT = 0.25
"""Two images differ in a factor from this share of the largest possible difference on."""

CLASS = "class"

KEYS = ("level", "path", "factor")

_TIED = 1e-6  # relative: distances of samples that are the same up to rounding


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


def placed(apart: Array) -> dict[str, tuple[Array, Statistic]]:
    """Numbers of each pair, each with what sums it up over pairs, from its distances ``[pairs, samples, points]``."""
    between = np.arange(1, apart.shape[1] - 1)
    own = apart[:, between, between]
    end = np.minimum(apart[:, between, 0], apart[:, between, -1])
    inner = apart[:, :, between]  # every sample, seen from the points between the ends
    either = np.minimum(apart[:, :, 0], apart[:, :, -1])[:, :, None]
    ranks = rankdata(apart, axis=2)  # places of the points, seen from each sample
    return {
        "own_sample": (own_sample(apart), mean),
        "own_point": ((own < end).mean(1), mean),
        "own_point_chance": ((inner < either)[:, between].mean((1, 2)), mean),
        "rank": (ranks[:, between, between].mean(1), mean),
        "rank_chance": (ranks[:, between][:, :, between].mean((1, 2)), mean),
        "own": (own.mean(1), median),
        "end": (end.mean(1), median),
    }


def own_sample(apart: Array) -> Array:
    """Share of the points between the ends whose own sample is the nearest of three, ``[pairs]``; ties count in part.

    Distances ``[pairs, samples, points]``.
    """
    between = np.arange(1, apart.shape[1] - 1)
    three = np.stack([apart[:, between, between], apart[:, 0, between], apart[:, -1, between]])
    nearest = three <= three.min(0) * (1 + _TIED)
    return (nearest[0] / nearest.sum(0)).mean(1)
