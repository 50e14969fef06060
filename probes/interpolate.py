"""What is drawn between two representations: verdicts on the paper's finding 4, interpolation.

Linear and spherical paths from one image to another, beside the cross-fade of their pixels. Do factors change in order,
do samples lie where they were drawn from?

Random pairs are drawn from --data, whose images are also the unit of distance; or give two images, A and B.

[bold]Examples[/]

rcdm-probe interpolate --encoder vicreg

rcdm-probe interpolate scenes:0 scenes:7 --encoder dino --level backbone --points 9

rcdm-probe interpolate cat.jpg dog.png --encoder timm/resnet18 --data photos/ --rcdm my-rcdm
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from scipy.stats import rankdata

from analyses.digits import ERROR_RATE, p_text
from analyses.findings import Word, word_for, word_of_all
from analyses.paired import TEST, holm, signed_rank, tested
from analyses.records import PARTNER, join
from analyses.records import records as as_records
from analyses.statistics import Array, Statistic, correlation, mean, mean_rank, median, ratio, ratio_shares, share
from analyses.tables import by_image, headings, measured, tabulate
from probes.page import undrawn
from probes.probe import Compared, Found, Judgement, Needs, Probe, Ready, Sampling, Show, named, once, option
from probes.untrained import beside_untrained
from rcdm_core.data.registry import SCENE, open_given
from rcdm_core.data.scenes import CIRCULAR, RANGES
from rcdm_core.distances import NO_LENGTH, typical_distance
from rcdm_core.encoders import UNTRAINED
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.images import resize
from reports import blocks
from reports.figures.by_encoder import Axis, draw_by_encoder
from reports.figures.manipulation import draw_by_factor
from reports.finished import FinishedRun, joined
from reports.names import FACTOR_LABELS, SHORT_LABELS, data_name, factor_label, in_factor_order, listed
from reports.panels import Panel
from reports.style import (
    LEGEND,
    MUTED,
    TEXT_WIDTH,
    entry,
    legend_below,
    level_looks,
    new_figure,
    small_plots,
    theme,
    ticks,
)
from reports.tables import cell, number, rows_where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from probes.context import Context
    from reports.blocks import Block

LEAST = 20  # images: below, neither ten pairs nor a typical distance
LEAST_POINTS = 4  # so that a sample between the ends can be compared with another

ORDERED = 0.5
"""Spearman's correlation above which factors count as following the path: large by Cohen's (1988) convention."""
PLACED = 0.5
"""Share of the way from chance to always, above which samples count as nearer to their own point than to both ends."""
DIFFERENT = 0.25
"""Two images differ in a factor from this share of the largest possible difference on."""

CROSS_FADE = "cross-fade"  # the control of the paths
WRONG_END = "wrong end"  # the other control: the same readings scored against another image
ORDER, OWN_POINT = "order", "own point"  # what paths are compared by
CLASS, ALL = "class", "all"
KEYS = ("level", "path", "factor")
DRAWN = ("points", "steps", "solver")  # settings that the numbers of a pair rest on

_PARALLEL = 1e-4  # radians: nearer than this to 0 or to pi, the great circle of two directions is rounding
_COLUMNS, _PLOT = 4, 38.0  # small plots in a row; mm for each row
_STROKES = ("-", (0, (5, 2)), (0, (1, 1.5)))  # of the first path, the second, the control
_KINDS = {
    "own": ("#009E73", "o", "to its own point"),
    "first": ("#56B4E9", "s", "to h(A)"),
    "second": ("#E69F00", "D", "to h(B)"),
}


# Paths: functions of the position t in [0, 1], 0 at the first end and 1 at the second, both met exactly


def positions(points: int) -> torch.Tensor:
    """Equally spaced positions, both ends among them, ``[K]`` float64."""
    return torch.linspace(0, 1, points, dtype=torch.float64)


def linear(first: torch.Tensor, second: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Points on the straight line, ``[N, ...]``, ``[N, ...]``, ``[K]`` -> ``[N, K, ...]`` of the type of the ends.

    ``z(t) = (1 - t) a + t b``. Between two images it is the cross-fade: encoded, the control of the other paths, for no
    structure of ``h`` is made use of.
    """
    return torch.lerp(first[:, None], second[:, None], t.to(first.dtype).view(-1, *[1] * (first.ndim - 1)))


