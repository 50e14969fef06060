"""What can be taken out of a representation, put in, turned: a PDF report with verdicts on the paper's finding 4.

Dimensions that an image shares with its nearest neighbours are removed, or put into the representation of another
image, beside as many random ones; and representations are moved along the directions of known factors, with what else
changes on the way.

[bold]Examples[/]

rcdm-probe manipulate --encoder vicreg

rcdm-probe manipulate scenes:0 --target scenes:7 --encoder dino --level backbone --strengths -2,-1,1,2

rcdm-probe manipulate cat.jpg --target dog.png --encoder timm/resnet18 --data photos/ --rcdm my-rcdm
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import RidgeCV

from analyses.digits import ERROR_RATE, p_text
from analyses.findings import LEAST as TESTED
from analyses.findings import Word, rule_of_gains, word_of_all, word_of_gain
from analyses.paired import TEST, corrected, holm, signed_rank, tested
from analyses.records import components
from analyses.statistics import Array, Statistic, mean, median, ratio, share
from analyses.tables import by_image, estimate_of, measured, tabulate
from probes.page import undrawn
from probes.probe import Compared, Found, Judgement, Needs, Probe, Ready, Sampling, Show, named, once, option
from probes.untrained import beside_untrained
from rcdm_core.data.registry import open_given
from rcdm_core.distances import relative_displacement, typical_distance
from rcdm_core.encoders import UNTRAINED
from rcdm_core.errors import UserError
from rcdm_core.images import resize
from rcdm_core.readout import RIDGE_PENALTIES
from reports import blocks
from reports.figures.by_encoder import Axis, draw_by_encoder, draw_matrices_by_encoder
from reports.figures.manipulation import draw_by_factor, draw_responses, draw_side_effects
from reports.finished import FinishedRun, joined
from reports.names import FACTOR_LABELS, SHORT_LABELS, in_factor_order, short_label, words
from reports.panels import Panel, in_columns
from reports.tables import cell, number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from matplotlib.figure import Figure

    from analyses.bootstrap import Estimate
    from probes.context import Context
    from reports.blocks import Block

LEAST = 60  # images, below which neighbours are not near and readouts see hardly anything
GIVEN_SAMPLES = 8  # of each representation where an image is given: its numbers are means over them
STRIPS = 2  # images that are shown moved along every direction

SPARSE = 0.5
"""Share of exact zeros from which on a level is sparse: a dimension that is no more often active near ``h`` than
elsewhere is then common to 15 of 20 neighbours with a probability of 2%."""

EDITS = {
    "removed": "own common dimensions removed",
    "removed_random": "as many random ones removed",
    "transplanted": "target's common dimensions put in",
    "transplanted_random": "as many random ones put in",
    "transplanted_far": "random ones put in until h moved as far",
}
"""Every edit of a representation: of common dimensions, and of random ones. What is put in are the target's values."""
UNTOUCHED, TARGET = "untouched", "target"
SHOWN = {
    UNTOUCHED: "drawn from h",
    "removed": "common removed",
    "removed_random": "random removed",
    "transplanted": "target's common in",
    "transplanted_random": "as many random in",
    "transplanted_far": "as far random in",
    TARGET: "drawn from target",
}
TRANSPLANTS = {"common": "transplanted", "random": "transplanted_random", "far": "transplanted_far"}
ALL, ENCODED = "all factors", "encoded again"  # in the column ``factor``: their mean; the samples' own representation
LABELS = {**FACTOR_LABELS, ALL: "mean over factors", ENCODED: "samples, encoded again"}
SERIES = {"common": "common dimensions", "random": "as many random ones"}

FAR = {"far": "random ones, until h has moved as far"}
TAKEN = {"labels": LABELS, "unit": "share of the way to the target", "series": SERIES | FAR}
CHANGED = {"labels": LABELS, "unit": "change, standard deviations (class: share)", "series": SERIES}
GAINS = {"": "random", "_far": "far"}
"""Endings of the columns of a gain, and the control that it is over."""

EDITED = ("images", "seed", "gallery", "neighbours", "shared", "quantile")
"""Settings that say what an edit of an image is: the first two, which target it has."""

_REMOVAL, _TRANSPLANT = 0, 1  # streams of random orders
_BLOCK = 64  # images whose neighbours are looked at together
_COMPONENTS = r"\.(?:cos|sin)$"


@dataclass(frozen=True, kw_only=True)
class Manipulate(Sampling):
    """What is manipulated, and on how much."""

    image: str | None = option(
        None, "Image file, or scenes:7 for scene number 7 of the embedded ones; without it, many of the data.",
        metavar="[IMAGE]", argument=True,
    )  # fmt: skip
    target: str | None = option(None, "Image to take dimensions from; by default one of the data.", metavar="IMAGE")
    images: int = option(
        40, "Images of the data that are manipulated.", short="n", least=2, metavar="N", unless="image"
    )
    gallery: int = option(2000, "Images among which neighbours are.", least=LEAST, metavar="M")
    moved: int = option(
        20, "Of these, those moved along the directions of factors.", least=1, metavar="N", unless="image"
    )
    samples: int | None = option(
        None, "Pictures from each representation; by default 1, and 8 for a given image.", least=1, metavar="K"
    )
    neighbours: int = option(
        20, "Neighbours that tell what an image has in common with them.", short="k", least=1, most=LEAST - 1,
        metavar="K",
    )  # fmt: skip
    shared: int = option(14, "A dimension is common where it is active in more of them than this.", least=0)
    quantile: float = option(
        0.7, "Where few numbers are zero, a dimension is active beyond this quantile.", metavar="Q"
    )
    strengths: tuple[float, ...] = option(
        (-3.0, -1.5, 1.5, 3.0), "How far to move along a direction, in standard deviations of its readout.",
        metavar="A,B,...",
    )  # fmt: skip
    pictures: int = option(6, "Of the images, those that are shown.", least=1, shown=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "gallery", max(self.gallery, 2 * self.images))  # it holds every image and its target
        if self.target is not None and self.image is None:
            raise UserError("a target was given and no image to put it into", "give the image as well")
        if self.shared >= self.neighbours:
            raise UserError(
                f"no dimension is active in more than {self.shared} of {self.neighbours} neighbours",
                "ask for fewer of them",
            )
        if not 0.5 <= self.quantile < 1:
            raise UserError(f"{self.quantile:g} is no upper quantile", "take one from 0.5 to below 1")
        if not any(self.strengths):
            raise UserError("no strength moves anything", "give one that is not 0")
        if not all(map(math.isfinite, self.strengths)) or len(set(self.strengths)) < len(self.strengths):
            told = ", ".join(f"{strength:g}" for strength in self.strengths)
            raise UserError(f"strengths {told}", "give finite numbers, and each once")


