"""What an encoder keeps of each transformation: a PDF report with verdicts on the paper's findings 1 and 2.

How far each transformation moves a representation, whether a linear readout tells that it was applied, which known
factors are present in h and rendered in what is drawn from it, and what h leaves open. What needs no decoder is
measured without one.

[bold]Examples[/]

rcdm-probe invariance --encoder vicreg

rcdm-probe invariance --encoder simclr --data photos/ --images 1000 --out simclr-photos

rcdm-probe invariance --encoder timm/resnet18 --level layer2 --level layer4 --data photos/
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from analyses.bootstrap import LEVEL, Estimate
from analyses.digits import ERROR_RATE, ROUNDING, decisive, fixed, p_text
from analyses.findings import LEAST as FEWEST
from analyses.findings import Word, word_for, word_of_gain
from analyses.floors import of_others
from analyses.paired import TEST, chance_auc, holm, signed_rank, tested
from analyses.records import components, join
from analyses.records import records as as_records
from analyses.statistics import auc, auc_shares, mean, mean_reciprocal, mean_size, median, r2, r2_shares, ratio, share
from analyses.tables import by_image, estimate_of, headings, measured, summed, tabulate
from probes.page import MEASURED, no_decoder, undrawn
from probes.probe import (
    Compared,
    Found,
    Judgement,
    Needs,
    Probe,
    Ready,
    Sampling,
    Show,
    check_names,
    named,
    once,
    option,
)
from probes.scale import MOVED, OF_TOKENS, PLAIN, TOKENS, WHITENED, Scale, between_tokens, unit_error
from probes.transformations import REGISTERED, TRANSFORMATIONS
from probes.untrained import are_fresh, is_untrained, untrained_of
from rcdm_core.allocator import give_back
from rcdm_core.distances import cosine, retrieval_ranks
from rcdm_core.encoders.catalogue import EMBEDDED, SSL_AUGMENTATIONS
from rcdm_core.encoders.encoder import PATCHES
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.images import resize
from rcdm_core.readout import binary_scores, class_predictions, ridge_predictions
from rcdm_core.representations import fitting
from reports import blocks, phrases, style
from reports.figures.by_encoder import Axis, draw_by_encoder
from reports.figures.displacement import draw_displacement, draw_dose_response
from reports.figures.factors import draw_factors
from reports.finished import FinishedRun, joined
from reports.names import FACTOR_LABELS, factor_label, in_factor_order, is_of, listed, words
from reports.panels import Map, Panel, in_columns
from reports.tables import cell, number, rows_where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from analyses.statistics import Statistic
    from probes.context import Context
    from reports.blocks import Block

FOLDS = 5
LEAST = 4 * FOLDS  # images, below which a fold of a readout holds hardly anything
ENOUGH = 100  # other images, from which number on the unit of distances comes from them alone
HELD = 2**26  # bytes of images that are held in memory, and not decoded again for every transformation
IN_A_ROW = 4  # maps
SHOWN_SAMPLES = 4  # from each level, at most, where a picture shows all levels

NEGLIGIBLE = 0.1
"""Relative displacement that counts as none: a tenth of the way to another image."""

BOUNDS = (0.05, NEGLIGIBLE, 0.2, 0.3, 0.5)
"""Displacements that could count as none instead: the table ``bounds`` shows what words would become of it."""

EQUIVALENCE = 0.9
"""Coverage of the interval of two one-sided tests at 5%."""


PREFIX = {PLAIN: "", WHITENED: "whitened_"}
"""What names of numbers that follow from a displacement begin with."""

WEIGHTS = {"trained": "", "untrained": "untrained_"}
"""Whose displacement a measure is, and what its name begins with: of the encoder, and of its architecture untrained."""

PAIR = BACKBONE, PROJECTOR = "backbone", "projector"
MISSING = Estimate(np.nan, np.nan, np.nan, 0)


@dataclass(frozen=True, kw_only=True)
class Invariance(Sampling):
    """What is measured, and on how much."""

    transformations: tuple[str, ...] = option(
        tuple(TRANSFORMATIONS),
        f"Transformation to apply, may be repeated; by default all: {', '.join(TRANSFORMATIONS)}.",
        flag="transformation", short="t", metavar="NAME",
    )  # fmt: skip
    images: int = option(500, "Images that statistics rest on.", short="n", least=LEAST, metavar="N")
    gallery: int = option(2000, "Images among which ranks are taken, and on which readouts are fitted.", metavar="M")
    rendered: int = option(
        100, "Of --images, those off whose samples factors are read.", least=1, metavar="N", draws=True
    )
    varied: int = option(16, "Of --images, those of which several samples are drawn.", least=2, metavar="N", draws=True)
    samples: int = option(6, "Samples of each of these.", least=2, metavar="K", draws=True)
    pictures: int = option(8, "Images that are shown with their samples.", least=1, metavar="P")
    compared: int = option(2, "Of these, images that are shown under every transformation.", least=0, shown=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_names("transformations", "transformation", self.transformations, TRANSFORMATIONS)
        object.__setattr__(self, "gallery", max(self.images, self.gallery))  # its first are those of the statistics


def ready(run: Context, settings: Invariance) -> Ready:
    """Refuse augmentations of training that there are not; build the untrained encoder that stands beside this one."""
    for name in run.encoder.training_augmentations:
        if name not in TRANSFORMATIONS:
            raise unknown_name(f"training augmentation of encoder {run.encoder.name!r}", name, TRANSFORMATIONS)
    untrained = None if is_untrained(run.encoder) else untrained_of(run.encoder, run.levels)
    hashes = {f"transformation {name}": REGISTERED[name] for name in settings.transformations if name in REGISTERED}
    return Ready(own=untrained, hashes=hashes | ({"untrained": untrained.fingerprint} if untrained else {}))


# What is measured


def measure(run: Context, settings: Invariance) -> Iterator[pd.DataFrame | Panel | Map]:
    """Transform images and see what of it arrives in h; read from h what is known of images, and draw from it.

    =========================  ========================================================================================
    measure                    value; ``condition``; ``strength``
    =========================  ========================================================================================
    ``relative_displacement``  distance of h(T(x)) from h(x) over the typical distance of two images; T; its dose
    ``whitened_displacement``  the same of whitened representations
    ``untrained_...``          either, of the untrained encoder; an augmentation of SSL; its reference dose
    ``unit_error``             of no image (-1): standard error of the typical distance, as a share of it; the
                               displacement that it is the unit of; of the untrained encoder ``untrained_unit_error``
    ``cosine``                 cosine of h(T(x)) and h(x); T; its dose
    ``rank``                   place of x among the gallery seen from h(T(x)), 1 is the nearest; T; its dose
    ``applied_score``          log-odds, read linearly from h, that T was applied; T; 0 for x, the reference dose for
                               T(x)
    ``strength_predicted``     dose read linearly from h(T(x)); T; the true dose, 0 for x
    ``true``                   a factor of the image (``level`` is empty); the factor
    ``present``                the factor read linearly from h(x); the factor
    ``rendered``               the factor that the judge reads off a sample from h(x); the factor
    ``judged``                 the factor that the judge reads off the image itself (``level`` is empty); the factor
    ``of_mean_h``              the factor that the judge reads off a sample from the mean h, from the noise of the image
    ``mean_h_variance``        variance among these samples, mean over pixels and channels, of no image (-1)
    ``of_untrained_h``         the factor that the judge reads off a sample from the h of the image that the untrained
                               encoder of the decoder gives, from equal noise
    ``untrained_h_variance``   variance of a pixel among samples of one such h
    ``within_variance``        variance among the samples of one h(x), mean over pixels and channels
    ``between_variance``       what the image adds to the variance of expected samples over images (mean: the variance)
    =========================  ========================================================================================
    """
    images = opened(run, settings)
    fresh = images.untrained and images.untrained.run.encoder.fingerprint
    known = (images.positions.tolist(), images.count, run.levels, settings.seed, fresh)
    for prefix, look in zip(WEIGHTS.values(), (images.own, images.untrained), strict=True):
        if look is not None:
            for level, scale in look.scales.items():
                yield from scale.error_records(look.run, level, prefix)

    def moved_by(name: str) -> pd.DataFrame:
        doses = TRANSFORMATIONS[name].doses
        return run.kept_records(f"transformed-{name}", partial(transformed, run, images, name), known, doses)

    yield from run.shared(moved_by, settings.transformations, "transforming", images.holds)
    if (factors := run.images.factors(images.positions)) is not None:
        yield run.kept_records("factors", partial(known_factors, run, images, components(factors)), known)
    yield doses_panel(images, settings.transformations)
    if PATCHES in run.levels and run.encoder.grid_layer:
        yield from token_maps(run, images)
    if run.drawn_levels:
        yield from drawn(run, images)


@dataclass(frozen=True, eq=False)
class Looker:
    """An encoder, and what it sees in the gallery.

    Attributes:
        run: A context of it.
        h: Representations of the gallery, untouched, ``{level: [M, D]}``.
        scales: What displacements are counted in, by level.
    """

    run: Context
    h: dict[str, torch.Tensor]
    scales: dict[str, Scale]


def looker(run: Context, positions: np.ndarray, others: slice) -> Looker:
    """The encoder of a context of one looks at a gallery, ``others`` of which give the unit of distances."""
    h = run.represent(positions)
    scales = run.shared(lambda level: Scale.of(h[level][others], run.settings.seed), run.levels, "taking the unit")
    return Looker(run, h, dict(zip(run.levels, scales, strict=True)))


@dataclass(frozen=True, eq=False)
class Images:
    """What is looked at: a gallery in random order, and its first images, which statistics rest on.

    Attributes:
        run: What is open.
        positions: Of the gallery in the data set, ``[M]``.
        count: Number N of the images that statistics rest on.
        held: These images, ``[N, 3, S, S]``; None where they are too many to be held.
        own: The encoder under study.
        untrained: The same architecture with fresh weights; None where there is none.
    """

    run: Context
    positions: np.ndarray
    count: int
    held: torch.Tensor | None
    own: Looker
    untrained: Looker | None

    @property
    def numbers(self) -> np.ndarray:
        """Positions of the images that statistics rest on, ``[N]``."""
        return self.positions[: self.count]

    @property
    def holds(self) -> int:
        """Bytes of the representations of these images, untouched and at every dose of a transformation."""
        versions = 1 + max(len(TRANSFORMATIONS[name].doses) for name in self.run.settings.transformations)
        return 4 * versions * self.count * sum(self.run.encoder.dimensions[level] for level in self.run.levels)

    def make_room(self) -> None:
        """Give memory back that is kept and not used, where images are many."""
        if self.held is None:
            give_back()

    def untouched(self, which: slice) -> torch.Tensor:
        """Some of these images, ``[n, 3, S, S]``, decoded again where they are not held."""
        return self.run.images.images(self.numbers[which]) if self.held is None else self.held[which]

    def under(self, name: str, dose: float, which: slice, images: torch.Tensor | None = None) -> torch.Tensor:
        """Some of these images transformed, ``[n, 3, S, S]``; ``images`` where they are at hand."""
        images = self.untouched(which) if images is None else images
        numbers = self.numbers[which].tolist()
        return TRANSFORMATIONS[name].apply(images, dose, self.run.settings.seed, numbers=numbers)

    def moved(self, name: str) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Representations of all these images untouched and at each dose of a transformation: ``{level: [V, N, D]}``.

        Batch by batch, so that memory holds no images, and in the one place where they are read, which is not copied.
        Beside them those of the untrained encoder at the reference dose, ``{level: [N, D]}``: of the augmentations that
        every encoder is asked for, where there is one.
        """
        run, (doses, reference) = self.run, (TRANSFORMATIONS[name].doses, TRANSFORMATIONS[name].reference)
        sizes = run.encoder.dimensions
        beside = self.untrained if name in SSL_AUGMENTATIONS else None
        found = {level: torch.empty(1 + len(doses), self.count, sizes[level]) for level in run.levels}
        untrained = {level: torch.empty(self.count, sizes[level]) for level in run.levels if beside}
        for level, versions in found.items():
            versions[0] = self.own.h[level][: self.count]
        size = fitting(run.settings.batch_size, run.encoder, run.images.image_size)
        for start in range(0, self.count, size):
            rows = slice(start, min(start + size, self.count))
            images = self.untouched(rows)
            for place, dose in enumerate(doses, 1):
                pictures = self.under(name, dose, rows, images)
                h = run.encode(pictures)
                for level in run.levels:
                    found[level][place, rows] = h[level]
                if beside and dose == reference:
                    h = beside.run.encode(pictures)
                    for level in run.levels:
                        untrained[level][rows] = h[level]
        return found, untrained