def spherical(first: torch.Tensor, second: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Points on the turning line, ``[N, D]``, ``[N, D]``, ``[K]`` -> ``[N, K, D]`` of the type of the ends.

    ``z(t) = r(t) u(t)``, where the direction ``u`` turns from that of ``a`` to that of ``b`` along the great circle at
    constant speed (slerp, Shoemake 1985), about the origin of the representation and not its mean, and the norm
    ``r(t) = (1 - t) |a| + t |b|`` goes linearly. Where the great circle is not determined: of equal directions the path
    is the straight line; opposite ones are joined through the coordinate axis that is most nearly at a right angle to
    them; a vector of length 0 takes the direction of the other end.
    """
    a, b = first.double(), second.double()
    from_norm, to_norm = a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True)
    u = F.normalize(torch.where(from_norm > 0, a, b), dim=1, eps=NO_LENGTH)
    v = F.normalize(torch.where(to_norm > 0, b, a), dim=1, eps=NO_LENGTH)
    angle = 2 * torch.atan2((u - v).norm(dim=1), (u + v).norm(dim=1))[:, None]  # exact near 0 and near pi
    rest = v - (u * v).sum(1, keepdim=True) * u
    axis = F.one_hot(u.abs().argmin(1), u.shape[1]).to(u)
    beside = axis - (axis * u).sum(1, keepdim=True) * u
    determined = (angle > _PARALLEL) & (angle < torch.pi - _PARALLEL)
    across = F.normalize(torch.where(determined, rest, beside), dim=1)  # at a right angle to u, where the path turns
    turn = angle[:, None] * t[:, None]  # [N, K, 1]
    points = linear(from_norm, to_norm, t) * (torch.cos(turn) * u[:, None] + torch.sin(turn) * across[:, None])
    points[:, t == 0], points[:, t == 1] = a[:, None], b[:, None]
    return points.to(first.dtype)


PATHS = {"linear": linear, "spherical": spherical}


@dataclass(frozen=True, kw_only=True)
class Interpolate(Sampling):
    """Between which images is drawn, and how often."""

    pair: tuple[str, ...] = option(
        (),
        "Two image files, or scenes:7 for scene number 7 of the embedded ones; without them, random pairs of the data.",
        argument=True,
        metavar="[A B]",
    )
    paths: tuple[str, ...] = option(
        tuple(PATHS),
        "linear or spherical, may be repeated; by default both. Verdicts are about the first.",
        flag="path",
        metavar="NAME",
    )
    pairs: int = option(
        48, "Random pairs that statistics rest on.", short="n", least=LEAST // 2, metavar="N", unless="pair"
    )
    points: int = option(7, "Points of a path, both ends among them.", short="k", least=LEAST_POINTS)
    gallery: int = option(500, "Images whose median distance is the unit of all distances.", least=LEAST, shown=False)
    pictures: int = option(3, "Of the random pairs, those that are shown.", least=1, metavar="P", unless="pair")

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "pair", tuple(map(str, self.pair)))
        if len(self.pair) not in (0, 2):
            raise UserError(
                f"{len(self.pair)} images were given", "a path has two ends: give two, or none for random pairs"
            )
        if len(set(self.pair)) == 1:
            raise UserError(f"both ends are {self.pair[0]}", "give two images")
        if not self.paths:
            raise UserError("no path was named", f"name one of {', '.join(PATHS)}")
        for name in self.paths:
            if name not in PATHS:
                raise unknown_name("path", name, PATHS)


def ready(run: Context, settings: Interpolate) -> Ready:
    """Open the two images that were given."""
    if not settings.pair:
        return Ready()
    given = open_given(settings.pair, image_size=run.images.image_size)
    return Ready(own=given, given=given)


def pairs_of(run: Context) -> tuple[torch.Tensor, np.ndarray, list[pd.DataFrame]]:
    """Both ends of P paths: the images that were given, or random pairs of the data set, as many as it has.

    Returns:
        The images, ``[2, P, 3, S, S]`` in [0, 1]; the position of each in the data set, ``[2, P]``, -1 for given ones:
        no image is in two pairs, so that pairs are independent, and the first image names its pair and is the key of
        its noise; known factors of the first and of the second images, P rows each, or none.
    """
    if given := run.own:  # where their factors are not known, the judge reads them off the images
        known = run.judge.read(given.images) if run.judge is not None and given.factors is None else given.factors
        return given.images[:, None], np.array([[-1], [-1]]), [] if known is None else [known.iloc[:1], known.iloc[1:]]
    count = min(run.settings.pairs, len(run.images) // 2)
    numbers = run.draw(2 * count).reshape(2, count)
    factors = [known for row in numbers if (known := run.images.factors(row)) is not None]
    return torch.stack([run.images.images(row) for row in numbers]), numbers, factors


def measure(run: Context, settings: Interpolate) -> Iterator[pd.DataFrame | Panel]:
    """Draw from the paths between pairs of images, all of a pair from equal noise, and measure what was drawn.

    =================  ================================================================================================
    measure            value; ``condition``; ``strength``; ``image`` is the first of the pair
    =================  ================================================================================================
    ``partner``        number of the image at the other end of the path (``level`` is empty); -1 for a given one
    ``from``, ``to``   a factor of the image at the first, the second end (``level`` is empty); the factor
    ``reading``        the factor that the judge reads off a sample; "path: factor"; its position on the path, in [0, 1]
    ``distance``       from a sample, encoded again, to a point of its path, over the typical distance of two images;
                       "path: number of the point that the sample was drawn from"; position of the point measured to
    ``offset``         from a point of a path to that of the straight line, relative likewise; path; position
    =================  ================================================================================================

    All distances are kept, not only that to the sample's own point: see `placed`. Of an untrained encoder there is the
    first path, at the level `UNTRAINED`.
    """
    t = positions(settings.points)
    ends, (numbers, partners), factors = pairs_of(run)
    yield run.records(PARTNER, partners, numbers)
    for end, values in zip(("from", "to"), factors, strict=False):
        for name in values:
            yield run.records(end, values[name], numbers, "", name)
    faded = linear(ends[0], ends[1], t)
    drawn: dict[str, dict[str, torch.Tensor]] = {}
    for one in filter(None, (run, run.untrained())):
        paths = settings.paths if one is run else settings.paths[:1]
        known = one.represent(run.draw(settings.gallery))
        # Both images, and their mixtures, encoded at every level in one pass: [P, K, D].
        mixtures = {level: h.unflatten(0, faded.shape[:2]) for level, h in one.encode(faded.flatten(0, 1)).items()}
        for level in one.drawn_levels:
            h, unit = mixtures[level], typical_distance(known[level], seed=settings.seed)
            points = {path: PATHS[path](h[:, 0], h[:, -1], t) for path in paths}
            points |= {CROSS_FADE: h} if one is run else {}
            samples = samples_of(one, level, points, numbers)
            drawn |= {level: samples} if one is run else {}
            tell = partial(run.records, images=numbers, level=level if one is run else UNTRAINED, sample=0)
            yield from along(one, level, points, samples, unit, tell)
            if (judge := run.judge) is not None and factors:
                for path, (column, at) in product(points, enumerate(t.tolist())):
                    for factor, read in judge.read(samples[path][:, column]).items():
                        yield tell("reading", read, condition=f"{path}: {factor}", strength=at)
    for place in range(min(settings.pictures, len(numbers))):
        strips = {(level, path): made[path][place] for level, made in drawn.items() for path in made}
        yield strip(place + 1, faded[place], strips)


def along(
    run: Context,
    level: str,
    points: Mapping[str, torch.Tensor],
    samples: Mapping[str, torch.Tensor],
    unit: float,
    tell: Callable[..., pd.DataFrame],
) -> Iterator[pd.DataFrame]:
    """Where samples lie, encoded again, and how far the points of a path are from a straight line, in a unit."""
    for path, z in points.items():
        t = positions(z.shape[1])
        seen = run.encode(samples[path].flatten(0, 1))[level].unflatten(0, z.shape[:2])
        apart = torch.cdist(seen.double(), z.double(), compute_mode="donot_use_mm_for_euclid_dist") / unit
        aside = (z.double() - linear(z[:, 0], z[:, -1], t).double()).norm(dim=2) / unit
        for sample, (point, at) in product(range(len(t)), enumerate(t.tolist())):
            yield tell("distance", apart[:, sample, point], condition=f"{path}: {sample}", strength=at)
        for point, at in enumerate(t.tolist()):
            yield tell("offset", aside[:, point], condition=path, strength=at, sample=-1)


def samples_of(
    run: Context, level: str, points: Mapping[str, torch.Tensor], images: np.ndarray
) -> dict[str, torch.Tensor]:
    """A sample of every point of every path, ``[P, K, 3, S, S]``. All paths share their ends, which are drawn once."""
    ends = next(iter(points.values()))[:, [0, -1]]
    between = [z[:, 1:-1] for z in points.values()]
    h = torch.cat([ends, *between], 1)  # [P, 2 + paths * (K - 2), D]
    numbers = images.clip(min=0).repeat(h.shape[1]).tolist()  # a given pair: noise 0
    pictures = run.render("paths", level, h.flatten(0, 1), numbers)[:, 0].unflatten(0, h.shape[:2])
    first, second, *inner = pictures.split([1, 1, *(z.shape[1] for z in between)], 1)
    return {path: torch.cat([first, part, second], 1) for path, part in zip(points, inner, strict=True)}


def strip(number: int, faded: torch.Tensor, samples: Mapping[tuple[str, str], torch.Tensor]) -> Panel:
    """What is drawn along each path of a level, ``[K, 3, S, S]``, beneath the cross-fade of the two images."""
    rows = [f"{level}, {'h of cross-fade' if path == CROSS_FADE else path}" for level, path in samples]
    size, last = next(iter(samples.values())).shape[-1], len(faded) - 1
    between = (str(Fraction(place, last)) for place in range(1, last))
    return Panel(
        f"strip_{number}",
        torch.stack([resize(faded, size), *samples.values()]),
        ("pixels, cross-faded", *rows),
        ("A", *between, "B"),
    )


# What happens along a path between two images A and B, pair by pair: from records to arrays


def readings(records: pd.DataFrame) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame, pd.Series, pd.Series]]:
    """Of each (level, path, factor): readings ``[pairs, positions]``, and the factor at both ends ``[pairs]``."""
    known = measured(records, "from", "to")
    ends = {factor: by_image(rows, "measure") for factor, rows in known.groupby("condition", sort=False)}
    for (level, condition), rows in measured(records, "reading").groupby(["level", "condition"], sort=False):
        path, _, factor = condition.partition(": ")
        wide = by_image(rows, "strength")
        at = ends[factor].loc[wide.index]
        yield (level, path, factor), wide, at["from"], at["to"]


def trajectories(records: pd.DataFrame, shift: int = 0) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame]]:
    """Of each (level, path, factor): progress ``[pairs that differ, positions]`` towards the second end.

    Progress is the share of the way from A's value of a factor to B's that a reading has gone: 0 is A's, 1 is B's; of
    the class, whether B's is read. Readings of a circular factor are unwrapped around the middle of the way, so that
    the cut lies as far from both ends as can be. A ``shift`` of 1 takes the second end of the next pair instead: the
    wrong one.
    """
    for key, read, first, second in readings(records):
        if shift and len(second) < 2:
            continue
        target = pd.Series(np.roll(second, -shift), second.index)
        chosen = differ(factor := key[2], first, target)
        read, first, target = read[chosen], first[chosen], target[chosen]
        if factor == CLASS and len(read):
            yield key, read.eq(target, axis=0).astype(float)
        elif len(read):
            way = way_between(factor, first, target)
            yield key, way_between(factor, first + way / 2, read).div(way, axis=0) + 0.5


def differ(factor: str, first: pd.Series, second: pd.Series) -> pd.Series:
    """Whether two values count as different, ``[pairs]``."""
    if factor == CLASS:
        return first != second
    low, high = RANGES[factor]
    largest = 0.5 if factor in CIRCULAR else high - low
    return way_between(factor, first, second).abs() >= DIFFERENT * largest


def way_between(factor: str, first: pd.Series, second: Any) -> Any:
    """The signed way from values ``[pairs]`` to others, ``[pairs, ...]``; of a circular factor the shorter arc."""
    way = second.sub(first, axis=0)
    return (way + 0.5) % 1 - 0.5 if factor in CIRCULAR else way


def in_order(records: pd.DataFrame, shift: int = 0) -> pd.DataFrame:
    """One row a (level, path, factor) and image, the index; the class left out: ``order``, ``at_first``, ``at_second``.

    The order is Spearman's correlation of progress with the position along the path, so signed that it is 1 where the
    reading moves from A towards B all the way, and 0 on average where it has nothing to do with the position. It does
    not ask how far the reading gets; the progress at both ends says that beside it.
    """
    tables = []
    for key, way in trajectories(records, shift):
        if key[2] != CLASS:
            ends = {"at_first": way.iloc[:, 0], "at_second": way.iloc[:, -1]}
            tables.append(pd.DataFrame(dict(zip(KEYS, key, strict=True)) | {"order": spearman(way.to_numpy())} | ends))
    return pd.concat(tables) if tables else pd.DataFrame(columns=[*KEYS, "order"])


def spearman(values: Array) -> Array:
    """Spearman's correlation of each row of ``values [N, K]`` with the order of its columns; 0 where it is constant."""
    ranks = rankdata(values, axis=1)
    ranks = ranks - ranks.mean(1, keepdims=True)
    columns = np.arange(values.shape[1]) - (values.shape[1] - 1) / 2
    scale = np.sqrt((ranks**2).sum(1) * (columns**2).sum())
    return np.divide(ranks @ columns, scale, out=np.zeros(len(values)), where=scale > 0)


def of_pairs(read: pd.DataFrame) -> dict[tuple[str, str], pd.Series]:
    """Of each (level, path) of what `in_order` gives: the mean order over the factors of each pair, indexed by pair."""
    by_path = read.groupby(["level", "path"], sort=False)
    return {(level, path): rows.groupby("image")["order"].mean() for (level, path), rows in by_path}


def distances_of(records: pd.DataFrame) -> Iterator[tuple[tuple[str, str], Array, Array, pd.Index]]:
    """Of each (level, path): distances ``[pairs, samples, points]`` along it, positions ``[points]``, and the pairs."""
    rows = measured(records, "distance")
    origin = rows["condition"].str.rpartition(": ")
    rows = rows.assign(path=origin[0], origin=origin[2].astype(int))
    for (level, path), part in rows.groupby(["level", "path"], sort=False):
        wide = by_image(part, "origin", "strength")
        at = wide.columns.levels[1].to_numpy()
        yield (level, path), wide.to_numpy().reshape(len(wide), len(at), len(at)), at, wide.index


def placed(apart: Array) -> dict[str, Array]:
    """Where the samples of each pair lie: numbers ``[pairs]`` from distances ``[pairs, samples, points]``.

    Whether a sample is nearer to the point it was drawn from than to both ends (``own_point``); by chance, the same of
    all other points between the ends: the middle ``m`` of a line from ``a`` to ``b`` is nearer to anything than its
    ends are on average (``|r - m|^2 = |r - a|^2 - |a - b|^2 / 4`` where both are equally far from ``r``). The approach
    is Spearman's correlation, with the position, of the sample's projection on the line from h(A) to h(B), which is
    linear in the difference of its squared distances.
    """
    between = np.arange(1, apart.shape[1] - 1)
    inner = apart[:, between][:, :, between]  # from samples to points, neither at an end
    end = np.minimum(apart[:, between, 0], apart[:, between, -1])  # from the sample to the nearer one
    own = np.diagonal(inner, axis1=1, axis2=2)
    places = rankdata(apart, axis=2)[:, between][:, :, between]  # among all points, seen from each sample
    others = ~np.eye(len(between), dtype=bool)
    return {
        "own_point": (own < end).mean(1),
        "own_point_chance": (inner < end[:, :, None])[:, others].mean(1),
        "rank": np.diagonal(places, axis1=1, axis2=2).mean(1),
        "rank_chance": places[:, others].mean(1),
        "approach": spearman(apart[:, :, 0] ** 2 - apart[:, :, -1] ** 2),
        "own": own.mean(1),
        "end": end.mean(1),
    }


def beyond_chance(apart: Array) -> Array:
    """How much more often than by chance a sample is nearer to its own point than to both ends, and the most possible.

    From distances ``[pairs, samples, points]`` to ``[pairs, 2]``, for the statistic `ratio`: the share of the way from
    chance to always, as in Cohen's (1960) kappa.
    """
    place = placed(apart)
    return np.stack([place["own_point"] - place["own_point_chance"], 1 - place["own_point_chance"]], 1)


def comparable(records: pd.DataFrame) -> pd.DataFrame:
    """Records by which finished runs are compared, one number a pair and path: its condition."""
    tell = partial(as_records, encoder=records["encoder"].iloc[0])
    records = records[records["level"] != UNTRAINED]
    made = [tell("order_of_factors", own, own.index, *key) for key, own in of_pairs(in_order(records)).items()]
    for key, apart, _, pairs in distances_of(records):
        place = placed(apart)
        made.append(tell("own_point", ratio_shares(beyond_chance(apart)), pairs, *key))
        made.append(tell("order_in_h", place["approach"], pairs, *key))
        made.append(tell("distance_to_own_point", place["own"], pairs, *key))
    return join(made)


# Tables: intervals are over pairs of images, and ``pairs`` is how many a row rests on


def of_encoder(found: Found) -> pd.DataFrame:
    """What was measured of the encoder itself."""
    return found.records[found.records["level"] != UNTRAINED]


@once
def ordered(found: Found, shift: int = 0) -> pd.DataFrame:
    """`in_order`, of all that was measured."""
    return in_order(found.records, shift)


def orders(found: Found) -> pd.DataFrame:
    """How well readings follow each path, all differing factors of a pair taken together.

    One row a (``level``, ``path``): ``spearman``, the mean over pairs of the pair's mean over its differing factors;
    ``wrong_end``, the same towards another image; ``untrained_h``, of the first path of an untrained encoder;
    ``pairs``. No rows without readings.
    """
    wrong, rows = of_pairs(ordered(found, 1)), {}
    for key, values in of_pairs(ordered(found)).items():
        rows[key] = found.intervals({"spearman": values, "wrong_end": wrong.get(key, ())}, correlation)
    table = tabulate(rows, ("level", "path"), ("spearman", "wrong_end"), counted="pairs")
    return beside_untrained(table, "spearman", "path")


def factors(found: Found) -> pd.DataFrame:
    """How well each factor follows each path, and how far it gets, over the pairs that differ in it.

    One row a (``level``, ``path``, ``factor``): ``spearman``, ``wrong_end`` towards another image, and ``untrained_h``,
    of the first path of an untrained encoder; mean progress of the samples of both ends, ``at_first`` and
    ``at_second``; ``pairs``.
    """
    wrong = {key: rows["order"] for key, rows in ordered(found, 1).groupby([*KEYS])}
    names = ("spearman", "wrong_end", "at_first", "at_second")
    statistics, rows = dict(zip(names, (correlation, correlation, mean, mean), strict=True)), {}
    for key, own in ordered(found).groupby([*KEYS], sort=False):
        values = (own["order"], wrong.get(key, ()), own["at_first"], own["at_second"])
        rows[key] = found.intervals(dict(zip(names, values, strict=True)), statistics)
    return beside_untrained(tabulate(rows, KEYS, names, counted="pairs"), "spearman", "path", "factor")


def progress(found: Found) -> pd.DataFrame:
    """Mean progress of each factor at each position, over the pairs that differ in it.

    One row a (``level``, ``path``, ``factor``, ``position``): ``progress``, 0 is A's value and 1 is B's; of the class,
    the share of pairs in which B's is read; ``pairs``.
    """
    rows = {
        (*key, at): {"progress": found.interval(values, share if key[2] == CLASS else mean)}
        for key, way in trajectories(of_encoder(found))
        for at, values in way.items()
    }
    return tabulate(rows, (*KEYS, "position"), ("progress",), counted="pairs")


def classes(found: Found) -> pd.DataFrame:
    """How the class that is read changes along each path, over the pairs of two classes.

    One row a (``level``, ``path``): share of pairs in which the reading is A's class, then from some point on B's, and
    never another (``once``); in which it is A's at the first end and B's at the second, whatever lies between
    (``ends``); ``pairs``.
    """
    rows = {}
    for (level, path, factor), read, first, second in readings(of_encoder(found)):
        chosen = differ(factor, first, second)
        if factor == CLASS and chosen.any():
            seen, a, b = read[chosen].to_numpy(), first[chosen].to_numpy(), second[chosen].to_numpy()
            ends = (seen[:, 0] == a) & (seen[:, -1] == b)
            only = ((seen == a[:, None]) | (seen == b[:, None])).all(1)
            once = ends & only & ((np.diff(seen, axis=1) != 0).sum(1) == 1)
            rows[level, path] = found.intervals({"once": once, "ends": ends}, share)
    return tabulate(rows, ("level", "path"), ("once", "ends"), counted="pairs")


def distances(found: Found) -> pd.DataFrame:
    """Where samples lie among the points of their path; every number of a pair is a mean over those between the ends.

    One row a (``level``, ``path``): ``own_point``, the share of samples that lie nearer to their own point than to both
    ends, ``own_point_chance``, the share that samples of other positions reach, and ``beyond_chance``, the share of the
    way from the one to always; ``rank``, the mean place of a sample's own point among all points of the path (1 is the
    nearest), and ``rank_chance``; ``approach``, the mean Spearman correlation of the samples' way from h(A) to h(B)
    with the position; medians over pairs of the relative distance ``own`` to the own point, ``end`` to the nearer end,
    and ``offset`` of the path from the straight line; ``pairs``. The level `UNTRAINED` is an untrained encoder's.
    """
    offsets = found.measured("offset")
    statistics = {
        "own_point": share, "own_point_chance": share, "beyond_chance": ratio, "rank": mean_rank,
        "rank_chance": mean_rank, "approach": correlation, "own": median, "end": median, "offset": median,
    }  # fmt: skip
    rows = {}
    for (level, path), apart, *_ in distances_of(found.records):
        aside = by_image(rows_where(offsets, level=level, condition=path), "strength")
        numbers = placed(apart) | {"offset": aside.iloc[:, 1:-1].mean(axis=1), "beyond_chance": beyond_chance(apart)}
        rows[level, path] = found.intervals(numbers, statistics)
    return tabulate(rows, ("level", "path"), tuple(statistics), counted="pairs")


def approach(found: Found) -> pd.DataFrame:
    """Median relative distances of the samples of each position.

    One row a (``level``, ``path``, ``position``): to the ``own`` point, to h(A) (``first``) and to h(B) (``second``);
    ``pairs``.
    """
    rows = {
        (*key, at): found.intervals({"own": of[:, place], "first": of[:, 0], "second": of[:, -1]}, median)
        for key, apart, positions, _ in distances_of(of_encoder(found))
        for place, (at, of) in enumerate(zip(positions, apart.swapaxes(0, 1), strict=True))
    }
    return tabulate(rows, ("level", "path", "position"), tuple(_KINDS), counted="pairs")


def comparison(found: Found) -> pd.DataFrame:
    """The first path beside the other paths and beside both controls, pair by pair.

    One row a (``level``, ``measure``, ``versus``): median paired ``difference`` (above 0 the first path does better),
    Wilcoxon's ``p_value``, ``p_holm`` corrected over the rows, the rank-biserial ``effect``; ``pairs``. Measures are
    `ORDER` (Spearman's correlation) and `OWN_POINT` (a share, less that of chance).
    """
    right, wrong, rows = of_pairs(ordered(found)), of_pairs(ordered(found, 1)), {}
    shares = {key: pd.Series(beyond_chance(apart)[:, 0]) for key, apart, *_ in distances_of(of_encoder(found))}
    for level in dict.fromkeys(level for level, _ in shares):
        first, *others = [path for at, path in shares if at == level]
        if (level, first) in wrong:
            right[level, WRONG_END] = wrong[level, first]
        for measure, values in ((ORDER, right), (OWN_POINT, shares)):
            for versus in (path for path in (*others, WRONG_END) if (level, path) in values):
                gain = (values[level, first] - values[level, versus]).dropna().to_numpy()
                rows[level, measure, versus] = {"difference": found.interval(gain, median), **tested(gain)}
    table = tabulate(rows, ("level", "measure", "versus"), ("difference",), TEST, counted="pairs")
    return table.assign(p_holm=holm(table["p_value"]))


# The verdicts of finding 4: what is compared, the tests and the thresholds are stated before any encoder is measured


Criterion: TypeAlias = tuple[Array, Statistic, float]
"""Values of each pair, ``[N, ...]``, their statistic, and the bound that it should exceed."""

CRITERIA = "followed", "more", "own"
"""What the words call the three: the correlation, its gain over that towards another image, and the own point."""


def words_of(found: Found, *criteria: Criterion) -> list[Word]:
    """Whether each statistic exceeds its bound: its interval lies above, or below.

    All must hold for a claim: each at its own 95% bounds the error of them together. One failure is enough against it:
    there the error rate is shared out among them (Bonferroni).
    """
    shared = 1 - ERROR_RATE / len(criteria)
    return [
        word_for(found.interval(values, statistic).low > bound, found.interval(values, statistic, shared).high < bound)
        for values, statistic, bound in criteria
    ]


def word_of(found: Found, *criteria: Criterion) -> Word:
    """The word of a claim that needs all of these: supported where all are, not supported where one is not."""
    return word_of_all(*words_of(found, *criteria))


def decisive(words: Sequence[Word], p_values: Sequence[float]) -> int:
    """The place of the criterion that decides the word of all: the one furthest from support.

    Of those that fail the surest; else, of those that keep the claim from support, or where none does of all, the least
    sure: one without a number before others.
    """
    against = [place for place, word in enumerate(words) if word == "not supported"]
    if against:
        return min(against, key=p_values.__getitem__)
    open_yet = [place for place, word in enumerate(words) if word != "supported"] or range(len(words))
    return max(open_yet, key=lambda place: math.inf if math.isnan(p_values[place]) else p_values[place])


def verdicts(found: Found) -> Iterator[Judgement]:
    """Whether what is drawn along the first path changes from A to B, level by level; none from a single pair."""
    right, wrong = of_pairs(ordered(found)), of_pairs(ordered(found, 1))
    first = found.settings.paths[0]
    for (level, path), apart, *_ in distances_of(of_encoder(found)):
        if path != first or len(apart) < 2:
            continue
        places = beyond_chance(apart)
        p_of_places = signed_rank(places[:, 0] - PLACED * places[:, 1])
        if (order := right.get((level, path))) is not None:
            gain = (order - wrong.get((level, path), np.nan)).dropna()
            criteria = ((order.to_numpy(), correlation, ORDERED), (gain.to_numpy(), mean, 0.0), (places, ratio, PLACED))
            estimates = [found.interval(values, statistic) for values, statistic, _ in criteria]
            p_values = [signed_rank(order.to_numpy() - ORDERED), signed_rank(gain.to_numpy()), p_of_places]
            each = words_of(found, *criteria)
            place = decisive(each, p_values)
            told = {
                name: estimate.told(bound)
                for name, estimate, (_, _, bound) in zip(CRITERIA, estimates, criteria, strict=True)
            }
            told |= {f"p_{name}": p_text(p) for name, p in zip(CRITERIA, p_values, strict=True)}
            told |= {"decides": PROBE.wording.parts("decides")[CRITERIA[place]], "pairs": str(len(order))}
            word, number, p = word_of_all(*each), estimates[place], p_values[place]
            if word == "supported":  # that takes all three: too few pairs for one of them are too few
                number = replace(number, n=min(one.n for one in estimates))
            bound = criteria[place][2]
            yield Judgement("interpolation", number, word, level, p_value=p, names=told, bound=bound)
        else:
            word, own = word_of(found, (places, ratio, PLACED)), found.interval(places, ratio)
            yield Judgement(
                "interpolation",
                own,
                word,
                level,
                p_value=p_of_places,
                told="interpolation without factors",
                bound=PLACED,
            )


# The page


def in_short(found: Found) -> Iterator[Block]:
    """The outcome in sentences."""
    path, said, points = found.settings.paths[0], PROBE.wording.parts("in short"), []
    of_path = partial(rows_where, path=path)
    for _, row in of_path(found.tables["orders"]).iterrows():
        factors = of_path(found.tables["factors"], level=row["level"]).sort_values("spearman")
        told = [f"{factor_label(one['factor'])}, {cell(one, 'spearman')}" for _, one in factors.iterrows()]
        about = {"path": path, "level": row["level"], "best": told[-1], "worst": told[0]}
        points.append(said["factors"].format(**about, **{name: cell(row, name) for name in ("spearman", "wrong_end")}))
    changes = [f"{row['level']} {cell(row, 'once')}" for _, row in of_path(found.tables["classes"]).iterrows()]
    points += [said["classes"].format(changes=", ".join(changes))] * bool(changes)
    distances = of_path(found.tables["distances"])
    for _, row in distances[distances["level"] != UNTRAINED].iterrows():
        numbers = {name: cell(row, name) for name in ("approach", "own", "own_point")}
        points.append(said["distances"].format(level=row["level"], chance=number(row["own_point_chance"]), **numbers))
    yield blocks.points(points)


def printed_factors(found: Found) -> pd.DataFrame:
    """Factors in their order and below them all together, a column a path; the rest is that of the first path."""
    every = pd.concat([found.tables["factors"], found.tables["orders"].assign(factor=ALL)])
    of_path = {path: every[every["path"] == path].set_index(["level", "factor"]) for path in paths_of(found)}
    paths = [rows[headings("spearman")].set_axis(headings(path), axis=1) for path, rows in of_path.items()]
    others = of_path[found.settings.paths[0]][["wrong_end", "untrained_h", "at_first", "at_second", "pairs"]]
    return in_factor_order(pd.concat([*paths, others], axis=1).reset_index(), ALL)


def printed_distances(found: Found) -> pd.DataFrame:
    """Ranks beside those of chance; some numbers without their intervals, which the table has no room for."""
    rows = found.tables["distances"]
    rank = [
        f"{number(own, 1)} ({number(chance, 1)})" for own, chance in zip(rows["rank"], rows["rank_chance"], strict=True)
    ]
    bare = [f"{name}_{end}" for name in ("own_point", "own_point_chance", "own", "offset") for end in ("low", "high")]
    return rows.drop(columns=bare).assign(rank=rank)


def printed_comparison(found: Found) -> pd.DataFrame:
    """Nothing of a single pair."""
    rows = found.tables["comparison"] if found.verdicts else found.tables["comparison"].iloc[:0]
    return rows.assign(versus=rows["versus"].where(rows["versus"] == WRONG_END, rows["versus"] + " path"))


def paths_of(found: Found) -> tuple[str, ...]:
    """The paths, that of the verdicts first, and last their control."""
    return (*found.settings.paths, CROSS_FADE)


def orders_figure(found: Found) -> Figure:
    """Spearman's correlation of each factor, one plot a level, with both controls."""
    path = found.settings.paths[0]
    return draw_by_factor(
        printed_factors(found),
        series={path: f"{path} path", CROSS_FADE: CROSS_FADE, "wrong_end": WRONG_END},
        labels=FACTOR_LABELS | {ALL: "all differing factors"},
        unit="Spearman's correlation with the position",
        bounds={ALL: ORDERED},
    )


def orders_across(runs: Sequence[FinishedRun]) -> Figure:
    """Spearman's correlation of each factor along the first path and the cross-fade, with the control of the end."""
    table = pd.concat([joined(runs, "factors"), joined(runs, "orders").assign(factor=ALL)])
    keys, ends = ["encoder", "level", "factor"], ["", "_low", "_high"]
    first, fade = (
        table[table["path"] == path].set_index(keys) for path in (runs[0].run["arguments"]["paths"][0], CROSS_FADE)
    )
    wide = first.join(fade[[f"spearman{end}" for end in ends]].add_prefix("faded_")).reset_index()
    return draw_by_encoder(
        wide,
        Axis("Spearman's correlation with the position"),
        row="factor",
        labels=FACTOR_LABELS | {ALL: "all differing factors"},
        series={"spearman": "path between representations", "faded_spearman": CROSS_FADE},
        tick=("wrong_end", WRONG_END),
    )


def trajectories_figure(found: Found) -> Figure:
    """Mean progress of each factor along the paths, one small plot a factor; the first path has bands."""
    table, paths = found.tables["trajectories"], paths_of(found)
    looks, strokes = (
        level_looks(table["level"]),
        dict(zip(paths, (*_STROKES[: len(paths) - 1], _STROKES[-1]), strict=True)),
    )
    shown = [factor for factor in SHORT_LABELS if factor in set(table["factor"])]
    with theme():
        figure, plots = small_plots(len(shown), _COLUMNS, _PLOT, sharey=True, sharex=True)
        figure.set_figheight(figure.get_figheight() + LEGEND / 25.4)
        for factor, axes in zip(shown, plots, strict=False):
            axes.plot([0, 1], [0, 1], color=MUTED, lw=0.8, zorder=1)
            for (level, (colour, _)), path in product(looks.items(), paths):
                rows = rows_where(table, level=level, path=path, factor=factor)
                _from_a_to_b(axes, rows, "progress", 0.18 * (path == paths[0]), color=colour, ls=strokes[path], lw=1.1)
            axes.set_title(SHORT_LABELS[factor], loc="left")
            axes.set_xlim(0, 1)
        ticks(plots[0].yaxis, 5, steps=(1, 2, 5, 10))
        for axes in plots[::_COLUMNS]:
            axes.set_ylabel("way from A to B")
        handles = [
            *(entry(level, colour=colour) for level, (colour, _) in looks.items()),
            *(entry(path, ls=strokes[path], lw=1.1) for path in paths),
            entry("straight from A to B", colour=MUTED, lw=0.8),
        ]
        legend_below(figure, *handles, apart=0.6)
    return figure


def approach_figure(found: Found) -> Figure:
    """Distances of samples to their own point and to both ends against the position: a row a level, a column a path."""
    table, paths = found.tables["approach"], paths_of(found)
    looks = level_looks(table["level"])
    with theme():
        figure = new_figure(TEXT_WIDTH, LEGEND + 42.0 * len(looks))
        grid = figure.subplots(len(looks), len(paths), sharex=True, sharey="row", squeeze=False)
        for (level, path), axes in zip(product(looks, paths), grid.flat, strict=True):
            rows = rows_where(table, level=level, path=path)
            for name, (colour, marker, _) in _KINDS.items():
                _from_a_to_b(axes, rows, name, 0.2, color=colour, marker=marker, ms=3.2, mec="white", mew=0.4)
            axes.set_title(f"{level}, {path}", loc="left", color=looks[level][0])
            axes.set_xlim(-0.03, 1.03)
        for axes in grid[:, 0]:
            axes.set_ylabel("relative distance")
            axes.set_ylim(bottom=0)
        handles = [
            entry(f"from the sample {label}", marker, colour, ls="-", ms=3.2)
            for colour, marker, label in _KINDS.values()
        ]
        legend_below(figure, *handles, apart=0.8)
    return figure


def _from_a_to_b(axes: Axes, rows: pd.DataFrame, name: str, alpha: float, **look: Any) -> None:
    """A number against the position on the path, with its band."""
    axes.plot(rows["position"], rows[name], **look)
    if alpha:
        band = rows[f"{name}_low"], rows[f"{name}_high"]
        axes.fill_between(rows["position"], *band, color=look["color"], alpha=alpha, lw=0)
    axes.set_xticks([0, 0.5, 1], ["A", "½", "B"])
    axes.tick_params(labelbottom=True)
    axes.grid(axis="y")


def names(found: Found) -> dict[str, Any]:
    """What the words tell besides."""
    given, data, said = found.settings.pair, data_name(found.run), partial(PROBE.wording.text, names={})
    unknown = any(not image.startswith(SCENE) for image in given)
    is_read = (found.records["measure"] == "reading").any()
    return {
        "ends": listed(given) if given else "two images",
        "on": f"distances in units of {data}" if given else f"on pairs of {data}",
        "path": found.settings.paths[0],
        "ordered": ORDERED,
        "placed": PLACED,
        "placed_share": f"{PLACED:.0%}",
        "different": f"{DIFFERENT:.0%}",
        "corrected": f"{1 - ERROR_RATE / 3:.1%}",
        "how_known": said("factors of given images") if unknown else "",
        "of_pairs": said("pairs given" if given else "pairs drawn"),
        "limit_of_the_judge": said("limit of the judge") if is_read else "",
        "labels": SHORT_LABELS | {ORDER: "Spearman"},
    }


PROBE = Probe(
    "interpolate",
    Interpolate,
    measure,
    ready,
    names,
    verdicts,
    needs=Needs(decoder="must", judge=True, images=LEAST),
    images=lambda settings: max(settings.gallery, 2 * settings.pairs),
    tables={**named(orders, factors), "trajectories": progress, **named(classes, distances, approach, comparison)},
    printed={"factors": printed_factors, "distances": printed_distances, "comparison": printed_comparison},
    finding={"interpolation": 4},
    counted="pairs",
    compared={
        "order_of_factors": Compared(correlation, DRAWN),
        "own_point": Compared(rests_on=DRAWN, shares=True, called="samples nearer to their own point, beyond chance"),
        "order_in_h": Compared(correlation, DRAWN),
        "distance_to_own_point": Compared(median, DRAWN),
    },
    comparable=comparable,
    rests_on={"interpolation": "pairs"},
    rows_in={"interpolation": "factors or distances"},
    page={
        "": [
            Show("figure", "orders", orders_figure, across=orders_across, of="orders"),
            Show("figure", "approach", approach_figure, lambda found: found.tables["orders"].empty),
        ],
        "In short": [in_short],
        "What is drawn along the paths": [Show("panel", "strip")],
        "Do factors follow the path?": [
            Show("missing", "factors", of="orders"),
            Show("text", "factors", of="orders"),
            Show("figure", "trajectories", trajectories_figure, of="orders"),
            Show("table", "factors"),
            Show("table", "classes"),
        ],
        "Do samples lie where they were drawn from?": [
            Show("figure", "approach", approach_figure, of="orders"),
            Show("table", "distances"),
            undrawn,
        ],
        "Against the controls": [
            Show("text", "controls", when=lambda found: bool(found.verdicts)),
            Show("table", "comparison"),
        ],
    },
    quick={"pairs": 24, "points": 5, "paths": ("linear",)},
    shown_in={4: ("orders", "sentences", "strip-1")},
)