def ready(run: Context, settings: Manipulate) -> Ready:
    """Open the image that is given, and its target."""
    specs = {name: str(spec) for name in ("image", "target") if (spec := getattr(settings, name)) is not None}
    settings = replace(settings, **specs, samples=settings.samples or (GIVEN_SAMPLES if specs else 1))  # type: ignore[arg-type]
    given = open_given(list(specs.values()), image_size=run.images.image_size) if specs else None
    return Ready(settings=settings, own=given.images if given else None, given=given)


# What is measured


def measure(run: Context, settings: Manipulate) -> Iterator[pd.DataFrame | Panel]:
    """Edit representations, move them along directions, and see what is drawn then, all from equal noise.

    =======================  ==========================================================================================
    measure                  value; ``condition``; ``strength``
    =======================  ==========================================================================================
    ``zeros``                share of exact zeros among the numbers of a level (``image`` is -1)
    ``dimensions``           how many dimensions are common; ``own`` (of the image) or ``target``
    ``edited_displacement``  distance of the edited ``h`` from ``h`` over the typical distance; the edit
    ``sample_displacement``  the same of the samples of both, encoded again; the edit
    ``sample_gap``           squared distance from the re-encoded sample of ``h`` to that of the target, over the
                             squared typical distance
    ``sample_progress``      how far the re-encoded sample of the edited ``h`` has come along that way, in the same
                             unit; the edit
    ``rendered_untouched``   a factor that the judge reads off a sample of ``h``; the factor
    ``rendered_target``      the same of the target's ``h``, from the noise of the image
    ``rendered_EDIT``        the same of the edited ``h``, for every edit of `EDITS`
    ``readable``             R2, leave one out, of the linear readout that gives a direction; the factor (``image`` is
                             -1)
    ``rendered_moved``       a factor read off a sample of ``h`` moved along a direction; ``MOVED > READ``; how far, in
                             standard deviations of the readout
    ``spread``               standard deviation of a factor over images (``level`` is empty, ``image`` is -1)
    =======================  ==========================================================================================

    ``image`` of an image that the user gave is the number of images of the set. What is put into the h of an untrained
    encoder is there too, at the level `UNTRAINED`: ``sample_gap``, ``sample_progress`` and what is rendered.
    """
    gallery = run.draw(settings.gallery)
    factors = run.images.factors(gallery) if run.judge is not None else None
    parts = {} if factors is None else components(factors)
    for factor, spread in spreads_of(parts).items():
        yield run.records("spread", [spread], [-1], "", factor)
    for one in filter(None, (run, run.untrained())):
        known = one.represent(gallery)
        for level in one.drawn_levels:
            yield from manipulated(run, one, level, sides(one, gallery, known), known[level], parts)


def manipulated(
    run: Context, one: Context, level: str, both: tuple[Side, Side], known: torch.Tensor, parts: dict[str, np.ndarray]
) -> Iterator[pd.DataFrame | Panel]:
    """One level of ``run``; or of ``one`` beside it, an untrained encoder, the floor of what is put into h."""
    settings, (source, target), is_floor = run.settings, both, one is not run
    told = partial(run.records, level=UNTRAINED if is_floor else level)
    h, images, rule = source.h[level], source.numbers.tolist(), find_rule(known, settings)
    typical = typical_distance(known, seed=settings.seed)
    own, theirs = (common_dimensions(rule, side.h[level], known, side.rows, settings.neighbours) for side in both)
    versions = edited(h, target.h[level], rule, own, theirs, settings.seed, images)
    edits = tuple(TRANSPLANTS.values()) if is_floor else tuple(EDITS)
    wanted = {UNTOUCHED: h, TARGET: target.h[level], **{edit: versions[edit] for edit in edits}}
    drawn = {
        name: one.render(name, level, values, images, range(settings.samples or 1)) for name, values in wanted.items()
    }
    again = {name: one.encode(made.flatten(0, 1))[level].double() / typical for name, made in drawn.items()}
    shape = len(images), -1
    if not is_floor:
        yield told("zeros", [rule.zeros], [-1])
        for name, mask in (("own", own), (TARGET, theirs)):
            yield told("dimensions", mask.sum(1), images, condition=name)
        for edit, values in versions.items():
            yield told("edited_displacement", relative_displacement(values, h, typical), images, condition=edit)
        for edit in edits:
            moved = (again[edit] - again[UNTOUCHED]).norm(dim=1).reshape(shape)
            yield told("sample_displacement", moved, images, condition=edit)
    gap = again[TARGET] - again[UNTOUCHED]
    yield told("sample_gap", gap.square().sum(1).reshape(shape), images)
    for edit in edits:
        along = ((again[edit] - again[UNTOUCHED]) * gap).sum(1)
        yield told("sample_progress", along.reshape(shape), images, condition=edit)
    for name, pictures in drawn.items() if parts else ():
        for factor, read in run.read(pictures).items():
            yield told(f"rendered_{name}", read, images, condition=factor)
    if not is_floor:
        first, size = slice(settings.pictures), drawn[UNTOUCHED].shape[-1]
        shown = {label: drawn[name][first, 0] for name, label in SHOWN.items()}
        shown = {"image": source.images[first], **shown, "target": target.images[first]}
        yield in_columns(f"edits_{level}", size, shown)
        if parts:
            yield from turned(run, level, source, known, parts, drawn[UNTOUCHED])


@dataclass(frozen=True, eq=False)
class Side:
    """Images with their representations.

    Attributes:
        images: ``[N, 3, S, S]`` in [0, 1].
        h: ``{level: [N, D]}``.
        rows: Row of the gallery that each image is, ``[N]``; -1 where it is not there.
        numbers: Number of each image in records and as a key of noise, ``[N]``.
    """

    images: torch.Tensor
    h: dict[str, torch.Tensor]
    rows: torch.Tensor
    numbers: np.ndarray