def opened(run: Context, settings: Invariance) -> Images:
    """The images, drawn and encoded."""
    gallery = run.draw(settings.gallery)
    count = min(settings.images, len(gallery))
    others = slice(count if len(gallery) - count >= ENOUGH else 0, None)
    own, untrained = looker(run, gallery, others), None
    if run.own is not None and set(SSL_AUGMENTATIONS) & set(settings.transformations):
        with suppress(UserError):  # it sees no difference between images: nothing to stand beside the encoder
            untrained = looker(replace(run, encoders=(run.own,)), gallery, others)
    size = 12 * run.images.image_size**2 * count  # three channels of float32
    held = run.images.images(gallery[:count]) if size <= HELD else None
    return Images(run, gallery, count, held, own, untrained)


def transformed(run: Context, images: Images, name: str) -> Iterator[pd.DataFrame]:
    """How far a transformation moves h at every dose, and what a linear readout tells of it."""
    every, reference = (0.0, *TRANSFORMATIONS[name].doses), TRANSFORMATIONS[name].reference
    images.make_room()  # that the transformation before has kept
    moved, untrained = images.moved(name)
    for level in run.levels:
        versions = moved.pop(level)  # and is let go of when it is read
        images.make_room()  # that encoding has kept, or reading the level before
        gallery, original, scale = images.own.h[level], versions[0], images.own.scales[level]
        targets, at = torch.arange(images.count), (images.numbers, level, name)
        for dose, h in zip(every[1:], versions[1:], strict=True):
            for measure, values in scale.displacements(h, original).items():
                yield run.records(measure, values, *at, strength=dose)
            yield run.records("cosine", cosine(h, original), *at, strength=dose)
            yield run.records("rank", retrieval_ranks(h, gallery, targets), *at, strength=dose)
        images.make_room()  # that comparing them has kept
        for measure, by_dose in readings(versions, every, reference, run.settings.seed).items():
            for dose, part in by_dose.items():
                yield run.records(measure, part, *at, strength=dose)
    for level, h in untrained.items():
        assert images.untrained is not None
        original, scale = images.untrained.h[level][: images.count], images.untrained.scales[level]
        for measure, values in scale.displacements(h, original).items():
            yield run.records(f"untrained_{measure}", values, images.numbers, level, name, strength=reference)


