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

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from analyses.bootstrap import Estimate
from analyses.findings import ERROR_RATE, word_for, word_of_gain
from analyses.paired import compare, holm, signed_rank
from analyses.records import components
from analyses.statistics import auc, mean, mean_reciprocal, median, r2, ratio
from analyses.tables import by_image, headings, measured, summed, tabulate
from probes.page import MEASURED, no_decoder, undrawn
from probes.probe import Judgement, Needs, Probe, Sampling, Show, check_names, option
from probes.transformations import TRANSFORMATIONS
from rcdm_core.distances import cosine, relative_displacement, retrieval_ranks, typical_distance
from rcdm_core.encoders.catalogue import EMBEDDED, SSL_AUGMENTATIONS
from rcdm_core.errors import unknown_name
from rcdm_core.images import resize
from rcdm_core.readout import binary_scores, class_predictions, ridge_predictions
from rcdm_core.representations import fitting
from reports import blocks, phrases, style
from reports.figures.by_encoder import draw_by_encoder
from reports.figures.displacement import draw_displacement, draw_dose_response
from reports.figures.factors import draw_factors
from reports.finished import joined
from reports.names import FACTOR_LABELS, factor_label, listed, words
from reports.panels import Map, Panel, numbered
from reports.tables import cell, rows_where

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from matplotlib.figure import Figure

    from analyses.statistics import Statistic
    from probes.context import Context
    from probes.probe import Found
    from reports.blocks import Block
    from reports.finished import FinishedRun

FOLDS = 5
LEAST = 4 * FOLDS  # images, below which a fold of a readout holds hardly anything
HELD = 2**26  # bytes of images that are held in memory, and not decoded again for every transformation
SHOWN_SAMPLES = 4  # from each level, at most, where a picture shows all levels