def sides(run: Context, gallery: np.ndarray, known: Mapping[str, torch.Tensor]) -> tuple[Side, Side]:
    """Images, and the target of each.

    Images of the data set are the first N of the gallery, and their targets are the N after these: no image is in two
    pairs, so that pairs are independent and can be what a bootstrap draws. At least half of the gallery, and 30 images,
    are not manipulated: directions are fitted on them.
    """

    def of_gallery(rows: torch.Tensor) -> Side:
        numbers = gallery[rows.numpy()]
        return Side(run.images.images(numbers), {level: h[rows] for level, h in known.items()}, rows, numbers)

    def of_user(image: torch.Tensor) -> Side:
        return Side(image[None], run.encode(image[None]), torch.tensor([-1]), np.array([len(run.images)]))

    if run.own is None:
        rows = torch.arange(min(run.settings.images, len(gallery) // 2))
        return of_gallery(rows), of_gallery(rows + len(rows))
    image, *targets = run.own
    return of_user(image), of_user(targets[0]) if targets else of_gallery(torch.tensor([0]))


def turned(
    run: Context,
    level: str,
    source: Side,
    known: torch.Tensor,
    parts: Mapping[str, np.ndarray],
    untouched: torch.Tensor,
) -> Iterator[pd.DataFrame | Panel]:
    """The first images moved along the direction of every factor; directions are fitted on the other images."""
    settings = run.settings
    images = source.numbers[: settings.moved].tolist()
    fitted = np.setdiff1d(np.arange(len(known)), source.rows[: len(images)].numpy())
    directions = find_directions(known[fitted], {name: values[fitted] for name, values in parts.items()})
    samples: dict[str, dict[float, torch.Tensor]] = {}
    for moved, direction in directions.items():
        yield run.records("readable", [direction.r2], [-1], level, moved)
        samples[moved] = {0.0: untouched}
        for steps in settings.strengths:
            h = direction.move(source.h[level][: len(images)], steps)
            drawn = samples[moved][steps] = run.render(f"moved-{moved}", level, h, images, range(settings.samples))
            for read, values in run.read(drawn).items():
                yield run.records("rendered_moved", values, images, level, f"{moved} > {read}", strength=steps)
    yield from directions_panels(level, source.images[: len(images)], samples)


# Which dimensions an image shares with its neighbours
#
# The paper's rule (Bordes et al. 2022): of the k = 20 nearest neighbours of h in a gallery, the dimensions that are
# not zero in more than 14. It presumes that a zero is rare news: that a dimension is zero for most images. Where less
# than SPARSE of a level's numbers are exact zeros, nearly every dimension would be common whatever the image, and a
# dimension counts as active instead where it lies beyond a quantile of the gallery: above the upper one or below the
# lower one, in more than 14 neighbours on the same side. To remove a dimension is to set it to what it is where
# nothing is active: zero, or the median of the gallery.


@dataclass(frozen=True, eq=False)
class Rule:
    """When a dimension of one level is active, and what it is where it is not.

    Attributes:
        zeros: Share of exact zeros in the gallery.
        low: A dimension is active below this, ``[D]``.
        high: Or above this, ``[D]``.
        rest: Value of a dimension that is removed, ``[D]``.
        shared: A dimension is common where it is active in more neighbours than this.
    """

    zeros: float
    low: torch.Tensor
    high: torch.Tensor
    rest: torch.Tensor
    shared: int

    def common(self, neighbours: torch.Tensor) -> torch.Tensor:
        """Which dimensions are common to the neighbours ``[N, K, D]`` of each image, ``[N, D]``."""
        above, below = (neighbours > self.high).sum(1), (neighbours < self.low).sum(1)
        active = above + below if self.zeros >= SPARSE else torch.maximum(above, below)
        return active > self.shared


def find_rule(gallery: torch.Tensor, settings: Manipulate) -> Rule:
    """The rule for a level, from representations ``[M, D]`` and the ``shared`` and ``quantile`` of the settings."""
    zeros = (gallery == 0).double().mean().item()
    if zeros >= SPARSE:
        low = rest = high = torch.zeros(gallery.shape[1])
    else:
        upper = settings.quantile
        low, rest, high = torch.quantile(gallery, torch.tensor([1 - upper, 0.5, upper]), dim=0)
    return Rule(zeros, low, high, rest, settings.shared)


def common_dimensions(
    rule: Rule, h: torch.Tensor, gallery: torch.Tensor, rows: torch.Tensor, neighbours: int
) -> torch.Tensor:
    """The dimensions that each image shares with its nearest neighbours, booleans ``[N, D]``.

    Args:
        rule: The rule of the level.
        h: Representations of the images, ``[N, D]``.
        gallery: Representations among which neighbours are sought, ``[M, D]``.
        rows: Row of the gallery that is the image itself and no neighbour, ``[N]``; -1 where it is not there.
        neighbours: How many, below M.
    """
    parts = []
    for own, row in zip(h.split(_BLOCK), rows.split(_BLOCK), strict=True):
        distances = torch.cdist(own.double(), gallery.double())
        inside = row >= 0
        distances[inside.nonzero().flatten(), row[inside]] = torch.inf
        parts.append(rule.common(gallery[distances.topk(neighbours, largest=False).indices]))
    return torch.cat(parts)


def edited(
    h: torch.Tensor,
    target: torch.Tensor,
    rule: Rule,
    own: torch.Tensor,
    theirs: torch.Tensor,
    seed: int,
    images: Sequence[int],
) -> dict[str, torch.Tensor]:
    """Every edit of representations ``[N, D]``: ``{edit: [N, D]}``, keys as `EDITS`.

    ``transplanted`` replaces, in ``h``, the dimensions that are common in the target's neighbourhood by the target's
    own values. Its two controls replace random dimensions by the target's values: as many of them, and as many as it
    takes to move ``h`` just as far, the last of them in part.

    Args:
        h: Representations.
        target: Those of the targets.
        rule: The rule of the level.
        own: Common dimensions of each image, booleans.
        theirs: Common dimensions of each target.
        seed: Of the random dimensions.
        images: Numbers of the images; random dimensions are a function of the seed and the number.
    """
    size = h.shape[1]
    removal, orders = (random_orders(seed, stream, images, size) for stream in (_REMOVAL, _TRANSPLANT))
    masks = own, first_of(removal, own.sum(1)), theirs, first_of(orders, theirs.sum(1))
    values = {edit: rule.rest if edit.startswith("removed") else target for edit in EDITS}
    made = {edit: torch.where(mask, values[edit], h) for edit, mask in zip(EDITS, masks, strict=False)}
    part = reach(orders, target - h, theirs)
    return {**made, "transplanted_far": torch.where(part < 1, torch.lerp(h, target, part), target)}


def random_orders(seed: int, stream: int, images: Sequence[int], size: int) -> torch.Tensor:
    """An order of all dimensions for each image, ``[N, size]``."""
    return torch.from_numpy(np.stack([np.random.default_rng([seed, stream, i]).permutation(size) for i in images]))


def first_of(orders: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """The first ``counts [N]`` dimensions of each order ``[N, D]``, as booleans ``[N, D]``."""
    taken = torch.arange(orders.shape[1]) < counts[:, None]
    return torch.zeros_like(taken).scatter(1, orders, taken)


def reach(orders: torch.Tensor, gap: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """How much of each dimension of ``gap [N, D]`` to go, in the given orders, to come as far as the masked ones do.

    Returns:
        1 for all up to the last one that is needed, a part for that one, and 0 for the others, ``[N, D]``.
    """
    squares = gap.double().square()
    wanted = (squares * mask).sum(1, keepdim=True)
    steps = squares.gather(1, orders)
    left = (wanted - (steps.cumsum(1) - steps)).clamp(min=0)
    part = torch.where(steps > 0, (left / steps).clamp(max=1), 0).sqrt()
    return torch.zeros_like(part).scatter(1, orders, part).to(gap.dtype)


# The direction of a factor: the way h changes where a linear readout of the factor does
#
# A ridge regression reads the factor, y = W' h + b. Its weights say what to look at, not how representations differ:
# they may point where no representation lies. The pattern does (Haufe et al. 2014),
#
#     a = Cov(h) W u / (u' Cov(y) u),
#
# the regression of h on its readout along u, which is 1 for a factor that is one number. Since u' W' a = 1, moving h
# by a s moves the readout by exactly s. A step of one is one standard deviation of the readout over the gallery,
# along u; it takes h one standard deviation away from where it was, however well the factor is read. A circular
# factor is read as cosine and sine, and moved along the circle: u is at right angles to the radius at the place where
# h has it now, in the sense of growing angles.


@dataclass(frozen=True, eq=False)
class Direction:
    """The direction of one factor; C is 1, or 2 for cosine and sine.

    Attributes:
        weights: ``W``, ``[D, C]`` float64.
        offset: ``b``, ``[C]``.
        loadings: Covariance of ``h`` and the readout, ``Cov(h) W``, ``[D, C]``.
        covariance: Of the readout over the gallery, ``[C, C]``.
        r2: Of the readout on images that it was not fitted on, leave one out.
    """

    weights: torch.Tensor
    offset: torch.Tensor
    loadings: torch.Tensor
    covariance: torch.Tensor
    r2: float

    def move(self, h: torch.Tensor, steps: float) -> torch.Tensor:
        """Representations ``[N, D]`` moved by so many standard deviations of the readout."""
        if self.weights.shape[1] == 1:
            along = torch.ones(len(h), 1, dtype=torch.float64)
        else:
            cosine, sine = (h.double() @ self.weights + self.offset).T
            along = torch.nn.functional.normalize(torch.stack([-sine, cosine], 1))
        deviation = torch.einsum("nc,cd,nd->n", along, self.covariance, along).clamp(min=0).sqrt()
        scale = torch.where(deviation > 0, steps / deviation, 0.0)
        return (h.double() + scale[:, None] * (along @ self.loadings.T)).float()


def find_directions(h: torch.Tensor, parts: Mapping[str, np.ndarray]) -> dict[str, Direction]:
    """The direction of every factor that is a number, by its name; ``class`` has none.

    Args:
        h: Representations ``[M, D]``.
        parts: Components of the factors as `analyses.records.components` gives them, each ``[M]``.
    """
    x = h.double()
    deviation, centre = torch.std_mean(x, 0)
    scale = torch.where(deviation > 1e-7 * deviation.max(), 1 / deviation, 0.0)
    z = (x - centre) * scale
    largest = float(torch.linalg.matrix_norm(z, 2)) ** 2
    names = [name.partition(".")[0] for name in parts if name != "class"]
    targets = np.stack([values for name, values in parts.items() if name != "class"], 1)
    penalties = [p * largest for p in RIDGE_PENALTIES]
    # Of the ways to the leave-one-out errors, the singular vectors of z are the fastest for many penalties.
    ridge = RidgeCV(penalties, gcv_mode="svd", alpha_per_target=True).fit(z.numpy(), targets)
    found = {}
    for factor in dict.fromkeys(names):
        numbers = [place for place, name in enumerate(names) if name == factor]
        y = targets[:, numbers]
        weights = scale[:, None] * torch.from_numpy(ridge.coef_[numbers].T)
        offset = torch.from_numpy(ridge.intercept_[numbers]) - centre @ weights
        read = (x - centre) @ weights
        covariance = read.T @ read / len(read)
        loadings = (x - centre).T @ read / len(read)
        r2 = 1 + float(np.sum(ridge.best_score_[numbers]) / y.var(0).sum())
        found[factor] = Direction(weights, offset, loadings, covariance, r2)
    return found


def spreads_of(parts: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Standard deviation of every factor: the root mean square difference of two images, over the root of 2.

    For numbers on a line this is the usual one; for angles, in turns, differences are taken the shorter way round.
    """
    found = {}
    for factor in dict.fromkeys(name.partition(".")[0] for name in parts if name != "class"):
        values = np.stack([part for name, part in parts.items() if name.partition(".")[0] == factor], 1)
        differences = change_of(factor, np.roll(values, 1, axis=0), values)
        found[factor] = float(np.sqrt(np.square(differences).mean() / 2))
    return found


# Pictures


def directions_panels(
    level: str, images: torch.Tensor, samples: Mapping[str, Mapping[float, torch.Tensor]]
) -> Iterator[Panel]:
    """The first images ``[n, 3, S, S]`` moved along the direction of every factor, a panel an image.

    Samples are ``[N, K, 3, S, S]`` for every factor and strength; 0 is h itself.
    """
    steps = sorted(next(iter(samples.values())))
    labels = ("image", *(f"{step:+g}σ".replace("-", "−") if step else "h" for step in steps))
    for place, image in enumerate(images[:STRIPS]):
        strips = [torch.cat([made[step][place, :1] for step in steps]) for made in samples.values()]
        original = resize(image[None], strips[0].shape[-1])
        grid = torch.stack([torch.cat([original, strip]) for strip in strips])
        yield Panel(f"directions_{level}_{place + 1}", grid, tuple(map(words, samples)), labels)


# From records to numbers of images; several samples of an image are averaged before anything else
#
# The change of a factor is in standard deviations of the factor over images, signed, circular factors the shorter way
# round; of the class it is whether another one is seen.
#
# The way: between a sample of h and one of the target's h, from equal noise, a factor differs by a vector g (of one
# number, or of cosine and sine). An edit moves it by d: its progress is d.g, the whole way g.g. Of the class, progress
# is whether the target's class is now shown, among the images that did not show it. The same with representations of
# the samples, encoded again, in place of a factor, measures what no factor names.


def ways_of_images(rows: pd.DataFrame) -> Iterator[tuple[str, Array]]:
    """Of each factor, and of the samples encoded again, ``[N, 4]``: progress of the three edits, and the whole way."""
    start, end = (readings(measured(rows, f"rendered_{version}")) for version in (UNTOUCHED, TARGET))
    edits = [readings(measured(rows, f"rendered_{edit}")) for edit in TRANSPLANTS.values()]
    for factor, at in start.items():
        way, afters = end[factor] - at, [after[factor] for after in edits]
        if factor == "class":
            gap = (at != end[factor])[..., 0]
            moves = [(after == end[factor])[..., 0] & gap for after in afters]
        else:
            gap = np.square(way).sum(2)
            moves = [((after - at) * way).sum(2) for after in afters]
        yield factor, np.stack([*moves, gap], axis=-1).astype(np.float64).mean(1)
    progress = measured(rows, "sample_progress")
    again = [progress[progress["condition"] == edit] for edit in TRANSPLANTS.values()]
    yield ENCODED, np.stack([mean_by_image(part) for part in (*again, measured(rows, "sample_gap"))], axis=-1)


@once
def changes_of_images(found: Found) -> dict[tuple[str, str, str], dict[float, Array]]:
    """By (level, factor moved, factor read) and strength: the change of each image, ``[N]``."""
    spread, changes = spreads(found.records), dict[tuple[str, str, str], dict[float, Array]]()
    before, steps = (found.measured(f"rendered_{name}") for name in (UNTOUCHED, "moved"))
    for level, rows in steps.groupby("level", sort=False):
        pairs = rows["condition"].str.partition(" > ")
        start = readings(before[(before["level"] == level) & before["image"].isin(rows["image"].unique())])
        rows = rows.assign(moved=pairs[0], condition=pairs[2])
        for (moved, strength), part in rows.groupby(["moved", "strength"], sort=False):
            for read, after in readings(part).items():
                change = change_of(read, start[read], after).mean(1) / spread.get(read, 1.0)
                changes.setdefault((level, moved, read), {})[float(strength)] = change
    return changes


def slopes_of_images(found: Found) -> dict[tuple[str, str, str], Array]:
    """By (level, factor moved, factor read): the change for each standard deviation, of each image, ``[N]``."""
    slopes = {}
    for key, by_strength in changes_of_images(found).items():
        strengths = np.array(list(by_strength))
        weights = np.abs(strengths) if key[2] == "class" else strengths
        slopes[key] = weights @ np.stack(list(by_strength.values())) / np.square(strengths).sum()
    return slopes


def readings(rows: pd.DataFrame) -> dict[str, Array]:
    """Readings of each factor, ``[N, K, C]``: images ascending, K samples, C components (cosine before sine)."""
    if rows.empty:
        return {}
    wide = by_image(rows, "condition", "sample")
    factors = wide.columns.get_level_values("condition").str.replace(_COMPONENTS, "", regex=True)
    samples = wide.columns.get_level_values("sample").nunique()
    return {
        factor: np.moveaxis(wide.loc[:, factors == factor].to_numpy().reshape(len(wide), -1, samples), 1, 2)
        for factor in dict.fromkeys(rows["condition"].str.replace(_COMPONENTS, "", regex=True))
    }


def change_of(factor: str, start: Array, end: Array) -> Array:
    """Signed change of readings ``[..., C]``, ``[...]``: circular ones in turns; of the class, whether it differs."""
    if factor == "class":
        return (start != end)[..., 0].astype(np.float64)
    if start.shape[-1] == 1:
        return (end - start)[..., 0]
    turns = [np.arctan2(values[..., 1], values[..., 0]) / (2 * np.pi) for values in (start, end)]
    difference = turns[1] - turns[0]
    return difference - np.rint(difference)


def spreads(records: pd.DataFrame) -> dict[str, float]:
    """The standard deviation of each factor over images; none of the class."""
    rows = measured(records, "spread")
    return dict(zip(rows["condition"], rows["value"], strict=True))


def mean_by_image(rows: pd.DataFrame) -> Array:
    """Mean over the samples of each image, ``[N]``, images ascending."""
    return rows.groupby("image")["value"].mean().sort_index().to_numpy()


# Tables


def levels(found: Found) -> pd.DataFrame:
    """What the rule found at each level.

    One row a ``level``: ``zeros``, the share of exact zeros; ``rule``, ``non-zero`` or ``quantile``; medians over
    images of the number of common dimensions of the image (``own``) and of its target; ``images``.
    """
    lines = []
    for level, rows in found.measured("zeros", "dimensions").groupby("level", sort=False):
        zeros = float(measured(rows, "zeros")["value"].iloc[0])
        counts = by_image(measured(rows, "dimensions"), "condition")
        line = {"level": level, "zeros": zeros, "rule": "non-zero" if zeros >= SPARSE else "quantile"}
        lines.append({**line, **counts[["own", "target"]].median().to_dict(), "images": len(counts)})
    return pd.DataFrame(lines, columns=["level", "zeros", "rule", "own", "target", "images"])


def edits(found: Found) -> pd.DataFrame:
    """How far each edit moves ``h``, and the samples drawn from it.

    One row a (``level``, ``edit``): medians ``moved`` of the relative displacement of ``h``, ``drawn`` of that of the
    samples encoded again; ``images``.
    """
    measures = {"moved": "edited_displacement", "drawn": "sample_displacement"}
    rows = {}
    for key, own in found.measured(*measures.values()).groupby(["level", "condition"], sort=False):
        values = {name: mean_by_image(measured(own, measure)) for name, measure in measures.items()}
        rows[key] = found.intervals(values, median)
    return tabulate(rows, ("level", "edit"), tuple(measures))


def removal(found: Found) -> pd.DataFrame:
    """How much each factor changes where dimensions are removed, common ones against as many random ones.

    One row a (``level``, ``factor``): means ``common`` and ``random`` of the absolute change, of the class the share of
    images that show another one; ``difference`` of the two; ``p_value`` (two-sided Wilcoxon signed-rank), ``p_holm``
    over the factors of the level; ``effect`` (rank-biserial); ``images``. None where factors were not read.
    """
    rows, spread = {}, spreads(found.records)
    for level, own in found.records[found.records["level"] != UNTRAINED].groupby("level", sort=False):
        start, *ends = (
            readings(measured(own, f"rendered_{name}")) for name in (UNTOUCHED, "removed", "removed_random")
        )
        for factor, at in start.items():
            common, random = (
                np.abs(change_of(factor, at, end[factor])).mean(1) / spread.get(factor, 1.0) for end in ends
            )
            both = found.intervals({"common": common, "random": random}, share if factor == "class" else mean)
            gain = common - random
            rows[level, factor] = {**both, "difference": found.interval(gain, mean), **tested(gain)}
    return corrected(tabulate(rows, ("level", "factor"), ("common", "random", "difference"), TEST), "level")


def transplant(found: Found) -> pd.DataFrame:
    """How far each factor is taken towards the target by transplanted dimensions, common ones against random ones.

    Over images, the *share of the way* is ``sum d.g / sum g.g``, the slope of the regression of ``d`` on ``g``: 0 where
    the edit leaves the factor as it was, 1 where it takes it to the target. Of the class it is the share of images that
    now show the target's class, among those that did not.

    One row a (``level``, ``factor``), `ENCODED` and, where factors are known, `ALL` among them: the shares ``common``,
    ``random`` (as many dimensions) and ``far`` (random ones, until ``h`` moved as far); ``gain``, common minus random,
    and ``gain_far``, common minus far; ``p_value`` of the gain (two-sided Wilcoxon signed-rank on its summands),
    ``p_holm`` over the factors of the level (the row of all factors keeps its own); ``effect``; the same of the other
    gain, ``p_value_far``, ``p_holm_far`` and ``effect_far``; ``untrained_h``, ``common`` of an untrained encoder;
    ``images``.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    known = ("sample_gap", "sample_progress", *(f"rendered_{v}" for v in (UNTOUCHED, TARGET, *TRANSPLANTS.values())))
    for level, own in found.measured(*known).groupby("level", sort=False):
        ways = dict(ways_of_images(own))
        grouped = {factor: way[:, None] for factor, way in ways.items()}
        if factors := [way for factor, way in ways.items() if factor != ENCODED]:
            grouped[ALL] = np.stack(factors, axis=1)
        if (classes := grouped.get("class")) is not None:  # of each image that did not show the target's
            others = classes[classes[:, 0, 3] > 0]
            grouped["class"] = others / others[..., 3:]
        for factor, way in grouped.items():
            rows[level, factor] = shares(found, way, share if factor == "class" else ratio)
    tests = [f"{column}{which}" for which in GAINS for column in TEST]
    table = tabulate(rows, ("level", "factor"), ("common", "random", "far", "gain", "gain_far"), tests)
    table = beside_untrained(table, "common", "factor")
    for which in GAINS:
        family = table.assign(p_value=table[f"p_value{which}"].mask(table["factor"] == ALL))
        table[f"p_holm{which}"] = corrected(family, "level")["p_holm"].fillna(table[f"p_value{which}"])
    return table


def directions(found: Found) -> pd.DataFrame:
    """What moving along the direction of a factor does to it and to every other one: the table of side effects.

    Of each image, the change of the factor that is read is regressed, through the origin, on how far ``h`` was moved;
    the table holds the mean of the slopes.

    One row a (``level``, ``moved``, ``read``): ``change`` of the factor read, in its standard deviations, for each
    standard deviation of the readout (of the class: share of images that show another one, for each standard deviation
    in either sense); ``readable``, the R2 of the readout; ``p_value`` (two-sided Wilcoxon signed-rank against 0; none
    for the class, which cannot be below), ``p_holm`` over the level; ``effect``; ``images``.
    """
    rows, known = {}, found.measured("readable").set_index(["level", "condition"])["value"]
    for (level, moved, read), values in slopes_of_images(found).items():
        test = dict.fromkeys(TEST, np.nan) if read == "class" else tested(values)
        change = found.interval(values, mean)
        rows[level, moved, read] = {"change": change, "readable": known[level, moved], **test}
    return corrected(tabulate(rows, ("level", "moved", "read"), ("change",), ("readable", *TEST)), "level")


def responses(found: Found) -> pd.DataFrame:
    """How each factor follows its own direction, against how far ``h`` is moved.

    One row a (``level``, ``factor``, ``strength``), strengths ascending: mean ``change`` in standard deviations of the
    factor; ``images``.
    """
    rows = {
        (level, moved, strength): {"change": found.interval(values, mean)}
        for (level, moved, read), by_strength in changes_of_images(found).items()
        for strength, values in (sorted(by_strength.items()) if moved == read else ())
    }
    return tabulate(rows, ("level", "factor", "strength"), ("change",))


def shares(found: Found, ways: Array, statistic: Statistic) -> dict[str, Any]:
    """Shares (a `ratio`, or a `share` of hits), gains and tests of ``[N, F, 4]``, averaged over the F factors."""
    parts = dict(zip(TRANSPLANTS, np.moveaxis(ways[..., :3], -1, 0), strict=True))
    gap = ways[..., 3]
    scale = gap.mean(0) if len(gap) else gap.sum(0)

    def of_way(part: Array) -> Array:
        """Of the whole way, ``[N]``: what the shares are means of."""
        return np.divide(part, scale, out=np.zeros_like(part), where=scale > 0).mean(1)

    summed: dict[str, Any] = {
        name: found.interval(of_way(part) if statistic is share else np.stack([part, gap], axis=-1), statistic)
        for name, part in parts.items()
    }
    for which, control in GAINS.items():
        difference = parts["common"] - parts[control]
        summed[f"gain{which}"] = found.interval(np.stack([difference, gap], axis=-1), ratio)
        summed |= {f"{column}{which}": value for column, value in tested(of_way(difference)).items()}
    return summed


# Verdicts


def verdicts(found: Found) -> Iterator[Judgement]:
    """Finding 4 by manipulation, level by level: common dimensions, and directions where factors are known."""
    yield from transplanted(found)
    yield from directed(found)


def transplanted(found: Found) -> Iterator[Judgement]:
    """Whether common dimensions take more of the target along than random ones: as many, and ones that go as far."""
    table = found.tables["transplant"]
    moved = found.tables["edits"].set_index(["level", "edit"])["moved"]
    by_factors = (table["factor"] == ALL).any()
    rows = table[(table["factor"] == (ALL if by_factors else ENCODED)) & (table["images"] >= TESTED)]
    tests = {which: holm(rows[f"p_value{which}"]) for which in GAINS}
    for place, (_, row) in enumerate(rows.iterrows()):
        level, gains = row["level"], [estimate_of(row, f"gain{which}") for which in GAINS]
        word, decisive, p = judged(gains, [float(of_levels[place]) for of_levels in tests.values()])
        about = {
            "what": "the factors of what is drawn" if by_factors else "what is drawn, encoded again,",
            "over": "mean over factors" if by_factors else "of the samples encoded again",
            **{name: f"{row[name]:.2f}" for name in TRANSPLANTS},
            **{f"h_{name}": f"{moved[level, edit]:.2f}" for name, edit in TRANSPLANTS.items()},
            **{f"gain_{control}": gain.signed() for control, gain in zip(GAINS.values(), gains, strict=True)},
            **{f"p_{control}": p_text(float(tests[which][place])) for which, control in GAINS.items()},
        }
        yield Judgement("manipulation", gains[decisive], word, level, p_value=p, names=about)


def directed(found: Found) -> Iterator[Judgement]:
    """Whether a direction changes its own factor, and by more than others."""
    slopes = {key: values for key, values in slopes_of_images(found).items() if key[2] != "class"}
    tested_at = {}
    for level in dict.fromkeys(level for level, _, _ in slopes):
        of_level = {(moved, read): values for (at, moved, read), values in slopes.items() if at == level}
        own, others = (
            np.stack([values for (moved, read), values in of_level.items() if (moved == read) == itself], 1)
            for itself in (True, False)
        )
        if len(own) >= TESTED:
            tested_at[level] = own, others, squares(own) - squares(others), own.mean(1)
    p_values = [holm([signed_rank(parts[which]) for parts in tested_at.values()]) for which in (2, 3)]
    for place, (level, (own, others, *criteria)) in enumerate(tested_at.items()):
        gain, change = (found.interval(values, mean) for values in criteria)
        word, _, p = judged([gain, change], [float(of_levels[place]) for of_levels in p_values])
        sizes = {"size": squares(own), "others": squares(others)}
        about = {
            "own": change.signed(),
            **{name: f"{max(0.0, values.mean()) ** 0.5:.2f}" for name, values in sizes.items()},
            "p_gain": p_text(float(p_values[0][place])),
            "p_own": p_text(float(p_values[1][place])),
        }
        yield Judgement("directions", gain, word, level, p_value=p, names=about)


def squares(slopes: Array) -> Array:
    """Of slopes ``[N, F]``, what each image has in the mean over F of the square of their mean over images, ``[N]``.

    Noise adds to a square as it adds to an absolute value, and the more the fewer images there are. So each slope is
    multiplied by the mean slope of the other images: the mean over images is the square less what noise adds, and is 0
    on average where there is no effect. An image counts in its own slope and in the mean of all others, hence twice,
    less the whole (its pseudo-value of the jackknife): so the numbers vary with the images as their mean does.
    """
    others = (slopes.sum(0) - slopes) / (len(slopes) - 1)
    products = slopes * others
    return (2 * products - products.mean(0)).mean(1)


def judged(gains: Sequence[Estimate], p_values: Sequence[float]) -> tuple[Word, int, float]:
    """The word of a claim that needs several gains, with the place of the one that decides and its p.

    That is the one furthest from support: of gains against the claim the surest, else the least sure.
    """
    words = [word_of_gain(gain, p) for gain, p in zip(gains, p_values, strict=True)]
    word = word_of_all(*words)
    against = [place for place, one in enumerate(words) if one == "not supported"]
    decisive = min(against, key=p_values.__getitem__) if against else int(np.argmax(p_values))
    return word, decisive, p_values[decisive]


# The page


def in_short(found: Found) -> Iterator[Block]:
    """The outcome in sentences."""
    said, rows = PROBE.wording.parts("in short"), printed_levels(found).to_dict("records")
    told = (said[rule].format(**row) for rule, row in zip(found.tables["levels"]["rule"], rows, strict=True))
    yield blocks.points([*(verdict.sentence for verdict in found.verdicts), *told])


def figure_of(table: str, draw: Callable[..., Figure], **about: Any) -> Callable[[Found], Figure]:
    """A figure of a table."""
    return lambda found: draw(found.tables[table], **about)


side_effects = figure_of("directions", draw_side_effects, labels=SHORT_LABELS)


def transplant_across(runs: Sequence[FinishedRun]) -> Figure:
    """Shares of the way, edit beside edit."""
    axis = Axis("share of the way to the target")
    return draw_by_encoder(joined(runs, "transplant"), axis, row="factor", labels=LABELS, series=SERIES | FAR)


def side_effects_across(runs: Sequence[FinishedRun]) -> Figure:
    """The matrices of factors moved and factors read."""
    table = joined(runs, "directions")
    moved = [factor for factor in SHORT_LABELS if factor in set(table["moved"])]
    wide = {
        (encoder, level): rows.pivot(index="moved", columns="read", values="change").loc[moved, [*moved, "class"]]
        for (encoder, level), rows in table.groupby(["encoder", "level"], sort=False)
    }
    return draw_matrices_by_encoder(
        {key: rows.to_numpy(float) for key, rows in wide.items()},
        rows=[SHORT_LABELS[factor] for factor in moved],
        columns=[SHORT_LABELS[factor] for factor in (*moved, "class")],
        full=1.0,
        unit="change, in standard deviations",
    )


def printed_levels(found: Found) -> pd.DataFrame:
    """`levels` as read: shares in per cent, counts as whole numbers."""
    table, sizes = found.tables["levels"], found.run["encoder_card"]["levels"]
    rules = {"non-zero": "not zero", "quantile": f"{found.settings.quantile:g} quantile"}
    return table.assign(
        dimensions=[str(sizes.get(level, "–")) for level in table["level"]],
        zeros=[f"{share:.0%}" for share in table["zeros"]],
        rule=[rules[rule] for rule in table["rule"]],
        **{name: [number(count, 0) for count in table[name]] for name in ("own", "target")},
    )


def printed_directions(found: Found) -> pd.DataFrame:
    """Every direction with its own change, the largest side effect, and how often the class changes."""
    lines = []
    for about, effects in by_direction(found):
        others = effects.drop(index=[about["moved"], "class"])
        most = others.loc[others["change"].abs().idxmax()]
        largest = f"{short_label(str(most.name))} {cell(most, 'change')}{star(most)}"
        told = {"largest": largest, "classes": cell(effects.loc["class"], "change")}
        lines.append({**effects.loc[about["moved"]], **about, **told})
    return pd.DataFrame(lines)


def printed_side_effects(found: Found) -> pd.DataFrame:
    """The matrix of factors moved and factors read."""
    return pd.DataFrame(
        {**about, **{str(read): number(row["change"]) + star(row) for read, row in effects.iterrows()}}
        for about, effects in by_direction(found)
    )


def by_direction(found: Found) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    """Of each level and factor moved: these, and the effects by factor read."""
    for (level, moved), rows in found.tables["directions"].groupby(["level", "moved"], sort=False):
        yield {"level": level, "moved": moved}, rows.set_index("read")


def printed_transplant(found: Found) -> pd.DataFrame:
    """Shares without their intervals, which the figure has and the table has no room for."""
    bare = [f"{name}_{end}" for name in TRANSPLANTS for end in ("low", "high")]
    return in_factor_order(found.tables["transplant"].drop(columns=bare), ALL, ENCODED)


def printed_shares(found: Found) -> pd.DataFrame:
    """Shares of the way over all factors, and of the samples encoded again."""
    table = printed_transplant(found)
    return table[table["factor"].isin((ALL, ENCODED))]


def star(effect: pd.Series) -> str:
    """The mark of an effect that chance does not explain."""
    return "*" if effect["p_holm"] < ERROR_RATE else ""


def names(found: Found) -> dict[str, Any]:
    """What the words tell besides."""
    settings, image, said = found.settings, found.settings.image, partial(PROBE.wording.text, names={})
    return {
        "on": f"on {image}, beside" if image else "on",
        "few": "one image" if image else "fewer",
        "least": TESTED,
        "pairs": said("pairs of one image" if image else "pairs of the data"),
        "of_directions": said("limit of directions") if len(found.tables["removal"]) else "",
        "gallery": f"{found.at_hand(settings.gallery):,}",
        "quantile": f"{settings.quantile:g}",
        "sparse": f"{SPARSE:.0%}",
        "rule_of_gains": rule_of_gains("levels"),
        "labels": SHORT_LABELS | EDITS,
    }


PROBE = Probe(
    "manipulate",
    Manipulate,
    measure,
    ready,
    names,
    verdicts,
    needs=Needs(decoder="must", judge=True, images=LEAST),
    images=lambda settings: settings.gallery,
    tables=named(levels, edits, removal, transplant, directions, responses),
    finding={"manipulation": 4, "directions": 4},
    rests_on={"directions": "moved"},
    rows_in={"manipulation": "transplant", "directions": "directions"},
    page={
        "": [
            Show("figure", "transplant", figure_of("transplant", draw_by_factor, **TAKEN), across=transplant_across),
        ],
        "In short": [in_short],
        "Common dimensions, taken out and put in": [
            Show("panel", "edits"),
            Show("table", "levels"),
            Show("table", "edits"),
            Show("table", "transplant"),
            Show("missing", "factors", of="removal"),
            Show("figure", "removal", figure_of("removal", draw_by_factor, **CHANGED), of="removal"),
            Show("table", "removal"),
            undrawn,
        ],
        "Directions of factors": [
            Show("missing", "directions", of="removal"),
            Show("text", "directions", of="removal"),
            Show("panel", "directions"),
            Show("figure", "responses", figure_of("responses", draw_responses, labels=SHORT_LABELS), of="removal"),
            Show("figure", "side-effects", side_effects, across=side_effects_across, of="removal"),
            Show("table", "directions"),
            Show("table", "side-effects"),
        ],
    },
    printed={
        "levels": printed_levels,
        "removal": lambda found: in_factor_order(found.tables["removal"]),
        "transplant": printed_transplant,
        "directions": printed_directions,
        "side-effects": printed_side_effects,
        "shares": printed_shares,
    },
    compared={
        "edited_displacement": Compared(median, EDITED),
        "sample_displacement": Compared(median, (*EDITED, "steps", "solver")),
    },
    quick={"images": 20, "gallery": 1000, "strengths": (2.0,)},
    shown_in={4: ("transplant", "side-effects")},
)