def readings(
    versions: torch.Tensor, every: tuple[float, ...], reference: float, seed: int
) -> dict[str, dict[float, torch.Tensor]]:
    """Out-of-fold scores that a transformation was applied, and out-of-fold doses: by measure and dose, ``[N]``.

    Nothing can be read from an invariant representation: the score of applied against untouched is then chance, and the
    predicted dose the mean. An image and all its transformed versions are always in one fold.

    Args:
        versions: Representations ``[V, N, D]``, untouched ones first.
        every: Their doses, 0 first.
        reference: Dose that is told from none.
        seed: Of the folds.
    """
    count, pair = versions.shape[1], (0.0, reference)

    def rows(doses: tuple[float, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.tensor(doses).repeat_interleave(count), torch.arange(count).repeat(len(doses))

    doses, groups = rows(pair)
    two = [0, every.index(reference)]
    scores = binary_scores(versions[two].flatten(0, 1), doses > 0, folds=FOLDS, seed=seed, groups=groups)
    doses, groups = rows(every)
    predicted = ridge_predictions(versions.flatten(0, 1), doses, folds=FOLDS, seed=seed, groups=groups)
    return {
        "applied_score": dict(zip(pair, scores.split(count), strict=True)),
        "strength_predicted": dict(zip(every, predicted.split(count), strict=True)),
    }


def known_factors(run: Context, images: Images, parts: Mapping[str, np.ndarray]) -> Iterator[pd.DataFrame]:
    """What is known of the images, and what a linear reader finds of it in h, out of fold.

    Readouts are fitted on the gallery, which is larger; ``parts`` are the components of its factors, ``[M]`` each.
    """
    seed, count = run.settings.seed, images.count
    labels = torch.from_numpy(parts["class"]).long()
    linear = [name for name in parts if name != "class"]
    targets = torch.from_numpy(np.stack([parts[name] for name in linear], 1))
    for factor, values in parts.items():
        yield run.records("true", values[:count], images.numbers, "", factor)

    def read(reading: tuple[str, bool]) -> torch.Tensor:
        level, of_class = reading
        if of_class:
            return class_predictions(images.own.h[level], labels, folds=FOLDS, seed=seed)[None]
        return ridge_predictions(images.own.h[level], targets, folds=FOLDS, seed=seed).T

    readings = [(level, of_class) for level in run.levels for of_class in (True, False)]
    for (level, of_class), rows in zip(readings, run.shared(read, readings, "reading factors"), strict=True):
        for factor, found in zip(["class"] if of_class else linear, rows, strict=True):
            yield run.records("present", found[:count], images.numbers, level, factor)


def drawn(run: Context, images: Images) -> Iterator[pd.DataFrame | Panel | Map]:
    """What needs a decoder: factors rendered, variance among samples, pictures."""
    settings = run.settings
    shown = images.untouched(slice(settings.pictures))
    varied = min(max(settings.varied, settings.pictures), images.count)
    once = min(max(settings.rendered, varied), images.count) if run.judge is not None else varied
    numbers, variances, panels = images.numbers.tolist(), {}, {}
    if run.judge is not None:
        for factor, read in run.read(images.untouched(slice(once))[:, None]).items():
            yield run.records("judged", read[:, 0], numbers[:once], "", factor)
    for level in run.drawn_levels:
        h = images.own.h[level]
        first, samples = sampled(run, level, h[:once], numbers[:once], varied)
        variances[level] = variance_of(samples)
        for name, values in zip(("within", "between"), variances[level], strict=True):
            yield run.records(f"{name}_variance", values.mean((1, 2)), numbers[:varied], level)
        of_mean = run.render("mean", level, h.mean(0).expand(varied, -1), numbers[:varied])
        yield run.records("mean_h_variance", [of_mean[:, 0].var(0).mean()], [-1], level)
        for measure, pictures in {"rendered": first, "of_mean_h": of_mean}.items() if run.judge is not None else ():
            for factor, read in run.read(pictures).items():
                yield run.records(measure, read, numbers[: len(pictures)], level, factor)
        panels[level] = samples_panel(level, shown, samples[: settings.pictures])
    if (floor := run.untrained()) is not None:
        yield from drawn_untrained(run, floor, images.numbers[:once], varied)
    yield from panels.values()
    yield side_by_side(panels)
    yield from compared(run, images)
    yield from variance_maps(variances)


def sampled(
    run: Context, level: str, h: torch.Tensor, keys: Sequence[int], varied: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """A sample of each representation, and all samples of the first of them, which are ``varied``."""
    first = run.render("first", level, h, keys)
    others = run.render("others", level, h[:varied], keys[:varied], range(1, run.settings.samples))
    return first, torch.cat([first[:varied], others], 1)


def drawn_untrained(run: Context, floor: Context, numbers: np.ndarray, varied: int) -> Iterator[pd.DataFrame]:
    """The floor of what is rendered, and of the variance among samples: the same of an untrained encoder."""
    (level,) = floor.levels
    first, samples = sampled(floor, level, floor.represent(numbers)[level], numbers.tolist(), varied)
    yield run.records("untrained_h_variance", variance_of(samples)[0].mean((1, 2)), numbers[:varied])
    for factor, read in run.read(first).items() if run.judge is not None else ():
        yield run.records("of_untrained_h", read, numbers, "", factor)


def variance_of(samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Split the variance of samples ``[I, K, 3, H, W]``, K >= 2 of each of I >= 2 representations, pixel by pixel.

    What the samples of one h share is what it holds; what varies is what it dropped. The variance of a sample splits
    into *within* (among samples of one h) and *between* (among the expected samples of different h). The variance of
    the observed means over K samples holds ``within / K`` besides, which is taken off.

    Returns:
        Within, of each image, and what each image adds to between: mean over channels, ``[I, H, W]``, in squared units
        of [0, 1]. Between is the squared deviation of the mean sample from that of all, times ``I / (I - 1)``, less
        ``within / K``: its mean is an estimate, so a little below 0 where it is nothing.
    """
    count, number = samples.shape[:2]
    within, means = samples.var(1), samples.mean(1)
    between = (means - means.mean(0)).square() * count / (count - 1) - within / number
    return within.mean(1), between.mean(1)


# Pictures


def variance_maps(variances: Mapping[str, tuple[torch.Tensor, torch.Tensor]]) -> Iterator[Map]:
    """Where samples of one h vary, and how much of a pixel's variance h fixes, a map for each level."""
    within = torch.stack([of_image.mean(0) for of_image, _ in variances.values()])
    between = torch.stack([of_image.mean(0).clamp(min=0) for _, of_image in variances.values()])
    share = between / (within + between).clamp(min=1e-12)
    yield Map("within_deviation", within.sqrt(), tuple(variances), "standard deviation (full range 1)")
    yield Map("fixed_share", share, tuple(variances), "share of variance")


def compared(run: Context, images: Images) -> Iterator[Panel]:
    """Transformed images beside what each of the levels makes of them, from equal noise."""
    settings = run.settings
    names, count = settings.transformations, min(settings.compared, settings.pictures)
    if count:
        inputs, samples = versions(run, images, count, names, (0,))
        for place, of_image in enumerate(inputs):
            grid = torch.stack([of_image, *(of_level[place, :, 0] for of_level in samples.values())])
            across = ("untouched", *(TRANSFORMATIONS[name].label for name in names))
            yield Panel(f"transformed_{place + 1}", grid, ("input", *samples), across)
    trained = run.encoder.training_augmentations or SSL_AUGMENTATIONS
    if names := tuple(name for name in trained if name in settings.transformations):
        inputs, samples = versions(run, images, 1, names, range(min(SHOWN_SAMPLES, settings.samples)))
        grid = torch.cat([inputs[0][:, None], *(of_level[0] for of_level in samples.values())], 1)
        drawn_as = [f"{level} {k + 1}" for level, of_level in samples.items() for k in range(of_level.shape[2])]
        down = ("untouched", *(TRANSFORMATIONS[name].label for name in names))
        yield Panel("training_augmentations", grid, down, ("input", *drawn_as))


def versions(
    run: Context, images: Images, count: int, names: Sequence[str], samples: Sequence[int]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The first images untouched and transformed, at reference doses, and samples of each from the levels.

    Returns:
        Inputs at the size of the samples ``[I, V, 3, S, S]``, and samples ``{level: [I, V, K, 3, S, S]}``.
    """
    which, decoder = slice(count), run.decoder
    assert decoder is not None
    changed = [images.under(name, TRANSFORMATIONS[name].reference, which) for name in names]
    inputs = torch.stack([images.untouched(which), *changed], 1)
    numbers = images.numbers[which].repeat(inputs.shape[1]).tolist()
    h = run.encode(inputs.flatten(0, 1))
    made = {
        level: run.render("versions", level, h[level], numbers, samples).unflatten(0, inputs.shape[:2])
        for level in run.drawn_levels
    }
    return resize(inputs.flatten(0, 1), decoder.image_size).unflatten(0, inputs.shape[:2]), made


def samples_panel(level: str, originals: torch.Tensor, samples: torch.Tensor) -> Panel:
    """Images ``[R, 3, S, S]``, and several samples of each at one level, ``[R, K, 3, S, S]``."""
    of = {f"sample {k + 1}": part for k, part in enumerate(samples.unbind(1))}
    return in_columns(f"samples_{level}", samples.shape[-1], {"image": originals, **of})


def side_by_side(panels: Mapping[str, Panel]) -> Panel:
    """The panels of all levels as one: the images, then a few samples of every level."""
    image = next(iter(panels.values())).images[:, 0]
    shown = {
        f"{level} {k}": panel.images[:, k]
        for level, panel in panels.items()
        for k in range(1, min(1 + SHOWN_SAMPLES, panel.images.shape[1]))
    }
    return in_columns("samples", image.shape[-1], {"image": image, **shown})


def doses_panel(images: Images, names: Sequence[str]) -> Panel:
    """The first image under every transformation at every dose."""
    most, rows = max(len(TRANSFORMATIONS[name].doses) for name in names), []
    for name in names:
        line = torch.cat([images.under(name, dose, slice(1)) for dose in (0.0, *TRANSFORMATIONS[name].doses)])
        rows.append(torch.cat([line, torch.ones(most + 1 - len(line), *line.shape[1:])]))
    across = ("untouched", *(f"dose {i + 1}" for i in range(most)))
    return Panel("doses", torch.stack(rows), tuple(map(doses_label, names)), across)


def token_maps(run: Context, images: Images) -> Iterator[Map]:
    """How far transformations that keep places move the token at each, at reference doses: mean over some images."""
    names = [name for name in run.settings.transformations if TRANSFORMATIONS[name].keeps_places]
    which, unit = slice(min(images.count, TOKENS)), between_tokens(run, images.numbers)
    tokens = run.encode_with_grid(images.untouched(which))[1]
    maps = []
    for name in run.each(names, "where tokens move"):
        now = run.encode_with_grid(images.under(name, TRANSFORMATIONS[name].reference, which))[1]
        maps.append(torch.linalg.vector_norm(now - tokens, dim=1).mean(0) / unit)
    for start in range(0, len(maps), IN_A_ROW):
        part = slice(start, start + IN_A_ROW)
        labels = tuple(TRANSFORMATIONS[name].label for name in names[part])
        yield Map(f"tokens_{start // IN_A_ROW + 1}", torch.stack(maps[part]), labels, "displacement of each token")


def doses_label(name: str) -> str:
    """A transformation with its weakest and its strongest dose."""
    entry = TRANSFORMATIONS[name]
    if len(entry.doses) == 1:
        return entry.label
    return f"{entry.label}\n{entry.doses[0]:g} to {entry.doses[-1]:g} ({entry.unit})"


# Tables


@once
def references(found: Found) -> dict[str, float]:
    """The dose of each transformation at which levels are compared, read off the records.

    It is the dose at which readability was measured: the one strength other than 0 of its ``applied_score`` rows.

    Raises:
        ValueError: A transformation has several such strengths.
    """
    applied = found.measured("applied_score")
    doses = applied.loc[applied["strength"] != 0, ["condition", "strength"]].drop_duplicates()
    if doses["condition"].duplicated().any():
        raise ValueError(f"more than one reference strength: {doses.to_dict('list')}")
    return dict(zip(doses["condition"], doses["strength"], strict=True))


def at_reference(found: Found, rows: pd.DataFrame) -> pd.DataFrame:
    """Those of rows that are of a transformation at its reference dose."""
    return rows[rows["strength"] == rows["condition"].map(references(found))]


def size(found: Found, values: ArrayLike, unit: float, level: float = LEVEL) -> Estimate:
    """Median of displacements ``[N]``, whose interval holds the error of their ``unit``, a share of it."""
    middle = found.interval(values, median, level)
    return middle.widened(unit * middle.value, level)


def displacement(found: Found) -> pd.DataFrame:
    """How far each dose moves ``h``, and whether the original is still the nearest image.

    One row a (``level``, ``condition``, ``strength``), strengths ascending: medians `MOVED`, ``cosine`` and ``rank``,
    and ``mrr``, the mean of 1 / rank; ``images``.
    """
    summaries: dict[str, tuple[str, Statistic]] = {
        PLAIN: (PLAIN, median), WHITENED: (WHITENED, median), "cosine": ("cosine", median),
        "mrr": ("rank", mean_reciprocal), "rank": ("rank", median),
    }  # fmt: skip

    error_of = cache(partial(unit_error, found))

    def sum_up(rows: pd.DataFrame) -> dict[str, Estimate]:
        values, level = by_image(rows, "measure"), rows["level"].iloc[0]

        def estimate(measure: str, statistic: Statistic) -> Estimate:
            if measure not in values:
                return MISSING
            if measure in MOVED:
                return size(found, values[measure], error_of(measure, level=level))
            return found.interval(values[measure], statistic)

        return {name: estimate(*summary) for name, summary in summaries.items()}

    rows = found.measured(*(measure for measure, _ in summaries.values()))
    table = summed(rows, ("level", "condition", "strength"), tuple(summaries), sum_up)
    place = table.groupby(["level", "condition"], sort=False).ngroup()
    return table.assign(place=place).sort_values(["place", "strength"], ignore_index=True).drop(columns="place")


def read_off(rows: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray, pd.Index]:
    """What was read of a transformation at a level: by what the `auc` and the `r2` are told.

    Returns:
        Scores of the untouched and of the transformed image, ``[N, 2]``; true and predicted doses ``[N, doses, 1, 2]``,
        and the images that these are of. Nothing, where there is no or but one dose.
    """
    scores = by_image(measured(rows, "applied_score"), "strength")
    doses = by_image(measured(rows, "strength_predicted"), "strength")
    true = np.broadcast_to(doses.columns.to_numpy(dtype=np.float64), doses.shape)
    several = (doses.columns > 0).sum() > 1
    pairs = np.stack([true, doses.to_numpy()], axis=-1)[:, :, None]
    return scores if scores.shape[1] == 2 else scores[:0], pairs if several else pairs[:0], doses.index


def readability(found: Found) -> pd.DataFrame:
    """How well a linear readout of ``h`` tells that a transformation was applied, and how strongly.

    One row a (``level``, ``condition``): ``auc`` of telling transformed from untouched images; ``chance``, what it is
    where there is nothing to read (0.5), with the range of 95 of 100 such cases; ``r2`` of the predicted strength
    (chance 0; NaN for a transformation of a single dose, where it would say no more than ``auc``); ``images``.
    """

    def by_chance(scores: pd.DataFrame) -> Estimate:
        reach = chance_auc(scores.to_numpy(), FOLDS)
        return Estimate(0.5, 0.5 - reach, 0.5 + reach, len(scores))

    def sum_up(rows: pd.DataFrame) -> dict[str, Estimate]:
        scores, doses, _ = read_off(rows)
        return {
            "auc": found.interval(scores, auc),
            "chance": by_chance(scores) if len(scores) else MISSING,
            "r2": found.interval(doses, r2),
        }

    rows = found.measured("applied_score", "strength_predicted")
    return summed(rows, ("level", "condition"), ("auc", "chance", "r2"), sum_up)


def factors(found: Found) -> pd.DataFrame:
    """How much of each known factor is present in ``h``, and how much is rendered in the samples.

    Accuracy for ``class``; R2 for the others, jointly over cosine and sine where a factor is circular. All samples of
    an image count, and are drawn together in the bootstrap.

    One row a (``level``, ``factor``): ``present``, ``rendered``; ``judged``, what the judge reads of the images
    themselves; what is read off the same samples of others, ``shuffled``, off samples from the mean h, ``mean_h``, and
    off those of an untrained encoder, ``untrained_h``; ``chance``, the score of the best constant answer (share of the
    commonest class, R2 of 0); ``images``, and how many of them were ``rendered_images``.
    """
    rows = of_factors(found.measured("true", "present", "rendered", "judged", "of_mean_h", "of_untrained_h"))
    truths = truths_of(rows)

    def score(measure: str, factor: str, read: pd.DataFrame) -> Estimate:
        return agreement(found, truths[factor], measured(read, measure), factor)

    of_images = {factor: score("judged", factor, rows_where(rows, factor=factor)) for factor in truths}
    floor = {factor: score("of_untrained_h", factor, rows_where(rows, factor=factor)).value for factor in truths}

    def sum_up(read: pd.DataFrame) -> dict[str, Any]:
        factor = read["factor"].iloc[0]
        true = truths[factor]
        return {
            "present": score("present", factor, read),
            "rendered": score("rendered", factor, read),
            "judged": of_images[factor],
            "untrained_h": floor[factor],
            "shuffled": agreement_of_others(true, measured(read, "rendered"), factor, paired=True),
            "mean_h": agreement_of_others(true, measured(read, "of_mean_h"), factor, paired=False),
            "chance": true.value_counts(normalize=True).iloc[0] if factor == "class" else 0.0,
        }

    read, plain = measured(rows, "present", "rendered", "of_mean_h"), ("shuffled", "mean_h", "untrained_h", "chance")
    table = summed(read, ("level", "factor"), ("present", "rendered", "judged"), sum_up, plain)
    counts = measured(rows, "rendered").groupby(["level", "factor"])["image"].nunique()
    rendered = table.join(counts.rename("rendered_images"), on=["level", "factor"])["rendered_images"]
    return table.assign(rendered_images=rendered.fillna(0).astype(int))


def of_factors(rows: pd.DataFrame) -> pd.DataFrame:
    """Records of components of factors, with a column ``factor``."""
    return rows.assign(factor=rows["condition"].str.removesuffix(".cos").str.removesuffix(".sin"))


def truths_of(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """What is known of each factor, ``[images, components]``, from `of_factors`."""
    return {str(factor): by_image(true, "condition") for factor, true in measured(rows, "true").groupby("factor")}


def agreement(found: Found, true: pd.DataFrame, read: pd.DataFrame, factor: str) -> Estimate:
    """Agreement of readings with the truth ``[images, components]``; an image may have been read in several samples."""
    values, _ = beside_truth(true, read, factor)
    return found.interval(values, share if factor == "class" else r2)


def beside_truth(true: pd.DataFrame, read: pd.DataFrame, factor: str) -> tuple[np.ndarray, pd.Index]:
    """What an agreement is told by: shares of right samples ``[N]``, or as `r2` takes them; and the images."""
    images, answer = answers(true, read)
    target = true.loc[images].to_numpy()[:, None, :]
    if factor == "class" and len(images):
        return (answer == target).mean(axis=(1, 2)), images
    return np.stack(np.broadcast_arrays(target, answer), axis=-1), images


def comparable(records: pd.DataFrame) -> pd.DataFrame:
    """Records by which finished runs are compared: readouts as what each image adds to their AUC, R2 or accuracy."""
    tell, made = partial(as_records, encoder=records["encoder"].iloc[0]), []
    read = measured(records, "applied_score", "strength_predicted")
    for (level, condition), rows in read.groupby(["level", "condition"], sort=False):
        scores, doses, images = read_off(rows)
        if len(scores):
            made.append(tell("auc", auc_shares(scores.to_numpy()), scores.index, level, condition))
        if len(doses):
            made.append(tell("r2", r2_shares(doses), images, level, condition))
    rows = of_factors(measured(records, "true", "present", "rendered"))
    truths = truths_of(rows)
    readings = measured(rows, "present", "rendered").groupby(["measure", "level", "factor"], sort=False)
    for (measure, level, factor), own in readings:
        values, images = beside_truth(truths[factor], own, factor)
        if len(images):
            values = values if factor == "class" else r2_shares(values)
            made.append(tell(measure, values, images, level, factor))
    return join([records[~records["measure"].isin(("present", "rendered"))], *made])


def agreement_of_others(true: pd.DataFrame, read: pd.DataFrame, factor: str, *, paired: bool) -> float:
    """Agreement of images with readings of others; of all images where the readings are ``paired`` with none."""
    images, answer = answers(true, read)
    target = (true.loc[images] if paired else true).to_numpy()
    return of_others(target, answer, classes=factor == "class", paired=paired)


def answers(true: pd.DataFrame, read: pd.DataFrame) -> tuple[pd.Index, np.ndarray]:
    """Images of which a factor was read, and the readings ``[images, samples, components]``."""
    wide = by_image(read, "sample", "condition")
    images = true.index.intersection(wide.index)
    samples = len(wide.columns) // true.shape[1]
    return images, wide.loc[images].to_numpy().reshape(len(images), samples, true.shape[1])


def variance(found: Found) -> pd.DataFrame:
    """How much the samples of one ``h`` vary, against how much the mean samples of different ``h`` do.

    One row a ``level``: variance of a pixel ``within`` one ``h`` (what ``h`` leaves open) and ``between`` several (what
    it fixes), in squared units of [0, 1], their ``ratio``, NaN where the interval of ``between``, which is estimated
    without what the samples add and so can be negative, reaches 0; ``mean_h``, the variance among samples from the mean
    h, which tells no image from another; ``untrained_h``, that within of an untrained encoder; ``images``, drawn for
    both together.
    """
    parts = ("within_variance", "between_variance")

    def sum_up(rows: pd.DataFrame) -> dict[str, Estimate]:
        both = by_image(rows, "measure").reindex(columns=parts)
        within, between = map(found.interval, (both[part] for part in parts), (mean_size, mean))
        over = found.interval(both, ratio) if between.low > 0 else MISSING  # over what may be 0 it could be anything
        return {"within": within, "between": between, "ratio": replace(over, low=float(np.maximum(over.low, 0)))}

    table = summed(found.measured(*parts), ("level",), ("within", "between", "ratio"), sum_up)
    floor = found.measured("mean_h_variance").set_index("level")["value"]
    of_untrained = found.measured("untrained_h_variance")["value"].mean()
    return table.assign(mean_h=table["level"].map(floor), untrained_h=of_untrained)


def comparison(found: Found) -> pd.DataFrame:
    """Whether a transformation moves the backbone more than the projector, image by image, at its reference dose.

    One row a ``condition``: its ``strength``, the median paired ``difference`` of relative displacement, backbone minus
    projector, Wilcoxon's ``p_value``, ``p_holm`` corrected over the rows, the rank-biserial ``effect``;
    ``whitened_difference``; ``images``. No rows where a level was not measured.
    """
    rows, moved = {}, at_reference(found, found.measured(*MOVED))
    for key, group in moved.groupby(["condition", "strength"], sort=False):
        values = {measure: by_image(part, "level") for measure, part in group.groupby("measure")}
        if set(PAIR) <= set(values[PLAIN].columns):
            test, white = (difference(found, values[measure], measure) for measure in MOVED)
            rows[key] = {**test, "whitened_difference": white["difference"]}
    table = tabulate(rows, ("condition", "strength"), ("difference", "whitened_difference"), TEST)
    return table.assign(p_holm=holm(table["p_value"]))


def difference(found: Found, pair: pd.DataFrame, measure: str) -> dict[str, Any]:
    """Backbone minus projector, displacements of the same images, `tested`; each level has a unit of its own."""
    apart = (pair[BACKBONE] - pair[PROJECTOR]).to_numpy()
    apart = np.where(np.abs(apart) <= ROUNDING, 0, apart)  # else rounding that is the same for all would be certain
    error = np.hypot(*(pair[level].median() * unit_error(found, measure, level=level) for level in PAIR))
    return {"difference": found.interval(apart, median).widened(float(error)), **tested(apart)}


def usual(found: Found) -> list[str]:
    """Augmentations that every encoder is asked for, whatever it was trained with."""
    known = references(found)
    return [name for name in SSL_AUGMENTATIONS if name in known]


def own(found: Found) -> list[str]:
    """Augmentations that the encoder was trained with; the usual ones where that was not told."""
    known = references(found)
    return [name for name in trained(found) or SSL_AUGMENTATIONS if name in known]


@once
def by_augmentation(found: Found, measure: str) -> dict[tuple[str, str], pd.DataFrame]:
    """Displacement under augmentations, each at its reference dose, ``[images, augmentations]``, by weights and level.

    An image counts once every augmentation was measured on it.
    """
    wanted, values = dict.fromkeys([*own(found), *usual(found)]), {}
    for weights, prefix in WEIGHTS.items():
        rows = at_reference(found, found.measured(f"{prefix}{measure}"))
        for level, moved in rows[rows["condition"].isin(wanted)].groupby("level", sort=False):
            table = by_image(moved, "condition")
            values[weights, str(level)] = table[[name for name in wanted if name in table]]
    return values


def augmentations(found: Found) -> pd.DataFrame:
    """Every augmentation by itself: whether it moves ``h`` beyond what counts as none, at its reference dose.

    Those that the encoder was trained with and the usual ones of SSL, of the encoder and of its architecture untrained.

    One row a (``weights``, ``level``, ``condition``), and for both of `MOVED` (names of the second begin with
    ``whitened``): the displacement; ``at_most``, the upper end of its `EQUIVALENCE` interval; ``p_holm``, Wilcoxon's
    against `NEGLIGIBLE`, corrected over the augmentations of these weights and this level; ``word`` on the claim that
    it is beyond. ``own`` tells whether the encoder was trained with it.
    """
    rows = dict[tuple[Any, ...], dict[str, Any]]()
    values = {measure: by_augmentation(found, measure) for measure in MOVED}
    for measure in MOVED:
        for (weights, level), augmented in values[measure].items():
            error = unit_error(found, measure, WEIGHTS[weights], level=level)
            for name, moved in augmented.items():
                at_most = size(found, moved, error, EQUIVALENCE).high
                told = {measure: size(found, moved, error), f"{PREFIX[measure]}at_most": at_most}
                rows.setdefault((weights, level, name), {}).update(told)
    table = tabulate(rows, ("weights", "level", "condition"), MOVED, [f"{PREFIX[measure]}at_most" for measure in MOVED])
    for measure, prefix in PREFIX.items():
        p_values, words = beside(table, values[measure], measure, NEGLIGIBLE)
        table = table.assign(**{f"{prefix}p_holm": p_values, f"{prefix}word": words})
    return table.assign(own=table["condition"].isin(trained(found)))


def beside(
    table: pd.DataFrame, values: Mapping[tuple[str, str], pd.DataFrame], measure: str, bound: float
) -> tuple[pd.Series, list[Word]]:
    """Every row of ``augmentations`` beside a bound: Wilcoxon's p, corrected, and the word on being beyond."""
    keys = table[["weights", "level", "condition"]].itertuples(index=False)
    moved = [values[key[:2]][key[2]].to_numpy() if key[:2] in values else np.empty(0) for key in keys]
    p_values = table.assign(p=[signed_rank(of_images - bound) for of_images in moved])
    p_values = p_values.groupby(["weights", "level"], sort=False)["p"].transform(holm)
    estimates = [estimate_of(row, measure) for _, row in table.iterrows()]
    return p_values, [word_beside(one, p, bound) for one, p in zip(estimates, p_values, strict=True)]


def word_beside(moved: Estimate, p_value: float, bound: float) -> Word:
    """The word on a displacement being beyond a bound: its interval lies on one side, and its test agrees."""
    certain = p_value < ERROR_RATE
    known = word_for(certain and moved.low > bound, certain and moved.high < bound)
    return known if moved.n >= FEWEST and np.isfinite(moved.value) else "too few"


def throughout(words: pd.Series) -> Word:
    """The word on being beyond under every augmentation; against it where it stays below under every one."""
    known = word_for(bool((words == "supported").all()), bool((words == "not supported").all()))
    return "too few" if (words == "too few").any() else known


def bounds(found: Found) -> pd.DataFrame:
    """What would become of the word on all augmentations together if another displacement counted as none.

    One row a (``weights``, ``level``, ``of``, ``bound``): of the augmentations of training (``own``) or
    those that every encoder is asked for (``usual``; ``both`` where these are the same and it was told) ``beyond`` and
    ``below`` the bound are so many of ``count``; ``word``.
    """
    table, lines = found.tables["augmentations"], []
    sets = {"own": own(found), "usual": usual(found)}
    if set(sets["own"]) == set(sets["usual"]):
        sets = {"both" if trained(found) else "usual": sets["own"]}
    values = by_augmentation(found, PLAIN)
    words = {bound: beside(table, values, PLAIN, bound)[1] for bound in BOUNDS}
    for (weights, level), rows in table.groupby(["weights", "level"], sort=False):
        for name, wanted in sets.items():
            chosen = rows[rows["condition"].isin(wanted)]
            if wanted and len(chosen) == len(wanted):  # the untrained one is asked for the usual ones alone
                for bound in BOUNDS:
                    told = pd.Series(words[bound], table.index)[chosen.index]
                    beyond, below = (int((told == word).sum()) for word in ("supported", "not supported"))
                    lines.append((weights, level, name, bound, beyond, below, len(wanted), throughout(told)))
    return pd.DataFrame(lines, columns=["weights", "level", "of", "bound", "beyond", "below", "count", "word"])


# Verdicts


def verdicts(found: Found) -> Iterator[Judgement]:
    """Findings 1 (needs the backbone) and 2 (needs the projector as well); both need some augmentation."""
    return judgements(found, PLAIN)


def judgements(found: Found, measure: str) -> Iterator[Judgement]:
    """What the verdicts are by one of `MOVED`."""
    table, prefix, names_of = found.tables["augmentations"], PREFIX[measure], own(found)
    table = table[(table["weights"] == "trained") & table["condition"].isin(names_of)]
    backbone, projector = (rows_where(table, level=level).dropna(subset=[measure]) for level in PAIR)
    if backbone.empty:
        return
    word = throughout(backbone[f"{prefix}word"])
    end = "most" if word == "not supported" else "least"
    last = backbone.loc[backbone[measure].idxmax() if end == "most" else backbone[measure].idxmin()]
    p = backbone[f"{prefix}p_holm"].max()  # the claim is about every one: it is no surer than the least sure of them
    told = {"end": end, "last": words(last["condition"]), "each": in_groups(backbone, measure)}
    told["surely"] = how_surely(backbone.set_index("condition")[f"{prefix}p_holm"], last["condition"])
    told["readable"] = readable(found, names_of)
    yield Judgement("backbone", estimate_of(last, measure), word, p_value=p, names=told, whole=True, bound=NEGLIGIBLE)
    if projector.empty:
        return
    values = by_augmentation(found, measure)
    means = {level: values["trained", level][names_of].mean(axis=1).rename(level) for level in PAIR}
    test = difference(found, pd.concat(means.values(), axis=1, join="inner").sort_index(), measure)
    gain, p = test["difference"], test["p_value"]
    yield Judgement("closer", gain, word_of_gain(gain, p), p_value=p, names={"effect": fixed(test["effect"])})
    most = projector.loc[projector[measure].idxmax()]
    at_most, beyond = projector[f"{prefix}at_most"], projector[f"{prefix}word"] == "supported"
    each = [f"{words(row['condition'])} {beside_bound(row[f'{prefix}at_most'])}" for _, row in projector.iterrows()]
    told = {"most": words(most["condition"]), "each": ", ".join(each)}
    word = word_for(bool((at_most < NEGLIGIBLE).all()), bool(beyond.any()))
    yield Judgement("invariant", estimate_of(most, measure), word, names=told, bound=NEGLIGIBLE)


def how_surely(p_values: pd.Series, last: str) -> str:
    """The largest p of augmentations, which the index names, in brackets behind the ``last`` of them."""
    p, said = p_values.max(), PROBE.wording.parts("told")
    part = "p of it" if p_values[last] == p else "p of another"
    return said[part].format(p=p_text(p), other=words(str(p_values.idxmax())))


def beside_bound(moved: float) -> str:
    """A displacement with digits that show on which side of `NEGLIGIBLE` it lies."""
    return number(moved, decisive(moved, moved, NEGLIGIBLE))


def in_groups(rows: pd.DataFrame, measure: str) -> str:
    """Augmentations with what they move ``h`` by, in a sentence, by their words."""
    groups = rows.groupby(f"{PREFIX[measure]}word", sort=False)
    moved = {
        word: listed([f"{words(row['condition'])} ({beside_bound(row[measure])})" for _, row in group.iterrows()])
        for word, group in groups
    }
    said = {word: part.format_map({"negligible": NEGLIGIBLE}) for word, part in PROBE.wording.parts("each").items()}
    return "; ".join(f"{under} {moved[word]}" for word, under in said.items() if word in moved)


def parted(found: Found) -> list[str]:
    """What the plain and the whitened displacement give different words, in sentences without an end."""
    claims = {"backbone": "finding 1", "closer": "finding 2, closer", "invariant": "finding 2, invariant"}
    plain, white = ({one.aspect: one.word for one in judgements(found, measure)} for measure in MOVED)
    table = rows_where(found.tables["augmentations"], weights="trained")
    words_of = [(f"{claims[aspect]}", plain[aspect], white.get(aspect, "too few")) for aspect in plain]
    words_of += [
        (f"the {row['level']} under {words(row['condition'])}", row["word"], row["whitened_word"])
        for _, row in table.iterrows()
    ]
    return [f"{what} ({one}, whitened {other})" for what, one, other in words_of if other not in (one, "too few")]


def readable(found: Found, augmentations: Sequence[str]) -> str:
    """The range over augmentations of the backbone's AUC, in a sentence; nothing where none was measured."""
    table = rows_where(found.tables["readability"], level=BACKBONE)
    table = table[table["condition"].isin(augmentations)].set_index("condition").sort_index()
    areas = table["auc"].dropna()
    if areas.empty:
        return ""
    ends, least = list(dict.fromkeys([areas.idxmin(), areas.idxmax()])), table.loc[areas.idxmin()]
    what = words(ends[0]) + " was" if len(ends) == 1 else "they were"
    named = {end: f" ({words(end)})" if len(ends) > 1 else "" for end in ends}
    told = " to ".join(f"{areas[end]:.2f}{named[end]}" for end in ends)
    reach = f"{least['chance_low']:.2f} to {least['chance_high']:.2f}{named[ends[0]]}"
    return " " + PROBE.wording.parts("told")["readable"].format(what=what, areas=told, reach=reach)


# The page


def in_short(found: Found) -> Iterator[Block]:
    """The outcome in sentences: what moves each level most, what is read of it best, what it leaves open."""
    said, tables, named = PROBE.wording.parts("in short"), found.tables, labels(found)
    moved, read = [], []
    for level, rows in by_level(at_reference(found, tables["displacement"]), PLAIN):
        ends = [(named[row["condition"]].lower(), cell(row, PLAIN)) for _, row in rows.iterrows()]
        part = said["moved" if len(ends) > 1 else "moved by one"]
        moved.append(part.format(level=level, least=ends[0], most=ends[-1]))
    for level, rows in by_level(tables["factors"], "present"):
        linear = rows[rows["factor"] != "class"]
        best_and_worst = [linear.iloc[-1], linear.iloc[0]] if len(linear) > 1 else []
        told = [f"class {cell(row, 'present')}" for _, row in rows_where(rows, factor="class").iterrows()]
        told += [f"{factor_label(row['factor'])} R² {cell(row, 'present')}" for row in best_and_worst]
        read.append(f"from the {level}, {', '.join(told)}")
    compared, opened = tables["comparison"], tables["variance"]
    gains = [word_of_gain(estimate_of(row, "difference"), row["p_holm"]) for _, row in compared.iterrows()]
    about = {"count": len(named), "error_rate": ERROR_RATE, "more": gains.count("not supported")}
    alike = opened.loc[opened["between_low"] <= 0, "level"]
    opened = opened.dropna(subset=["ratio"])
    clauses = {
        "transformations" if len(named) > 1 else "one transformation": moved,
        "comparison": [f"{gains.count('supported')} of {len(compared)}"] if len(compared) else [],
        "factors": read,
        "open": [f"{cell(row, 'ratio')} for the {row['level']}" for _, row in opened.iterrows()],
        "alike": [listed([f"the {level}" for level in alike])] if len(alike) else [],
    }
    yield blocks.points([said[part].format(clauses="; ".join(told), **about) for part, told in clauses.items() if told])


def by_level(table: pd.DataFrame, name: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of each level that have a number, by this number."""
    known = table.dropna(subset=[name]).sort_values(name)
    return ((level, rows_where(known, level=level)) for level in style.ordered_levels(known["level"]))


def trained(found: Found) -> Sequence[str]:
    """Transformations that the encoder was trained with."""
    return found.run["encoder_card"]["training_augmentations"]


def labels(found: Found) -> dict[str, str]:
    """The transformations that were measured, as printed."""
    known = references(found)
    return {name: entry.label for name, entry in TRANSFORMATIONS.items() if name in known}


def are_known(found: Found) -> bool:
    """Whether the factors of the images are known."""
    return not found.measured("true").empty


def displacement_figure(found: Found) -> Figure:
    """How far each transformation moves h, and whether h tells that it was applied."""
    return draw_displacement(
        at_reference(found, found.tables["displacement"]),
        found.tables["readability"],
        labels=labels(found),
        trained=trained(found),
        negligible=NEGLIGIBLE,
    )


def dose_response_figure(found: Found) -> Figure:
    """Displacement against the strength of each transformation."""
    return draw_dose_response(
        found.tables["displacement"],
        labels=labels(found),
        units={name: entry.unit for name, entry in TRANSFORMATIONS.items()},
        references=references(found),
        trained=trained(found),
    )


def factors_figure(found: Found) -> Figure:
    """Present beside rendered."""
    return draw_factors(found.tables["factors"], labels=FACTOR_LABELS)


def displacement_across(runs: Sequence[FinishedRun]) -> Figure:
    """How far each transformation moves h at its reference dose, most telling first; by whether it was trained with."""
    moved = joined(runs, "displacement")
    moved = moved[
        moved["strength"] == moved["condition"].map({name: t.reference for name, t in TRANSFORMATIONS.items()})
    ]
    known = {run.encoders[0]: run.run["encoder_card"]["training_augmentations"] for run in runs}
    pairs = zip(moved["encoder"], moved["condition"], strict=True)
    kind = [("own" if name in known[encoder] else "other") if known[encoder] else "untold" for encoder, name in pairs]
    series = {"own": "the encoder was trained with it", "other": "it was not", "untold": "that was not told"}
    series = {name: told for name, told in series.items() if name in kind}
    for name, end in product(series, ("", "_low", "_high")):
        values = moved[f"relative_displacement{end}"].where(np.array(kind) == name)
        moved = moved.assign(**{f"{name}{end}": values})
    first = moved[moved["level"] == style.ordered_levels(moved["level"])[0]]
    far = first.groupby("condition")["relative_displacement"].mean()
    return draw_by_encoder(
        moved,
        Axis("relative displacement of h", line=1.0, band=NEGLIGIBLE),
        row="condition",
        labels={str(name): TRANSFORMATIONS[str(name)].label for name in far.sort_values(ascending=False).index},
        series=series,
    )


def factors_across(runs: Sequence[FinishedRun]) -> Figure:
    """Present beside rendered."""
    return draw_by_encoder(
        joined(runs, "factors"),
        Axis("R² (class: accuracy)", least=-1.2),
        row="factor",
        labels=FACTOR_LABELS,
        series={"present": "present in h", "rendered": "rendered in samples"},
        tick=("chance", "guessing"),
    )


def as_read(found: Found, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of transformations in their order, with the dose as text, and a mark where the encoder was trained so.

    The dose is that of a column ``strength``, or the reference.
    """
    named, marked = labels(found), trained(found)
    if "strength" not in rows:
        rows = rows.assign(strength=rows["condition"].map(references(found)))
    rows = rows.sort_values("condition", key=lambda names: names.map([*named].index), kind="stable")
    return rows.assign(
        dose=[f"{dose:g}" for dose in rows["strength"]],
        condition=[f"{style.TRAINED} {named[name]}" if name in marked else named[name] for name in rows["condition"]],
    )


def as_read_of(name: str) -> Callable[[Found], pd.DataFrame]:
    """The same of a table."""
    return lambda found: as_read(found, found.tables[name])


def printed_augmentations(found: Found) -> pd.DataFrame:
    """Displacements with digits that show on which side of `NEGLIGIBLE` they lie."""
    rows = as_read(found, found.tables["augmentations"])
    moved = {name: [cell(row, name, bound=NEGLIGIBLE) for _, row in rows.iterrows()] for name in MOVED}
    return rows.assign(**moved, at_most=rows["at_most"].map(beside_bound))


def printed_bounds(found: Found) -> pd.DataFrame:
    """A column a bound: the word, and how many augmentations are beyond and how many below."""
    table = found.tables["bounds"]
    told = [f"{row.word} ({row.beyond}:{row.below})" for row in table.itertuples()]
    lines = table.assign(told=told, bound=[f"{bound:g}" for bound in table["bound"]])
    wide = lines.pivot(index=["weights", "level", "of", "count"], columns="bound", values="told")
    order = table[["weights", "level", "of", "count"]].drop_duplicates()
    return order.merge(wide.reset_index(), how="left")


def printed_factors(found: Found) -> pd.DataFrame:
    """The factors in their order, by level."""
    table = in_factor_order(found.tables["factors"])
    return table.assign(factor=table["factor"].map(FACTOR_LABELS))


def printed_variance(found: Found) -> pd.DataFrame:
    """Variances in units of 0.001."""
    table = found.tables["variance"]
    names = *headings("within", "between"), "mean_h", "untrained_h"
    return table.assign(**{name: 1e3 * table[name] for name in names})


def printed_doses(found: Found) -> pd.DataFrame:
    """Every transformation with its doses."""
    told = [TRANSFORMATIONS[name] for name in labels(found)]
    doses = [", ".join(f"{dose:g}" for dose in entry.doses) for entry in told]
    rows = pd.DataFrame({"condition": [*references(found)]})
    return as_read(found, rows).assign(unit=[entry.unit for entry in told], doses=doses)


def printed_moves(found: Found) -> pd.DataFrame:
    """A row a transformation, with displacements and AUC of every level."""
    moved, read = found.tables["displacement"], found.tables["readability"][["level", "condition", "auc"]]
    lines: dict[str, dict[str, Any]] = {}
    for _, row in as_read(found, at_reference(found, moved).merge(read, how="left")).iterrows():
        told = {f"{row['level']}: moves": row[PLAIN], f"{row['level']}: AUC": row["auc"]}
        lines.setdefault(row["condition"], {"condition": row["condition"]}).update(told)
    return pd.DataFrame(lines.values())


def names(found: Found) -> dict[str, Any]:
    """What the words tell besides."""
    run, told, said = found.run, bool(trained(found)), PROBE.wording.parts("told")
    has_untrained = (found.tables["augmentations"]["weights"] == "untrained").any()
    are_all = {*own(found)} == {*(trained(found) or SSL_AUGMENTATIONS)}
    asked = "" if are_all else f" and that were asked for ({listed([*map(words, own(found))])})"
    fresh = are_fresh(run["arguments"]["encoder"], run["encoder_card"])
    drawn_levels, named = run.get("drawn_levels", ()), labels(found)
    counts = {measure: found.measured(measure)["image"].nunique() for measure in ("present", "rendered")}
    listed_counts = ", ".join(f"{name}: {count}" for name, count in counts.items())
    scenes = are_known(found) or run["arguments"]["encoder"] in EMBEDDED
    gallery = found.at_hand(found.settings.gallery)
    others = gallery - min(found.settings.images, gallery)
    return {
        "negligible": NEGLIGIBLE,
        "equivalence": f"{EQUIVALENCE:.0%}",
        "augmentations": listed([*map(words, own(found))]),
        "usual": listed([*map(words, usual(found))]),
        "parted": "; ".join(parted(found)),
        "unit": f"{others} other images" if others >= ENOUGH else f"all {gallery} images of the gallery",
        "unit_limit": "" if others >= ENOUGH else said["few others"].format(all=gallery, rest=others, enough=ENOUGH),
        "labels": {"trained": "untrained"} if fresh else {},
        "untrained_limit": said["fresh"] if fresh else "" if has_untrained else said["no untrained"],
        "whose": said["of its training" if told else "of others"] + asked,
        "which": said["its augmentations" if told else "usual augmentations"],
        "legend": f" {style.TRAINED} used in training." if set(trained(found)) & set(named) else "",
        "several": len(named),
        "read": listed_counts if counts["rendered"] else counts["present"],
        "drawn": ", ".join(drawn_levels),
        "readouts_limit": phrases.OF_READOUTS,
        "tokens": [OF_TOKENS] if any(is_of(one.name, "tokens") for one in found.maps) else [],
        "samples_limit": phrases.OF_SAMPLES if drawn_levels else "",
        "memory": [*(phrases.of_memory(run) if drawn_levels else ()), *phrases.of_images(run)],
        "scenes": phrases.OF_SCENES if scenes else "",
    }


PROBE = Probe(
    "invariance", Invariance, measure, ready, names, verdicts,
    needs=Needs(decoder="may", judge=True, images=LEAST),
    images=lambda settings: settings.gallery,
    tables=named(displacement, readability, factors, variance, comparison, augmentations, bounds),
    finding={"backbone": 1, "closer": 2, "invariant": 2},
    rows_in={"": "augmentations-backbone", "closer": "comparison", "invariant": "augmentations-projector"},
    page={
        "": [Show("figure", "displacement", displacement_figure, across=displacement_across)],
        "In short": [in_short],
        "What the samples show": [
            Show("text", "samples", when=lambda found: bool(found.run["drawn_levels"])),
            Show("panel", "samples", alone=True),
            Show("panel", "transformed"),
            Show("panel", "training_augmentations"),
            undrawn,
        ],
        "Beyond what counts as none": [
            Show("text", "parted", when=lambda found: bool(found.names["parted"])),
            Show("table", "augmentations"),
            Show("table", "bounds"),
        ],
        "How far each transformation moves h": [
            Show("figure", "dose-response", dose_response_figure),
            Show("table", "transformations"),
            Show("table", "readability"),
            Show("table", "comparison"),
            Show("missing", "comparison", of="comparison"),
        ],
        "Where tokens move": [Show("map", "tokens")],
        "What is present, and what is rendered": [
            Show("missing", "factors", when=lambda found: not are_known(found)),
            Show("text", "factors", when=are_known),
            Show("table", "factors"),
            Show("figure", "factors", factors_figure, are_known, across=factors_across),
        ],
        "What h leaves open": [
            Show("table", "variance"),
            Show("map", "within_deviation"),
            Show("map", "fixed_share"),
        ],
        "No decoder": [no_decoder],
        MEASURED: [Show("table", "doses"), Show("panel", "doses")],
    },
    printed={
        "transformations": lambda found: as_read(found, at_reference(found, found.tables["displacement"])),
        **{name: as_read_of(name) for name in ("readability", "comparison")},
        "augmentations": printed_augmentations,
        "bounds": printed_bounds,
        "factors": printed_factors,
        "variance": printed_variance,
        "doses": printed_doses,
        "moves": printed_moves,
    },
    compared={
        PLAIN: Compared(median),
        WHITENED: Compared(median, ("gallery",)),
        "rank": Compared(mean_reciprocal, ("gallery",)),
        "auc": Compared(share, ("images",), shares=True, called="AUC of telling transformed from untouched"),
        "r2": Compared(rests_on=("images",), shares=True, called="R2 of the strength"),
        "present": Compared(rests_on=("gallery",), shares=True, called="factors present, R2 (class: accuracy)"),
        "rendered": Compared(
            rests_on=("steps", "solver"), shares=True, called="factors rendered, R2 (class: accuracy)"
        ),
        "within_variance": Compared(mean_size, ("steps", "solver")),
    },
    comparable=comparable,
    quick={
        "images": 64, "gallery": 600, "rendered": 36, "varied": 6, "samples": 3, "pictures": 3, "compared": 1,
    },
    shown_in={1: ("factors", "training-augmentations", "augmentations-backbone", "bounds"), 2: ("displacement",)},
)  # fmt: skip