NEGLIGIBLE = 0.1
"""Relative displacement that counts as none: a tenth of the way to another image."""

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
    rendered: int = option(100, "Of --images, those off whose samples factors are read.", least=1, metavar="N")
    varied: int = option(16, "Of --images, those of which several samples are drawn.", least=2, metavar="N")
    samples: int = option(6, "Samples of each of these.", least=2, metavar="K")
    pictures: int = option(8, "Images that are shown with their samples.", least=1, metavar="P")
    compared: int = option(2, "Of these, images that are shown under every transformation.", least=0, shown=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_names("transformations", "transformation", self.transformations, TRANSFORMATIONS)

    @property
    def drawn(self) -> int:
        """Images drawn from the data set: the gallery, the first of which statistics rest on."""
        return max(self.images, self.gallery)


def ready(run: Context, settings: Invariance) -> None:
    """Refuse augmentations of training that there are not."""
    for name in run.encoder.training_augmentations:
        if name not in TRANSFORMATIONS:
            raise unknown_name(f"training augmentation of encoder {run.encoder.name!r}", name, TRANSFORMATIONS)


# What is measured


def measure(run: Context, settings: Invariance) -> Iterator[pd.DataFrame | Panel | Map]:
    """Transform images and see what of it arrives in h; read from h what is known of images, and draw from it.

    =========================  ========================================================================================
    measure                    value; ``condition``; ``strength``
    =========================  ========================================================================================
    ``relative_displacement``  distance of h(T(x)) from h(x) over the typical distance of two images; T; its dose
    ``cosine``                 cosine of h(T(x)) and h(x); T; its dose
    ``rank``                   place of x among the gallery seen from h(T(x)), 1 is the nearest; T; its dose
    ``applied_score``          log-odds, read linearly from h, that T was applied; T; 0 for x, the reference dose for
                               T(x)
    ``strength_predicted``     dose read linearly from h(T(x)); T; the true dose, 0 for x
    ``true``                   a factor of the image (``level`` is empty); the factor
    ``present``                the factor read linearly from h(x); the factor
    ``rendered``               the factor that the judge reads off a sample from h(x); the factor
    ``within_variance``        variance among the samples of one h(x), mean over pixels and channels
    ``between_variance``       what the image adds to the variance of expected samples over images (mean: the variance)
    =========================  ========================================================================================
    """
    images = opened(run, settings)
    known = (images.positions.tolist(), images.count, run.levels, settings.seed)

    def moved_by(name: str) -> pd.DataFrame:
        doses = TRANSFORMATIONS[name].doses
        return run.kept_records(f"transformed-{name}", partial(transformed, run, images, name), known, doses)

    yield from run.shared(moved_by, settings.transformations, "transforming")
    if (factors := run.images.factors(images.positions)) is not None:
        yield run.kept_records("factors", partial(known_factors, run, images, components(factors)), known)
    yield doses_panel(images, settings.transformations)
    if run.drawn_levels:
        yield from drawn(run, images)


@dataclass(frozen=True, eq=False)
class Images:
    """What is looked at: a gallery in random order, and its first images, which statistics rest on.

    Attributes:
        run: What is open.
        positions: Of the gallery in the data set, ``[M]``.
        count: Number N of the images that statistics rest on.
        held: These images, ``[N, 3, S, S]``; None where they are too many to be held.
        h: Representations of the gallery, untouched, ``{level: [M, D]}``.
    """

    run: Context
    positions: np.ndarray
    count: int
    held: torch.Tensor | None
    h: dict[str, torch.Tensor]

    @property
    def numbers(self) -> np.ndarray:
        """Positions of the images that statistics rest on, ``[N]``."""
        return self.positions[: self.count]

    def untouched(self, which: slice) -> torch.Tensor:
        """Some of these images, ``[n, 3, S, S]``, decoded again where they are not held."""
        return self.run.images.images(self.numbers[which]) if self.held is None else self.held[which]

    def under(self, name: str, dose: float, which: slice, images: torch.Tensor | None = None) -> torch.Tensor:
        """Some of these images transformed, ``[n, 3, S, S]``; ``images`` where they are at hand."""
        images = self.untouched(which) if images is None else images
        numbers = self.numbers[which].tolist()
        return TRANSFORMATIONS[name].apply(images, dose, self.run.settings.seed, numbers=numbers)

    def moved(self, name: str) -> dict[str, torch.Tensor]:
        """Representations of all these images untouched and at each dose of a transformation: ``{level: [V, N, D]}``.

        Batch by batch, so that memory holds no images, and in the one place where they are read, which is not copied.
        """
        doses, sizes = TRANSFORMATIONS[name].doses, self.run.encoder.dimensions
        found = {level: torch.empty(1 + len(doses), self.count, sizes[level]) for level in self.run.levels}
        for level, versions in found.items():
            versions[0] = self.h[level][: self.count]
        size = fitting(self.run.settings.batch_size, self.run.encoder, self.run.images.image_size)
        for start in range(0, self.count, size):
            rows = slice(start, min(start + size, self.count))
            images = self.untouched(rows)
            for place, dose in enumerate(doses, 1):
                h = self.run.encode(self.under(name, dose, rows, images))
                for level in self.run.levels:
                    found[level][place, rows] = h[level]
        return found


def opened(run: Context, settings: Invariance) -> Images:
    """The images, drawn and encoded."""
    gallery = run.draw(settings.drawn)
    count = min(settings.images, len(gallery))
    h = run.represent(gallery)
    size = 12 * run.images.image_size**2 * count  # three channels of float32
    return Images(run, gallery, count, run.images.images(gallery[:count]) if size <= HELD else None, h)


def transformed(run: Context, images: Images, name: str) -> Iterator[pd.DataFrame]:
    """How far a transformation moves h at every dose, and what a linear readout tells of it."""
    every, reference = (0.0, *TRANSFORMATIONS[name].doses), TRANSFORMATIONS[name].reference
    for level, versions in images.moved(name).items():
        gallery, original = images.h[level], versions[0]
        told, targets = partial(run.records, level=level, condition=name), torch.arange(images.count)
        typical = typical_distance(original, seed=run.settings.seed)
        for dose, h in zip(every[1:], versions[1:], strict=True):
            moved = relative_displacement(h, original, typical)
            yield told("relative_displacement", moved, images.numbers, strength=dose)
            yield told("cosine", cosine(h, original), images.numbers, strength=dose)
            yield told("rank", retrieval_ranks(h, gallery, targets), images.numbers, strength=dose)
        read = readings(versions, every, reference, run.settings.seed)
        for measure, values in read.items():
            for dose, part in values.items():
                yield told(measure, part, images.numbers, strength=dose)


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

    (doses, groups), two = rows(pair), versions[[0, every.index(reference)]]
    scores = binary_scores(two.flatten(0, 1), doses > 0, folds=FOLDS, seed=seed, groups=groups)
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
        yield run.records("true", values[:count], images.numbers, condition=factor)

    def read(reading: tuple[str, bool]) -> torch.Tensor:
        level, of_class = reading
        if of_class:
            return class_predictions(images.h[level], labels, folds=FOLDS, seed=seed)[None]
        return ridge_predictions(images.h[level], targets, folds=FOLDS, seed=seed).T

    readings = [(level, of_class) for level in run.levels for of_class in (True, False)]
    for (level, of_class), rows in zip(readings, run.shared(read, readings, "reading factors"), strict=True):
        for factor, found in zip(["class"] if of_class else linear, rows, strict=True):
            yield run.records("present", found[:count], images.numbers, level=level, condition=factor)


def drawn(run: Context, images: Images) -> Iterator[pd.DataFrame | Panel | Map]:
    """What needs a decoder: factors rendered, variance among samples, pictures."""
    settings, decoder = run.settings, run.decoder
    assert decoder is not None
    shown = resize(images.untouched(slice(settings.pictures)), decoder.image_size)
    varied = min(max(settings.varied, settings.pictures), images.count)
    once = min(max(settings.rendered, varied), images.count) if run.judge is not None else varied
    numbers, variances, panels = images.numbers.tolist(), {}, {}
    for level in run.drawn_levels:
        h = images.h[level]
        first = run.render("first", level, h[:once], numbers[:once])
        others = run.render("others", level, h[:varied], numbers[:varied], range(1, settings.samples))
        samples = torch.cat([first[:varied], others], 1)
        variances[level] = variance_of(samples)
        for name, values in zip(("within", "between"), variances[level], strict=True):
            yield run.records(f"{name}_variance", values.mean((1, 2)), numbers[:varied], level=level)
        for factor, read in run.read(first).items() if run.judge is not None else ():
            yield run.records("rendered", read, numbers[:once], level=level, condition=factor)
        panels[level] = samples_panel(level, shown, samples[: settings.pictures])
    yield from panels.values()
    yield side_by_side(panels)
    yield from compared(run, images)
    yield from variance_maps(variances)


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
    across = ("image", *(f"sample {k + 1}" for k in range(samples.shape[1])))
    return Panel(f"samples_{level}", torch.cat([originals[:, None], samples], 1), numbered(originals), across)


def side_by_side(panels: Mapping[str, Panel]) -> Panel:
    """The panels of all levels as one: the images, then a few samples of every level."""
    first = next(iter(panels.values()))
    shown = {level: panel.images[:, 1 : 1 + SHOWN_SAMPLES] for level, panel in panels.items()}
    across = [f"{level} {k + 1}" for level, samples in shown.items() for k in range(samples.shape[1])]
    grid = torch.cat([first.images[:, :1], *shown.values()], 1)
    return Panel("samples", grid, first.rows, ("image", *across))


def doses_panel(images: Images, names: Sequence[str]) -> Panel:
    """The first image under every transformation at every dose."""
    most, rows = max(len(TRANSFORMATIONS[name].doses) for name in names), []
    for name in names:
        line = torch.cat([images.under(name, dose, slice(1)) for dose in (0.0, *TRANSFORMATIONS[name].doses)])
        rows.append(torch.cat([line, torch.ones(most + 1 - len(line), *line.shape[1:])]))
    across = ("untouched", *(f"dose {i + 1}" for i in range(most)))
    return Panel("doses", torch.stack(rows), tuple(map(doses_label, names)), across)


def doses_label(name: str) -> str:
    """A transformation with its weakest and its strongest dose."""
    entry = TRANSFORMATIONS[name]
    if len(entry.doses) == 1:
        return entry.label
    return f"{entry.label}\n{entry.doses[0]:.3g} to {entry.doses[-1]:.3g} ({entry.unit})"


# Tables


def references(records: pd.DataFrame) -> dict[str, float]:
    """The dose of each transformation at which levels are compared, read off the records.

    It is the dose at which readability was measured: the one strength other than 0 of its ``applied_score`` rows.

    Raises:
        ValueError: A transformation has several such strengths.
    """
    applied = records[(records["measure"] == "applied_score") & (records["strength"] != 0)]
    doses = applied[["condition", "strength"]].drop_duplicates()
    if doses["condition"].duplicated().any():
        raise ValueError(f"more than one reference strength: {doses.to_dict('list')}")
    return dict(zip(doses["condition"], doses["strength"], strict=True))


def at_reference(found: Found, rows: pd.DataFrame) -> pd.DataFrame:
    """Those of rows that are of a transformation at its reference dose."""
    return rows[rows["strength"] == rows["condition"].map(references(found.records))]


def displacement(found: Found) -> pd.DataFrame:
    """How far each dose moves ``h``, and whether the original is still the nearest image.

    One row a (``level``, ``condition``, ``strength``), strengths ascending: medians ``relative_displacement``,
    ``cosine`` and ``rank``, and ``mrr``, the mean of 1 / rank; ``images``.
    """
    summaries: dict[str, tuple[str, Statistic]] = {
        "relative_displacement": ("relative_displacement", median), "cosine": ("cosine", median),
        "mrr": ("rank", mean_reciprocal), "rank": ("rank", median),
    }  # fmt: skip

    def sum_up(rows: pd.DataFrame) -> dict[str, Estimate]:
        values = by_image(rows, "measure")
        return {
            name: found.interval(values[measure], statistic) if measure in values else MISSING
            for name, (measure, statistic) in summaries.items()
        }

    rows = measured(found.records, *(measure for measure, _ in summaries.values()))
    table = summed(rows, ("level", "condition", "strength"), tuple(summaries), sum_up)
    place = table.groupby(["level", "condition"], sort=False).ngroup()
    return table.assign(place=place).sort_values(["place", "strength"], ignore_index=True).drop(columns="place")


def readability(found: Found) -> pd.DataFrame:
    """How well a linear readout of ``h`` tells that a transformation was applied, and how strongly.

    One row a (``level``, ``condition``): ``auc`` of telling transformed from untouched images (chance 0.5), ``r2`` of
    the predicted strength (chance 0; NaN for a transformation of a single dose, where it would say no more than
    ``auc``); ``images``.
    """

    def sum_up(rows: pd.DataFrame) -> dict[str, Estimate]:
        scores = by_image(measured(rows, "applied_score"), "strength")
        doses = by_image(measured(rows, "strength_predicted"), "strength")
        true = np.broadcast_to(doses.columns.to_numpy(dtype=np.float64), doses.shape)
        pairs = np.stack([true, doses.to_numpy()], axis=-1)[:, :, None]
        return {
            "auc": found.interval(scores, auc) if scores.shape[1] == 2 else MISSING,
            "r2": found.interval(pairs, r2) if (doses.columns > 0).sum() > 1 else MISSING,
        }

    rows = measured(found.records, "applied_score", "strength_predicted")
    return summed(rows, ("level", "condition"), ("auc", "r2"), sum_up)


def factors(found: Found) -> pd.DataFrame:
    """How much of each known factor is present in ``h``, and how much is rendered in the samples.

    Accuracy for ``class``; R2 for the others, jointly over cosine and sine where a factor is circular. All samples of
    an image count, and are drawn together in the bootstrap.

    One row a (``level``, ``factor``): ``present``, ``rendered``; ``chance``, the score of the best constant answer
    (share of the commonest class, R2 of 0); ``images``, and how many of them were ``rendered_images``.
    """
    rows = measured(found.records, "true", "present", "rendered")
    rows = rows.assign(factor=rows["condition"].str.removesuffix(".cos").str.removesuffix(".sin"))
    truths = {factor: by_image(true, "condition") for factor, true in measured(rows, "true").groupby("factor")}

    def sum_up(read: pd.DataFrame) -> dict[str, Any]:
        factor = read["factor"].iloc[0]
        scores = {
            measure: agreement(found, truths[factor], measured(read, measure), factor)
            for measure in ("present", "rendered")
        }
        commonest = truths[factor].value_counts(normalize=True).iloc[0] if factor == "class" else 0.0
        return {**scores, "chance": commonest}

    readings = measured(rows, "present", "rendered")
    table = summed(readings, ("level", "factor"), ("present", "rendered"), sum_up, plain=("chance",))
    counts = measured(rows, "rendered").groupby(["level", "factor"])["image"].nunique()
    rendered = table.join(counts.rename("rendered_images"), on=["level", "factor"])["rendered_images"]
    return table.assign(rendered_images=rendered.fillna(0).astype(int))


def agreement(found: Found, true: pd.DataFrame, read: pd.DataFrame, factor: str) -> Estimate:
    """Agreement of readings with the truth ``[images, components]``; an image may have been read in several samples."""
    answers = by_image(read, "sample", "condition")
    images = true.index.intersection(answers.index)
    if len(images) == 0:
        return MISSING
    target = true.loc[images].to_numpy()[:, None, :]
    answer = answers.loc[images].to_numpy().reshape(len(images), -1, target.shape[2])
    if factor == "class":
        return found.interval((answer == target).mean(axis=(1, 2)), mean)
    return found.interval(np.stack(np.broadcast_arrays(target, answer), axis=-1), r2)


def variance(found: Found) -> pd.DataFrame:
    """How much the samples of one ``h`` vary, against how much the mean samples of different ``h`` do.

    One row a ``level``: variance of a pixel ``within`` one ``h`` (what ``h`` leaves open) and ``between`` several (what
    it fixes), in squared units of [0, 1], their ``ratio``; ``images``, drawn for both together.
    """
    parts = ("within_variance", "between_variance")

    def sum_up(rows: pd.DataFrame) -> dict[str, Estimate]:
        both = by_image(rows, "measure").reindex(columns=parts)
        within, between = (found.interval(both[part], mean) for part in parts)
        return {"within": within, "between": between, "ratio": found.interval(both, ratio)}

    return summed(measured(found.records, *parts), ("level",), ("within", "between", "ratio"), sum_up)


def comparison(found: Found) -> pd.DataFrame:
    """Whether a transformation moves the backbone more than the projector, image by image, at its reference dose.

    One row a ``condition``: its ``strength``, the median paired ``difference`` of relative displacement, backbone minus
    projector, Wilcoxon's ``p_value``, ``p_holm`` corrected over the rows, the rank-biserial ``effect``; ``images``. No
    rows where a level was not measured.
    """
    rows, moved = {}, at_reference(found, measured(found.records, "relative_displacement"))
    for key, group in moved.groupby(["condition", "strength"], sort=False):
        values = by_image(group, "level")
        if set(PAIR) <= set(values.columns):
            test = compare(values[BACKBONE] - values[PROJECTOR], seed=found.settings.seed)
            rows[key] = {"difference": test.difference, "p_value": test.p_value, "effect": test.effect}
    table = tabulate(rows, ("condition", "strength"), ("difference",), ("p_value", "p_holm", "effect"))
    return table.assign(p_holm=holm(table["p_value"]))


# Verdicts
#
# Both rest on one number an image and level: the relative displacement of h, each transformation at its reference dose,
# averaged over the augmentations that the encoder was trained with. 0 is unmoved, 1 as far as another image. An image
# counts at a level once every augmentation was measured on it there.


def verdicts(found: Found) -> Iterator[Judgement]:
    """Findings 1 (needs the backbone) and 2 (needs the projector as well); both need some augmentation."""
    known = references(found.records)
    augmentations = [name for name in trained(found) or SSL_AUGMENTATIONS if name in known]
    moved = at_reference(found, measured(found.records, "relative_displacement"))
    moved = moved[moved["condition"].isin(augmentations)]
    means = {level: by_image(rows, "condition").mean(axis=1) for level, rows in moved.groupby("level")}
    if BACKBONE not in means:
        return
    backbone = means[BACKBONE].to_numpy()
    told: dict[str, Any] = {
        "augmentations": listed([*map(words, augmentations)]),
        "readable": readable(found, augmentations),
    }
    size = found.interval(backbone, median)
    p_value = signed_rank(backbone - NEGLIGIBLE)
    yield Judgement("backbone", size, beside_negligible(size), p_value=p_value, names=told, whole=True)
    if PROJECTOR in means:
        pair = pd.concat([means[level].rename(level) for level in PAIR], axis=1, join="inner").sort_index()
        test = compare(pair[BACKBONE] - pair[PROJECTOR], seed=found.settings.seed)
        left = found.interval(pair[PROJECTOR], median)
        told = {"effect": f"{test.effect:.2f}", "left": left, "remains": REMAINS[beside_negligible(left)]}
        word = word_of_gain(test.difference, test.p_value)
        yield Judgement("projector", test.difference, word, p_value=test.p_value, names=told, whole=True)


def beside_negligible(moved: Estimate) -> Any:
    """Whether a displacement is supported to be more than what counts as none."""
    return word_for(moved.low > NEGLIGIBLE, moved.high < NEGLIGIBLE)


REMAINS = {
    "supported": "so it is not invariant in itself",
    "not supported": "which is negligible",
    "inconclusive": "close to what counts as negligible",
}


def readable(found: Found, augmentations: Sequence[str]) -> str:
    """The range over augmentations of the backbone's AUC, in a sentence; nothing where none was measured."""
    table = rows_where(found.tables["readability"], level=BACKBONE)
    areas = table[table["condition"].isin(augmentations)].set_index("condition")["auc"].dropna().sort_index()
    if areas.empty:
        return ""
    ends = list(dict.fromkeys([areas.idxmin(), areas.idxmax()]))
    what = words(ends[0]) + " was" if len(ends) == 1 else "they were"
    told = " to ".join(f"{areas[end]:.2f}" + (f" ({words(end)})" if len(ends) > 1 else "") for end in ends)
    return f" A linear readout of the backbone tells whether {what} applied, with an AUC of {told}; 0.5 is chance."


# The page


def in_short(found: Found) -> Iterator[Block]:
    """The outcome in sentences."""
    yield blocks.points(
        [*short_displacement(found), *short_comparison(found), *short_factors(found), *short_open(found)]
    )


def short_displacement(found: Found) -> Iterator[str]:
    """What moves each level most, and least."""
    moved, named, clauses = at_reference(found, found.tables["displacement"]), labels(found), []
    for level in style.ordered_levels(moved["level"]):
        rows = moved[moved["level"] == level].dropna(subset=["relative_displacement"])
        rows = rows.sort_values("relative_displacement")
        told = [(named[row["condition"]].lower(), cell(row, "relative_displacement")) for _, row in rows.iterrows()]
        if len(told) == 1:
            clauses.append(f"{told[0][0]} moves the {level} by {told[0][1]}")
        elif told:
            (least, low), (most, high) = told[0], told[-1]
            clauses.append(f"{most} moves the {level} most ({high}) and {least} least ({low})")
    count = len(named)
    which = f"Of {count} transformations at their reference dose, " if count > 1 else "At its reference dose, "
    if clauses:
        yield f"{which}{'; '.join(clauses)}. 1 is as far as another image."


def short_comparison(found: Found) -> Iterator[str]:
    """How many transformations move the projector less."""
    if are_compared(found):
        table = found.tables["comparison"]
        sure = table[table["p_holm"] < ERROR_RATE]
        less, more = (sure["difference"] > 0).sum(), (sure["difference"] < 0).sum()
        yield (
            f"The projector moves less than the backbone under {less} of {len(table)} transformations and more under "
            f"{more} (Wilcoxon signed-rank, Holm-corrected p < {ERROR_RATE})."
        )


def short_factors(found: Found) -> Iterator[str]:
    """The class, and the factors that are read best and worst."""
    clauses = []
    for level in style.ordered_levels(found.tables["factors"]["level"]):
        table = found.tables["factors"]
        rows = table[table["level"] == level].dropna(subset=["present"])
        linear = rows[rows["factor"] != "class"].sort_values("present")
        accuracy = [f"class {cell(row, 'present')}" for _, row in rows[rows["factor"] == "class"].iterrows()]
        ends = [linear.iloc[-1], linear.iloc[0]] if len(linear) > 1 else []
        told = [*accuracy, *(f"{factor_label(row['factor'])} R² {cell(row, 'present')}" for row in ends)]
        clauses += [f"from the {level}, {', '.join(told)}"] if len(rows) else []
    if clauses:
        what = "Read linearly (the class, then the best and the worst of the other factors)"
        yield f"{what}: {'; '.join(clauses)}."


def short_open(found: Found) -> Iterator[str]:
    """What h leaves open."""
    if clauses := [f"{cell(row, 'ratio')} for the {row['level']}" for _, row in found.tables["variance"].iterrows()]:
        what = "What h leaves open, as the variance of samples from one h over that between the h of different images"
        yield f"{what}: {'; '.join(clauses)}."


def trained(found: Found) -> Sequence[str]:
    """Transformations that the encoder was trained with."""
    return found.run["encoder_card"]["training_augmentations"]


def labels(found: Found) -> dict[str, str]:
    """The transformations that were measured, as printed."""
    known = references(found.records)
    return {name: entry.label for name, entry in TRANSFORMATIONS.items() if name in known}


def were_drawn(found: Found) -> bool:
    """Whether there was a decoder."""
    return bool(found.run["drawn_levels"])


def are_known(found: Found) -> bool:
    """Whether the factors of the images are known."""
    return bool((found.records["measure"] == "true").any())


def are_compared(found: Found) -> bool:
    """Whether backbone and projector were measured together."""
    return not found.tables["comparison"].empty


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
        references=references(found.records),
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
    own = np.array([name in known[encoder] for encoder, name in zip(moved["encoder"], moved["condition"], strict=True)])
    for end in ("", "_low", "_high"):
        values = moved[f"relative_displacement{end}"]
        moved = moved.assign(**{f"own{end}": values.where(own), f"other{end}": values.where(~own)})
    first = moved[moved["level"] == style.ordered_levels(moved["level"])[0]]
    far = first.groupby("condition")["relative_displacement"].mean()
    return draw_by_encoder(
        moved,
        row="condition",
        labels={str(name): TRANSFORMATIONS[str(name)].label for name in far.sort_values(ascending=False).index},
        series={"own": "the encoder was trained with it", "other": "it was not"},
        unit="relative displacement of h",
        line=1.0,
        band=NEGLIGIBLE,
    )


def factors_across(runs: Sequence[FinishedRun]) -> Figure:
    """Present beside rendered."""
    return draw_by_encoder(
        joined(runs, "factors"),
        row="factor",
        labels=FACTOR_LABELS,
        series={"present": "present in h", "rendered": "rendered in samples"},
        unit="R² (class: accuracy)",
        tick=("chance", "guessing"),
        least=-1.2,
    )


def as_read(found: Found, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of transformations in their order, with the dose as text, and a mark where the encoder was trained so."""
    named, marked = labels(found), trained(found)
    rows = rows.sort_values("condition", key=lambda names: names.map([*named].index), kind="stable")
    return rows.assign(
        dose=[f"{dose:.3g}" for dose in rows["strength"]],
        condition=[f"{style.TRAINED} {named[name]}" if name in marked else named[name] for name in rows["condition"]],
    )


def printed_transformations(found: Found) -> pd.DataFrame:
    """Each transformation at its reference dose: what it moves, and what can be read of it."""
    told = found.tables["readability"].drop(columns="images")
    return as_read(
        found, at_reference(found, found.tables["displacement"]).merge(told, on=["level", "condition"], how="left")
    )


def printed_factors(found: Found) -> pd.DataFrame:
    """A row a factor, with present and rendered of every level."""
    table, lines = found.tables["factors"], []
    order = [name for name in FACTOR_LABELS if name in set(table["factor"])]
    for name in order:
        rows = table[table["factor"] == name].set_index("level")
        line = {"factor": FACTOR_LABELS[name], "chance": rows["chance"].iloc[0]}
        for level in style.ordered_levels(table["level"]):
            for end in ("", "_low", "_high"):
                line |= {f"{level}, {what}{end}": rows[f"{what}{end}"].get(level) for what in ("present", "rendered")}
        lines.append(line)
    return pd.DataFrame(lines)


def printed_variance(found: Found) -> pd.DataFrame:
    """Variances in units of 0.001."""
    table = found.tables["variance"]
    return table.assign(**{name: 1e3 * table[name] for name in headings("within", "between")})


def printed_doses(found: Found) -> pd.DataFrame:
    """Every transformation with its doses."""
    known = references(found.records)
    rows = pd.DataFrame({"condition": known.keys(), "strength": known.values()})
    told = [TRANSFORMATIONS[name] for name in labels(found)]
    doses = [", ".join(f"{dose:.3g}" for dose in entry.doses) for entry in told]
    return as_read(found, rows).assign(unit=[entry.unit for entry in told], doses=doses)


def printed_moves(found: Found) -> pd.DataFrame:
    """A row a transformation, with displacement and AUC of every level."""
    rows = printed_transformations(found)
    lines: dict[str, dict[str, Any]] = {name: {"condition": name} for name in rows["condition"]}
    for _, row in rows.iterrows():
        level = row["level"]
        lines[row["condition"]] |= {f"{level}: moves": row["relative_displacement"], f"{level}: AUC": row["auc"]}
    return pd.DataFrame(lines.values())


def names(found: Found) -> dict[str, Any]:
    """What the words tell besides."""
    run, own = found.run, bool(trained(found))
    drawn_levels, named = run.get("drawn_levels", ()), labels(found)
    rendered = found.records["measure"] == "rendered"
    counts = {
        "present": found.records.loc[found.records["measure"] == "present", "image"].nunique(),
        "rendered": found.records.loc[rendered, "image"].nunique(),
    }
    scenes = are_known(found) or run["arguments"]["encoder"] in EMBEDDED
    return {
        "negligible": NEGLIGIBLE,
        "whose": "it was trained with" if own else "self-supervised encoders are usually trained with",
        "which": "the training augmentations"
        if own
        else "the augmentations that SSL encoders are usually trained with",
        "legend": f" {style.TRAINED} used in training." if set(trained(found)) & set(named) else "",
        "several": len(named),
        "read": ", ".join(f"{name}: {count}" for name, count in counts.items())
        if rendered.any()
        else counts["present"],
        "drawn": ", ".join(drawn_levels),
        "readouts_limit": phrases.OF_READOUTS,
        "samples_limit": phrases.OF_SAMPLES if drawn_levels else "",
        "memory": [*(phrases.of_memory(run) if drawn_levels else ()), *phrases.of_images(run)],
        "scenes": phrases.OF_SCENES if scenes else "",
    }


PROBE = Probe(
    name="invariance",
    settings=Invariance,
    needs=Needs(decoder="may", judge=True, images=LEAST),
    images=lambda settings: settings.drawn,
    ready=ready,
    measure=measure,
    tables={
        "displacement": displacement,
        "readability": readability,
        "factors": factors,
        "variance": variance,
        "comparison": comparison,
    },
    verdicts=verdicts,
    finding={"backbone": 1, "projector": 2},
    names=names,
    page={
        "": [Show("figure", "displacement", displacement_figure, across=displacement_across)],
        "In short": [in_short],
        "What the samples show": [
            Show("text", "samples", when=were_drawn),
            Show("panel", "samples", alone=True),
            Show("panel", "transformed"),
            Show("panel", "training_augmentations"),
            undrawn,
        ],
        "How far each transformation moves h": [
            Show("figure", "dose-response", dose_response_figure),
            Show("table", "transformations"),
            Show("table", "comparison"),
            Show("missing", "comparison", when=lambda found: not are_compared(found)),
        ],
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
        "transformations": printed_transformations,
        "comparison": lambda found: as_read(found, found.tables["comparison"]),
        "factors": printed_factors,
        "variance": printed_variance,
        "doses": printed_doses,
        "moves": printed_moves,
    },
    quick={
        "images": 64, "gallery": 600, "rendered": 36, "varied": 6, "samples": 3, "pictures": 3, "compared": 1,
        "steps": 6,
    },
    shown_in={1: ("factors", "training-augmentations"), 2: ("displacement",)},
    words=Path(__file__).with_suffix(".md").read_text(encoding="utf-8"),
)  # fmt: skip
