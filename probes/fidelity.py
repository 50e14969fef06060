"""How far what is drawn from a representation is to be trusted: a PDF report on the decoder itself.

Ranks of the image that a sample was drawn of, Frechet distance, precision and recall beside real images, whether
samples are copies of training images, and what solver and number of steps change.

--features inception gives FID and the Inception score. It needs the package torch-fidelity and, in the cache folder
(~/.cache/rcdm-probe), weights-inception-2015-12-05-6726825d.pth of its release v0.2.0 (see docs/mathematics.md).

[bold]Examples[/]

rcdm-probe fidelity

rcdm-probe fidelity --encoder vicreg --encoder supervised --level backbone --images 500

rcdm-probe fidelity --encoder timm/resnet18 --data photos/ --rcdm my-rcdm --features inception
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from analyses.digits import ERROR_RATE
from analyses.findings import LEAST as FEWEST
from analyses.floors import of_others
from analyses.paired import holm, rank_biserial, signed_rank
from analyses.records import REAL, components, records
from analyses.statistics import Array, evaluate, mean, mean_rank, mean_reciprocal, mean_size, median, r2, ratio, share
from analyses.tables import by_image, headings, measured, tabulate
from probes.context import Context, in_parts
from probes.probe import Compared, Found, Needs, Probe, Ready, Sampling, Show, named, option
from probes.stages import Stages
from rcdm_core.data.scenes import CIRCULAR
from rcdm_core.distances import nearest, retrieval_ranks
from rcdm_core.encoders import UNTRAINED
from rcdm_core.encoders.soundness import refuse_without_gradients
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.fidelity import frechet_contributions, in_manifold, inception_contributions
from rcdm_core.images import resize
from rcdm_core.rcdm.choices import DEFAULT_STEPS, SOLVERS
from rcdm_core.training_images import TrainingImages, trained_rows, trained_scenes
from reports import blocks
from reports.figures.fidelity import draw_copies, draw_levels, draw_places, draw_solvers
from reports.names import SHORT_LABELS, factor_label, in_factor_order, listed
from reports.panels import Panel, in_columns, in_rows
from reports.tables import cell, number, rows_where

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd
    from matplotlib.figure import Figure

    from analyses.bootstrap import Estimate
    from rcdm_core.data.imageset import ImageSet
    from reports.blocks import Block

LEAST = 20  # images, below which sets have no shape
SWEPT_SAMPLES = 2  # of an image, by every solver that is compared
THUMBNAIL = 32  # pixels: the side at which pictures are compared with training images
USUAL = "vicreg/backbone"
"""Where solvers are compared, unless another level is named, or this one is not drawn from."""
SWEPT = (
    *(("sde-dpmsolver++", steps) for steps in (4, DEFAULT_STEPS, 12)),
    *(("dpmsolver++", steps) for steps in (4, DEFAULT_STEPS, 12)),
    ("unipc", DEFAULT_STEPS),
    ("ddim", DEFAULT_STEPS),
    ("ddpm", 100),
)
"""Solvers and steps that are compared: by steps, by solver at equal steps, and the ancestral one as published."""


@dataclass(frozen=True, kw_only=True)
class Fidelity(Sampling):
    """What is measured, on how much, with which solver."""

    images: int = option(72, "Images that one sample is drawn of, each.", short="n", least=LEAST, metavar="N")
    gallery: int = option(2000, "Images among which ranks are taken.", metavar="M")
    neighbours: int = option(3, "k of precision and recall.", least=1, most=LEAST - 1, shown=False)
    compared: int = option(
        5000, "Training images that samples are held beside, to find copies; 0 for none.", least=0, metavar="N"
    )
    swept: tuple[tuple[str, int], ...] = option(SWEPT, "Solvers with numbers of steps that are compared.", shown=False)
    swept_images: int = option(
        20, "Images on which solvers and steps are compared; 0 for none.", least=0, metavar="N"
    )  # fmt: skip
    swept_level: str | None = option(
        None,
        f"Where solvers are compared; by default {USUAL}, where it is drawn from, else the first level.",
        metavar="ENCODER/LEVEL",
    )
    spread: int = option(
        40, "Images of which several samples tell whether they vary as they should; 0 for none.", least=0, metavar="N"
    )
    spread_level: tuple[str, ...] = option(
        (), "Where that is looked at, may be repeated; by default where solvers are compared.", metavar="ENCODER/LEVEL"
    )
    spread_samples: int = option(7, "Samples of each of these images.", least=3, most=99, shown=False)
    guided: int = option(
        0,
        "Images of which samples steered towards h are drawn, too: what these show and others do not, the decoder "
        "missed; 0 for none.",
        least=0,
        metavar="N",
    )
    pictures: int = option(8, "Images shown with their samples.", least=1, shown=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "gallery", max(self.gallery, self.images))  # which are its first
        for solver, _ in self.swept:
            if solver not in SOLVERS:
                raise unknown_name("solver", solver, SOLVERS)
        counts = {"compare solvers on": self.swept_images, "tell a spread": self.spread, "guide": self.guided}
        for doing, count in counts.items():
            if 0 < count < LEAST:
                raise UserError(f"{count} images are too few to {doing}", f"take at least {LEAST}, or 0")

    @property
    def rivals(self) -> tuple[tuple[str, int], ...]:
        """Solvers and steps that are compared, the chosen one first; none where nothing is."""
        return tuple(dict.fromkeys([(self.solver, self.steps), *self.swept])) if self.swept_images else ()


@dataclass(frozen=True, eq=False)
class Drawn:
    """Which images take part, as positions in the data set; all but `gallery` are disjoint.

    Attributes:
        images: Those that samples are drawn of, ``[N]``.
        gallery: Those among which ranks are taken, ``[M]``; the first N are `images`.
        reference: As many others, that sets are compared with, ``[N]``.
        held_out: Further ones, beside which training images stand; `reference` is among them.
        training: As many images that the decoders were trained on; None where none are known, or none asked for.
    """

    images: np.ndarray
    gallery: np.ndarray
    reference: np.ndarray
    held_out: np.ndarray
    training: TrainingImages | None


# What is measured


def ready(run: Context, settings: Fidelity) -> Ready:
    """Find out what the decoders were trained on, and draw the images; refuse at once what would fail later."""
    training, available, why = trained_on(run, settings.compared)
    levels = [f"{one.encoder.name}/{level}" for one in run.each_encoder() for level in one.drawn_levels]
    for level in (*([settings.swept_level] if settings.swept_level is not None else []), *settings.spread_level):
        if level not in levels:
            raise unknown_name("encoder and level", level, levels)
    if settings.guided:
        if run.judge is None:
            raise UserError(
                "guided samples are told by the factors they show, and these images have none",
                "leave out --guided, or take --data scenes",
            )
        for one in run.each_encoder():
            for level in one.drawn_levels:
                refuse_without_gradients(one.encoder, level)
    if len(available) < 2 * LEAST:
        raise UserError(
            f"there are {len(available)} images that no RCDM was trained on",
            f"give at least {2 * LEAST}, of another folder with --data",
        )
    drawn = draw(available, training, settings)
    known, look = drawn.training, run.look(run.images.images(drawn.images[:1]))[0]
    swept = settings.swept_level or (USUAL if USUAL in levels else levels[0])
    distilled = any(decoder.calls for decoder in run.decoders.values())  # it draws in one way, and no other
    return Ready(
        settings=replace(
            settings,
            swept_level=swept,
            spread_level=settings.spread_level or (swept,),
            swept_images=0 if distilled else settings.swept_images,
        ),
        own=drawn,
        hashes={"training images": known.images.fingerprint if known else ""},
        cards={
            "features_card": {"dimension": look.shape[1]},
            "training_card": (
                {"name": known.images.name, "total": known.total, "compared": len(known.positions)}
                if known
                else {"missing": why}
            ),
            "study_card": {"gallery": len(drawn.gallery), "images": len(drawn.images)},
            **told_halved(run, len(available), settings.images),
        },
    )


def told_halved(run: Context, available: int, asked: int) -> dict[str, Any]:
    """What is said of the images where samples are drawn of fewer than were asked for."""
    if asked <= available // 2:
        return {}
    halved = (
        f"samples are drawn of {available // 2:,} images, not of {asked:,} (--images): of the {available:,} that "
        "no training is known to have seen, as many others stand beside them for what real images reach"
    )
    return {"data_card": {"remarks": [*run.images.remarks, halved]}}


def trained_on(run: Context, compared: int) -> tuple[TrainingImages | None, np.ndarray, str]:
    """What all decoders were trained on, which of the images none ever saw, and why nothing is known."""
    decoders = {one.fingerprint: one for one in run.decoders.values()}.values()
    seen = [trained_rows([one], run.images) for one in decoders]
    available = np.setdiff1d(np.arange(len(run.images)), np.concatenate(seen))
    if not compared:
        return None, available, ""
    common = reduce(np.intersect1d, seen)
    if len(common):
        return TrainingImages(run.images, common, len(common)), available, ""
    if len(decoders) != 1:
        return None, available, "Several decoders were used; ask for the encoders of one at a time."
    why = (
        "The images that the decoder was trained on are not at hand. Those of an RCDM made by rcdm-probe train are "
        "found when --data names the same folder; those of the embedded one are made from the training garments of "
        "Fashion-MNIST (Debian: apt install dataset-fashion-mnist)."
    )
    of_scenes = (trained_scenes(card, limit=compared) for one in decoders for card in one.cards)
    return next(filter(None, of_scenes), None), available, why


def draw(available: np.ndarray, training: TrainingImages | None, settings: Fidelity) -> Drawn:
    """Draw the images by the seed.

    A data set that is too small gives half of what it has, for as many others stand beside them.

    Args:
        available: Positions that no decoder was trained on.
        training: What the decoders were trained on, or None.
        settings: How many.
    """
    order = np.random.default_rng(settings.seed).permutation(available)
    count = min(settings.images, len(order) // 2)
    held_out = order[count : count + settings.compared]
    if training is not None:
        among = min(settings.compared, len(training.positions), len(held_out))
        chosen = np.random.default_rng(settings.seed).permutation(training.positions)[:among]
        training, held_out = replace(training, positions=chosen), held_out[:among]
    return Drawn(order[:count], order[: settings.gallery], order[count : 2 * count], held_out, training)


def measure(run: Context, settings: Fidelity) -> Iterator[pd.DataFrame | Panel]:
    """Draw a sample of each image from every level, encode it again, and hold it beside real images.

    ====================  =============================================================================================
    measure               value; ``condition`` and ``strength``: solver and steps, but for real images
    ====================  =============================================================================================
    ``sample_rank``       place of the image among the gallery seen from h of its sample, 1 is the nearest
    ``shuffled_rank``     place of an image seen from h of the sample of another image: the floor
    ``mean_h_rank``       place of the image seen from h of a sample from the mean h, from the noise of the image
    ``place``             how many of several samples of the image have a lower factor than it, as the judge reads
                          both; the factor
    ``plain``, ``guided``  the factor that the judge reads off a sample, and off one that is steered towards h; the
                          factor (``true`` its value)
    ``guided_rank``       as ``sample_rank``, of these; ``plain_rank`` of the same images without;
                          ``guided_shuffled_rank``, ``guided_mean_h_rank`` of the floors, steered as well
    ``guided_mean_h``     the factor that the judge reads off a sample that is steered towards the mean h
    ``frechet``           squared Frechet distance of the set from other real images, as contributions (mean: the value)
    ``inception_score``   Inception score of the set, as contributions (mean: the value)
    ``precision``         whether a picture of the set lies in the manifold of other real images
    ``recall``            whether one of these other real images lies in the manifold of the set
    ``nearest_training``  root mean square difference, in [0, 1], of a picture's pixels from the nearest training image
    ``nearest_held_out``  the same, from the nearest of as many real images that were not trained on
    ``swept_rank``        as ``sample_rank``, on fewer images, for every solver and number of steps
    ``swept_frechet``     as ``frechet``, of these fewer images
    ``swept_variance``    variance of two samples of the image from other noise, mean over pixels and colours
    ``seconds``           time of a picture, solver by solver (``image`` is -1); the one measure that no seed decides
    ====================  =============================================================================================

    Beside the encoders stands the untrained one, where the decoder draws from it.

    Rows of real images themselves, the floor that a perfect decoder reaches, have no encoder and the condition
    ``real images``. The other real images are as many, and none of those that samples were drawn from.
    """
    drawn: Drawn = run.own
    pictures, beside = run.images.images(drawn.images), galleries(run.images, drawn)
    reference = run.look(run.images.images(drawn.reference))[0]

    def compared(of: torch.Tensor, **about: Any) -> Iterator[pd.DataFrame]:
        """One picture of each image, as a set, and one by one beside training images."""
        features, classes = run.look(of)
        near = partial(in_manifold, neighbours=settings.neighbours)
        yield records("frechet", frechet_contributions(features, reference), drawn.images, **about)
        yield records("precision", near(features, reference), drawn.images, **about)
        yield records("recall", near(reference, features), drawn.reference, **about)
        if classes is not None:
            yield records("inception_score", inception_contributions(classes), drawn.images, **about)
        for name, gallery in beside.items():
            apart = nearest(small(of), gallery)[0] / gallery.shape[1] ** 0.5
            yield records(name, apart, drawn.images, **about)

    yield from compared(pictures, encoder="", condition=REAL)
    samples: dict[str, torch.Tensor] = {}
    way = setting(settings.solver, settings.steps)
    for one in filter(None, (*run.each_encoder(), run.untrained())):
        h = one.represent(drawn.gallery)
        for level in one.drawn_levels:
            name = f"{one.encoder.name}/{level}"
            samples[name] = one.render("one", level, h[level][: len(pictures)], drawn.images.tolist())[:, 0]
            yield from ranked(one, level, h[level], samples[name], drawn, way)
            if one.judge is not None and settings.spread and name in settings.spread_level:
                yield from spread(one, level, h[level], pictures, drawn)
            if settings.guided:
                yield from steered(one, level, h[level], samples[name], drawn)
            yield from compared(samples[name], encoder=one.encoder.name, level=level, **way)
            if name == settings.swept_level:
                swept = one, level, h[level]
    if settings.swept_images:
        count = min(settings.swept_images, len(pictures))
        floor = frechet_contributions(run.look(pictures)[0][:count], reference[:count])
        yield records("swept_frechet", floor, drawn.images[:count], encoder="", condition=REAL)
        yield from sweep(*swept, drawn, reference[:count])

    shown, name = pictures[: settings.pictures], str(settings.swept_level)
    first = {key: of[: len(shown)] for key, of in samples.items()}
    yield samples_panel(shown, first)
    if drawn.training is not None:
        rows = nearest(small(first[name]), beside["nearest_training"])[1]
        found = drawn.training.images.images(drawn.training.positions[rows.numpy()])
        lines = {"image": shown, "sample": first[name], "nearest\ntraining image": found}
        yield in_rows("nearest_training", first[name].shape[-1], lines)
    if settings.swept_images:
        by_solver = drawn_by_solvers(*swept, drawn.images[: len(shown)])
        yield in_rows("drawn_by_solvers", first[name].shape[-1], {"image": shown, **by_solver})


def ranked(
    run: Context, level: str, h: torch.Tensor, samples: torch.Tensor, drawn: Drawn, way: Mapping[str, Any]
) -> Iterator[pd.DataFrame]:
    """Ranks of images seen from their own samples, from those of other images, and from samples of the mean h."""
    own, seen, few = torch.arange(len(samples)), run.encode(samples)[level], min(LEAST, len(samples))
    yield run.records("sample_rank", retrieval_ranks(seen, h, own), drawn.images, level, **way)
    yield run.records("shuffled_rank", retrieval_ranks(seen.roll(1, 0), h, own), drawn.images, level, **way)
    of_mean = run.render("mean", level, h.mean(0).expand(few, -1), drawn.images[:few].tolist())[:, 0]
    ranks = retrieval_ranks(run.encode(of_mean)[level], h, own[:few])
    yield run.records("mean_h_rank", ranks, drawn.images[:few], level, **way)


def spread(run: Context, level: str, h: torch.Tensor, pictures: torch.Tensor, drawn: Drawn) -> Iterator[pd.DataFrame]:
    """Places of images among their samples, factor by factor, as the judge reads both.

    Were the samples of one h as varied as the images that share it, an image would be one of them: its place is uniform
    (simulation-based calibration, Talts et al. 2018). The judge reads the image as well, so that its errors are alike.
    """
    settings, count = run.settings, min(run.settings.spread, len(pictures))
    numbers, tie = drawn.images[:count], np.random.default_rng(settings.seed)
    samples = run.render("spread", level, h[:count], numbers.tolist(), range(1, 1 + settings.spread_samples))
    assert run.judge is not None
    of_images = run.judge.read(pictures[:count])
    of_samples = run.judge.read(samples.flatten(0, 1))
    for factor in of_images:
        values = np.column_stack([of_images[factor], of_samples[factor].to_numpy().reshape(count, -1)])
        values = around_their_mean(values) if factor in CIRCULAR else values
        apart = values[:, :1] - values[:, 1:]
        level_with = tie.integers(0, (apart == 0).sum(1) + 1)  # any place among its equals, as classes are
        yield run.records("place", (apart > 0).sum(1) + level_with, numbers, level, factor)


def around_their_mean(turns: Array) -> Array:
    """Places on a circle ``[N, K]``, in turns, as differences from the mean place of each row, in [-0.5, 0.5).

    The mean is of all that are ranked, and so takes none for the image: what is uniform stays so.
    """
    mean = np.angle(np.exp(2j * np.pi * turns).sum(1, keepdims=True)) / (2 * np.pi)
    return (turns - mean + 0.5) % 1 - 0.5


def steered(run: Context, level: str, h: torch.Tensor, samples: torch.Tensor, drawn: Drawn) -> Iterator[pd.DataFrame]:
    """Samples steered towards h beside those from equal noise that are not: ranks, and what the judge reads.

    The floors are steered as well: samples of other images, and samples towards the mean h.
    """
    count, few = min(run.settings.guided, len(samples)), min(run.settings.guided, len(samples), LEAST)
    numbers, own = drawn.images[:count], torch.arange(count)
    towards = {"guided": h[:count], "guided_mean_h": h.mean(0).expand(few, -1)}
    of = {"plain": samples[:count]} | {
        name: run.render(name, level, each, numbers[: len(each)].tolist(), guided=True)[:, 0]
        for name, each in towards.items()
    }
    for name, pictures in of.items():
        seen, images = run.encode(pictures)[level], numbers[: len(pictures)]
        yield run.records(f"{name}_rank", retrieval_ranks(seen, h, own[: len(seen)]), images, level)
        if name == "guided":
            yield run.records("guided_shuffled_rank", retrieval_ranks(seen.roll(1, 0), h, own), images, level)
        for factor, read in run.read(pictures[:, None]).items():
            yield run.records(name, read[:, 0], images, level, factor)
    factors = run.images.factors(numbers)
    assert factors is not None
    for factor, values in components(factors).items():
        yield run.records("true", values, numbers, level, factor)


def galleries(images: ImageSet, drawn: Drawn) -> dict[str, torch.Tensor]:
    """Where a picture's nearest is looked for: images that were trained on, and as many that were not, ``[G, P]``.

    Samples are softer than photographs, and so nearer to any image; a small distance from the training images alone
    says nothing. A generator that recalls is nearer to them than to equally many others.
    """
    if drawn.training is None:
        return {}
    return {
        "nearest_training": in_parts(drawn.training.images, drawn.training.positions, small),
        "nearest_held_out": in_parts(images, drawn.held_out, small),
    }


def small(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures ``[N, 3, S, S]`` as rows of pixels ``[N, 3 * 32 * 32]``."""
    return resize(pictures, THUMBNAIL).flatten(1)


def setting(solver: str, steps: int) -> dict[str, Any]:
    """Solver and steps as records tell them."""
    return {"condition": solver, "strength": float(steps)}


def sweep(run: Context, level: str, h: torch.Tensor, drawn: Drawn, reference: torch.Tensor) -> Iterator[pd.DataFrame]:
    """Ranks, Frechet distance, variance within h and time under every solver and number of steps, from equal noise.

    Args:
        run: Of one encoder.
        level: Its level that is drawn from.
        h: The gallery there, ``[M, D]``.
        drawn: The images.
        reference: Features of as many other real images, ``[K, F]``.
    """
    count = len(reference)
    numbers = drawn.images[:count]

    def rival(using: Context) -> torch.Tensor:
        begun = time.perf_counter()
        samples = using.render("swept", level, h[:count], numbers.tolist(), range(SWEPT_SAMPLES))
        seconds = (time.perf_counter() - begun) / (count * SWEPT_SAMPLES)
        pictures, variance = samples[:, 0], samples.double().var(1).flatten(1).mean(1)
        ranks = retrieval_ranks(run.encode(pictures)[level], h, torch.arange(count)).double()
        frechet = frechet_contributions(run.look(pictures)[0], reference)
        return torch.stack([ranks, frechet, variance, torch.full_like(frechet, seconds)])

    assert run.decoder is not None
    assert run.space is not None
    known = (run.decoder.fingerprint, level, run.space.fingerprint, drawn.gallery.tolist(), drawn.reference.tolist())
    for solver, steps in run.each(run.settings.rivals, "comparing solvers"):
        using = under(run, solver, steps)
        at_one_go = partial(rival, replace(using, stages=Stages(None)))  # for its time is taken
        ranks, frechet, variance, seconds = run.kept(f"swept-{solver}-{steps}", at_one_go, *known, using.settings)
        way = setting(solver, steps)
        for name, values in {"rank": ranks, "frechet": frechet, "variance": variance}.items():
            yield run.records(f"swept_{name}", values, numbers, level, **way)
        yield run.records("seconds", seconds[:1], [-1], level, **way)


def drawn_by_solvers(run: Context, level: str, h: torch.Tensor, numbers: np.ndarray) -> dict[str, torch.Tensor]:
    """Samples of the first images under several solvers: of each the fewest and the most steps, and the chosen ones."""
    rivals, pictures = run.settings.rivals, {}
    for solver in dict(rivals):
        known = [steps for name, steps in rivals if name == solver]
        chosen = {run.settings.steps} if solver == run.settings.solver else set()
        for steps in sorted({min(known), max(known)} | chosen):
            drawn = under(run, solver, steps).render("solvers", level, h[: len(numbers)], numbers.tolist())
            pictures[f"{solver} ({steps})"] = drawn[:, 0]
    return pictures


def under(run: Context, solver: str, steps: int) -> Context:
    """The context, drawing by another solver."""
    return replace(run, settings=replace(run.settings, solver=solver, steps=steps))


def samples_panel(images: torch.Tensor, samples: Mapping[str, torch.Tensor]) -> Panel:
    """Images, and a sample of each by encoder and level, ``[N, 3, S, S]``; all at the largest size that is drawn at."""
    return in_columns("samples", max(of.shape[-1] for of in samples.values()), {"image": images, **samples})


# Tables
#
# Every number is a mean (or a median) over images of what was recorded of each, so that one bootstrap over images
# serves them all: Frechet distances and Inception scores too, which are recorded as contributions whose mean is the
# value. Where samples stand beside real images, or one solver beside another, they are resampled together.


def by_level(found: Found, *measures: str) -> dict[tuple[str, str], pd.DataFrame]:
    """The rows of these measures by encoder (`REAL` for real images, which come first) and level."""
    chosen = found.measured(*measures)
    chosen = chosen.assign(encoder=chosen["encoder"].where(chosen["condition"] != REAL, REAL))
    return dict(iter(chosen.groupby(["encoder", "level"], sort=False)))


def values_of(rows: pd.DataFrame, measure: str) -> Array:
    """Values of a measure, ``[N]``, images ascending."""
    return measured(rows, measure).sort_values("image")["value"].to_numpy()


def ranks(found: Found) -> pd.DataFrame:
    """Where an image comes among the gallery, seen from its sample.

    One row an (``encoder``, ``level``): ``mrr``, ``mean_rank`` and ``median_rank``; the MRR of the floors:
    ``shuffled``, of samples of other images, and ``mean_h``, of samples from the mean h; ``images``.
    """
    of = {
        "mrr": "sample_rank", "mean_rank": "sample_rank", "median_rank": "sample_rank",
        "shuffled": "shuffled_rank", "mean_h": "mean_h_rank",
    }  # fmt: skip
    statistics = dict.fromkeys(of, mean_reciprocal) | {"mean_rank": mean_rank, "median_rank": median}
    rows = {
        key: found.intervals({name: values_of(group, measure) for name, measure in of.items()}, statistics)
        for key, group in by_level(found, *of.values()).items()
    }
    return tabulate(rows, ("encoder", "level"), tuple(of))


def spreads(found: Found) -> pd.DataFrame:
    """Whether samples of one h vary as images that share it would, factor by factor; no rows where it was not asked.

    One row an (``encoder``, ``level``, ``factor``): ``held``, the share of images that lie between the lowest and the
    highest of their samples; ``expected``, what it should be; ``place``, the mean place of an image among its samples,
    0 below all and 1 above (0.5 where nothing is shifted); ``p_value`` of a chi-squared test that places are uniform,
    ``p_holm`` corrected over all rows; ``told``, what follows; ``images``.
    """
    most, rows = found.settings.spread_samples, {}
    for key, group in found.measured("place").groupby(["encoder", "level", "condition"], sort=False):
        places = values_of(group, "place")
        rows[key] = {
            "held": found.interval(1.0 * ((places > 0) & (places < most)), share),
            "place": found.interval(places / most, share),
            "p_value": uniformity(places, most, seed=found.settings.seed),
        }
    keys = ("encoder", "level", "factor")
    table = tabulate(rows, keys, ("held", "place"), ("p_value", "p_holm"))
    table = table.assign(p_holm=holm(table["p_value"]), expected=(most - 1) / (most + 1))
    return table.assign(told=[told_of(row) for _, row in table.iterrows()])


def uniformity(places: Array, among: int, *, seed: int, draws: int = 4999) -> float:
    """The p-value of Pearson's chi-squared that places ``[N]``, whole numbers from 0 to ``among``, are uniform.

    By simulation: there may be few images for so many places. NaN without any.
    """
    if len(places) == 0:
        return np.nan
    expected = np.full(among + 1, len(places) / (among + 1))
    null = np.random.default_rng(seed).multinomial(len(places), expected / len(places), size=draws)
    counts = np.bincount(places.astype(int), minlength=among + 1)
    far, reached = (np.square(found - expected).sum(-1) for found in (null, counts))
    return float((1 + (far >= reached - 1e-9).sum()) / (1 + draws))


def told_of(row: pd.Series) -> str:
    """What the places of images among their samples say of the decoder's spread."""
    if row["images"] < FEWEST:
        return "too few"
    if not row["p_holm"] < ERROR_RATE:
        return "nothing found"
    if not row["place_low"] <= 0.5 <= row["place_high"]:
        return "shifted"
    if row["held_low"] <= row["expected"] <= row["held_high"]:
        return "uneven"
    return "too narrow" if row["held"] < row["expected"] else "too wide"


def guidance(found: Found) -> pd.DataFrame:
    """What steering samples towards h brings, factor by factor; no rows where it was not asked.

    One row an (``encoder``, ``level``, ``factor``): agreement with the image, accuracy for the class and R2 for others,
    of samples as they are, ``plain``, and of ``guided`` ones; ``gain``, image by image from equal noise; Wilcoxon's
    ``p_value`` and ``p_holm``, corrected over all rows; the floors, steered as well: ``shuffled``, the guided samples
    of other images, and ``mean_h``, samples towards the mean h; ``images``. ``MRR`` is among the factors.
    """
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    of = {"plain": "plain", "guided": "guided", "shuffled": "guided_shuffled", "mean_h": "guided_mean_h"}
    measures = [f"{measure}_rank" for measure in of.values()]
    for key, group in found.measured(*measures).groupby(["encoder", "level"], sort=False):
        ranks = {name: values_of(group, f"{measure}_rank") for name, measure in of.items()}
        floors = {name: evaluate(mean_reciprocal, ranks.pop(name)) for name in ("shuffled", "mean_h")}
        gain = 1 / ranks["guided"] - 1 / ranks["plain"]
        rows[*key, "MRR"] = found.intervals(ranks, mean_reciprocal) | gained(found, gain) | floors
    read = found.measured("true", "plain", "guided", "guided_mean_h")
    read = read.assign(factor=read["condition"].str.removesuffix(".cos").str.removesuffix(".sin"))
    for (*key, factor), group in read.groupby(["encoder", "level", "factor"], sort=False):
        values = {name: by_image(part, "condition").to_numpy() for name, part in group.groupby("measure")}
        true, of_mean, classes = values.pop("true"), values.pop("guided_mean_h"), factor == "class"
        floors = {
            "shuffled": of_others(true, values["guided"][:, None], classes=classes, paired=True),
            "mean_h": of_others(true, of_mean[:, None], classes=classes, paired=False),
        }
        if classes:
            hits = {name: 1.0 * (of == true)[:, 0] for name, of in values.items()}
            scores = found.intervals(hits, share)
            gain = hits["guided"] - hits["plain"]
        else:
            scores = found.intervals({name: np.stack([true, of], axis=-1)[:, None] for name, of in values.items()}, r2)
            errors = {name: np.square(of - true).sum(1) for name, of in values.items()}
            gain = (errors["plain"] - errors["guided"]) / np.square(true - true.mean(0)).sum(1).mean()
        rows[*key, factor] = {name: scores[name] for name in ("plain", "guided")} | gained(found, gain) | floors
    last = ("p_value", "p_holm", "shuffled", "mean_h")
    table = tabulate(rows, ("encoder", "level", "factor"), ("plain", "guided", "gain"), last)
    return corrected(found, table)


def corrected(found: Found, table: pd.DataFrame) -> pd.DataFrame:
    """The table with p-values, Holm-corrected over what is under study: real images and the floor claim nothing."""
    return table.assign(p_holm=holm(table["p_value"].where(table["encoder"].isin(found.encoders))))


def gained(found: Found, gain: Array) -> dict[str, Any]:
    """A mean gain over images, and its test."""
    return {"gain": found.interval(gain, mean), "p_value": signed_rank(gain)}


def sets(found: Found) -> pd.DataFrame:
    """Samples as a set, level by level, the real images that they were drawn of first.

    One row an (``encoder``, ``level``): ``frechet``; ``excess``, how much larger it is than that of the real images,
    paired with them (0 for a perfect decoder); ``inception_score`` (NaN where the feature space has no classes);
    ``precision``; ``recall``; ``images``.
    """
    rows, floor, measures = {}, None, ("frechet", "inception_score", "precision", "recall")
    statistics = {**dict.fromkeys(("excess", *measures), mean), "precision": share, "recall": share}
    for key, group in by_level(found, *measures).items():
        values = {name: values_of(group, name) for name in measures}
        floor = values["frechet"] if floor is None else floor
        values["excess"] = values["frechet"] - floor
        rows[key] = found.intervals(values, statistics)
    return tabulate(rows, ("encoder", "level"), ("frechet", "excess", *measures[1:]))


def copies(found: Found) -> pd.DataFrame:
    """Whether samples are copies of training images; no rows where none were at hand.

    One row an (``encoder``, ``level``), real images first: ``distance`` from the nearest training image, mean;
    ``ratio`` to that of the real images, of means, paired; ``share`` of pictures whose nearest image is one that was
    trained on, not one of as many that were not (0.5 for a decoder that does not recall; a tie counts one half);
    ``closest``, the share nearer to a training image than any of the real images is, and ``surplus``, by how much it
    exceeds the share that is as near to one of the others (0 for a decoder that does not recall); Wilcoxon's
    ``p_value`` of the surplus and ``p_holm``, corrected over the levels; ``images``.
    """
    rows, real = {}, None
    for key, group in by_level(found, "nearest_training", "nearest_held_out").items():
        wide = by_image(group, "measure")
        near, other = wide["nearest_training"].to_numpy(), wide["nearest_held_out"].to_numpy()
        real = near if real is None else real
        closest = 1.0 * (near < real.min())
        rows[key] = {
            "distance": found.interval(near, mean_size),
            "ratio": found.interval(np.stack([near, real], 1), ratio),
            "share": found.interval((near < other) + 0.5 * (near == other), share),
            "closest": found.interval(closest, share),
            "surplus": found.interval(surplus := closest - (other < real.min()), mean),
            "p_value": signed_rank(surplus),
        }
    names = ("distance", "ratio", "share", "closest", "surplus")
    return corrected(found, tabulate(rows, ("encoder", "level"), names, ("p_value", "p_holm")))


def solvers(found: Found) -> pd.DataFrame:
    """Solvers and numbers of steps, each beside the chosen one, image by image from equal noise.

    One row a (``solver``, ``steps``), the chosen one first: ``mrr``, ``mean_rank``, ``frechet``; ``seconds`` a picture;
    ``gain`` in MRR over the chosen one; ``variance`` within h over that of the chosen one; Wilcoxon's ``p_value`` on
    the reciprocal ranks and ``p_holm``, corrected over all the others; the rank-biserial ``effect`` (all NaN for the
    chosen one); ``images``.
    """
    rows, swept = {}, found.measured("swept_rank", "swept_frechet", "swept_variance", "seconds")
    chosen = (swept["condition"] == found.settings.solver) & (swept["strength"] == found.settings.steps)
    before = by_image(swept[chosen & (swept["image"] >= 0)], "measure")
    for (solver, steps), group in swept[swept["condition"] != REAL].groupby(["condition", "strength"], sort=False):
        itself = (solver, steps) == (found.settings.solver, found.settings.steps)
        wide = by_image(group[group["image"] >= 0], "measure")
        own = wide["swept_rank"].to_numpy()
        gain = 1 / own - 1 / before["swept_rank"].to_numpy()
        rows[solver, int(steps)] = {
            "mrr": found.interval(own, mean_reciprocal),
            "mean_rank": found.interval(own, mean_rank),
            "frechet": found.interval(wide["swept_frechet"], mean_size),
            "gain": found.interval(gain, mean),
            "variance": found.interval(np.stack([wide["swept_variance"], before["swept_variance"]], 1), ratio),
            "seconds": values_of(group, "seconds").item(),
            "p_value": np.nan if itself else signed_rank(gain),
            "effect": np.nan if itself else rank_biserial(gain),
        }
    plain = ("seconds", "p_value", "p_holm", "effect")
    table = tabulate(rows, ("solver", "steps"), ("mrr", "mean_rank", "frechet", "gain", "variance"), plain)
    return table.assign(p_holm=holm(table["p_value"]))


def solvers_floor(found: Found) -> Estimate:
    """The Frechet distance of the real images that solvers are compared on."""
    rows = found.measured("swept_frechet")
    return found.interval(values_of(rows[rows["condition"] == REAL], "swept_frechet"), mean_size)


# The page


def of_samples(found: Found, name: str) -> pd.DataFrame:
    """The rows of a table that are of samples from an encoder under study: not of real images, nor of the floor."""
    return found.tables[name][found.tables[name]["encoder"].isin(found.encoders)]


def trust(found: Found) -> str:
    """How far the decoder is to be trusted, in a paragraph."""
    ranked = found.tables["ranks"].sort_values("mrr", ascending=False)
    floor = rows_where(ranked, encoder=UNTRAINED)
    ranked = ranked[ranked["encoder"].isin(found.encoders)]
    compared, copied = (of_samples(found, name) for name in ("sets", "copies"))
    best, worst, gallery = ranked.iloc[0], ranked.iloc[-1], found.run["study_card"]["gallery"]
    beyond = (copied["surplus_low"] > 0) & (copied["p_holm"] < ERROR_RATE)
    recalled = copied[beyond].sort_values("surplus", ascending=False, kind="stable")
    told = {
        "distance": found.run["features_card"]["distance"],
        "gallery": f"{gallery:,}",
        "chance": f"{(gallery + 1) / 2:,.1f}",
        "best": place(best),
        "best_rank": number(best["median_rank"], 0),
        "best_mrr": cell(best, "mrr"),
        "worst": place(worst),
        "worst_rank": number(worst["median_rank"], 0),
        "worst_mrr": cell(worst, "mrr"),
        "floor": cell(floor.iloc[0], "mrr") if len(floor) else "",
        "ends": " to ".join(dict.fromkeys(number(compared["frechet"].agg(end)) for end in ("min", "max"))),
        "real": cell(found.tables["sets"].iloc[0], "frechet"),
        "off": (compared["excess_low"] > 0).sum(),
        "levels": len(compared),
        "recalled": listed([place(row) for _, row in recalled.sort_index().iterrows()]),
        "most": cell(recalled.iloc[0], "surplus") if len(recalled) else "",
    }
    copies = ["copies" if len(recalled) else "no copies"] if len(copied) else []
    beside = [*(["worst"] if len(ranked) > 1 else []), *(["floor"] if found.has_floor else [])]
    chosen = ["best", *beside, "sets", *copies, "shared"]
    parts = found.probe.wording.parts("trust")
    return " ".join(parts[part].format_map(told) for part in chosen)


def place(row: pd.Series) -> str:
    """Encoder and level of a row."""
    return f"{row['encoder']}/{row['level']}"


def evidence(compared: pd.DataFrame) -> str:
    """What the comparison of solvers says of the setting that was used."""
    chosen, others = compared.iloc[0], compared.iloc[1:]
    sure = others["p_holm"] < ERROR_RATE
    better, worse = others[sure & (others["gain_low"] > 0)], others[sure & (others["gain_high"] < 0)]
    cheaper = others[~others.index.isin(worse.index) & ~(others["variance_high"] < 1)]
    cheaper = cheaper[cheaper["seconds"] < chosen["seconds"]]
    other, end = chosen, "none cheaper"
    if len(better):
        other, end = better.loc[better["gain"].idxmax()], "better"
    elif len(cheaper):
        other, end = cheaper.loc[cheaper["seconds"].idxmin()], "cheaper"
    times = other["seconds"] / chosen["seconds"]
    parts = PROBE.wording.parts("evidence")
    about = {"mrr": cell(chosen, "mrr"), "others": len(others), "better": len(better), "worse": len(worse)}
    about |= {"gain": cell(other, "gain"), "times": number(times, 1), "share": f"{times:.0%}", "error_rate": ERROR_RATE}
    return (parts["comparison"] + parts[end]).format(chosen=setting_of(chosen), other=setting_of(other), **about)


def setting_of(row: pd.Series) -> str:
    """Solver and steps of a row, in a sentence."""
    return f"{row['solver']} with {row['steps']} steps"


def on_solvers(found: Found) -> Iterator[Block]:
    """What the comparison says, where there is one."""
    if len(table := found.tables["solvers"]):
        yield blocks.text(evidence(table))


def levels_figure(found: Found) -> Figure:
    """Ranks and sets, level by level."""
    compared, distance = found.tables["sets"], found.run["features_card"]["distance"]
    return draw_levels(
        found.tables["ranks"].merge(compared[compared["encoder"] != REAL], on=["encoder", "level"]),
        titles={"mrr": "MRR", "frechet": distance, "precision": "precision", "recall": "recall"},
        floor=compared.iloc[0],
        chance={"mrr": chance(found.run["study_card"]["gallery"])},
    )


def solvers_figure(found: Found) -> Figure:
    """What more steps buy, and what they cost."""
    chosen, distance = (found.settings.solver, found.settings.steps), found.run["features_card"]["distance"]
    return draw_solvers(found.tables["solvers"], chosen=chosen, floor=solvers_floor(found), distance=distance)


def spread_figure(found: Found) -> Figure:
    """Where images lie among their samples."""
    places = found.measured("place")
    return draw_places(places, among=found.settings.spread_samples, labels=SHORT_LABELS)


def copies_figure(found: Found) -> Figure:
    """Distances from training images."""
    return draw_copies(found.measured("nearest_training"), found.tables["copies"], real=REAL)


def chance(gallery: int) -> float:
    """MRR of a random order of the gallery."""
    return sum(1 / rank for rank in range(1, gallery + 1)) / gallery


def printed(name: str, *paired: str) -> Any:
    """A table with encoder and level in one cell, and real images without the numbers that are over themselves."""

    def of(found: Found) -> pd.DataFrame:
        table = found.tables[name]
        named = [f"{row['encoder']} {row['level']}".strip() for _, row in table.iterrows()]
        return without(table.assign(pictures=named), table["encoder"] == REAL, *paired)

    return of


def in_order(name: str) -> Any:
    """A table with its factors in their order, as printed, and encoder and level in one cell."""

    def of(found: Found) -> pd.DataFrame:
        table = in_factor_order(found.tables[name], "MRR")
        table = table.assign(
            pictures=[place(row) for _, row in table.iterrows()], factor=table["factor"].map(factor_label)
        )
        return table.sort_values("pictures", kind="stable")

    return of


def printed_spreads(found: Found) -> pd.DataFrame:
    """`spreads` in order; places with digits that show on which side of the middle they lie."""
    table = in_order("spreads")(found)
    return table.assign(place=[cell(row, "place", bound=0.5) for _, row in table.iterrows()])


def printed_solvers(found: Found) -> pd.DataFrame:
    """`solvers` as read: the chosen one gains nothing over itself; times in milliseconds."""
    table = found.tables["solvers"]
    named = [f"{row['solver']} {row['steps']}" for _, row in table.iterrows()]
    table = table.assign(setting=named, ms=1000 * table["seconds"])
    return without(table, table.index == 0, "gain", "variance").drop(columns=["mean_rank_low", "mean_rank_high"])


def without(table: pd.DataFrame, rows: Any, *names: str) -> pd.DataFrame:
    """The table without some numbers in some rows."""
    hidden = {name: table[name].mask(rows) for name in headings(*names)}
    return table.assign(**hidden)


def overview(found: Found) -> pd.DataFrame:
    """Ranks and sets in one table, intervals below their numbers, as six columns fit a terminal."""
    table = printed("sets")(found).merge(found.tables["ranks"], how="left", on=["encoder", "level"])
    stacked = {
        name: [cell(row, name).replace(" [", "\n[", 1) for _, row in table.iterrows()] for name in ("mrr", "frechet")
    }
    return table.assign(**stacked, median_rank=[number(rank, 0) for rank in table["median_rank"]])


def names(found: Found) -> dict[str, Any]:
    """What the words tell besides."""
    space, training, gallery = (found.run[f"{name}_card"] for name in ("features", "training", "study"))
    count, distance, score, said = gallery["gallery"], space["distance"], space["score"], PROBE.wording.parts("told")
    swept = solvers_floor(found) if len(found.tables["solvers"]) else None
    return {
        "distance": distance,
        "score": score,
        "dimension": space["dimension"],
        "gallery": f"{count:,}",
        "middle": f"{(count + 1) / 2:,.1f}",
        "chance": f"{chance(count):.3f}",
        "count": f"{gallery['images']:,}",
        "few": min(LEAST, gallery["images"]),
        "guided": min(found.settings.guided, gallery["images"]),
        "among": f"{training.get('compared', 0):,}",
        "trained": f"{training.get('total', 0):,}",
        "training": training.get("name", ""),
        "why": training.get("missing", "") or "--compared says among how many to look.",
        "floor": swept,
        "on": swept.n if swept else 0,
        "at_once": min(SWEPT_SAMPLES * swept.n, found.settings.batch_size) if swept else 0,
        "not_fid": "" if distance == "FID" else said["not FID"].format(distance),
        "of_copies": said["copies"] if len(found.tables["copies"]) else "",
        "of_classes": said["classes"].format(score) if score else "",
    }


PROBE = Probe(
    "fidelity",
    Fidelity,
    measure,
    ready,
    names,
    needs=Needs(encoders="several", decoder="must", judge=True, features=True, whole=True, images=2 * LEAST),
    images=lambda settings: max(settings.gallery, 2 * settings.images, settings.images + settings.compared),
    tables=named(ranks, sets, copies, solvers, spreads, guidance),
    printed={
        "sets": printed("sets", "excess"),
        "copies": printed("copies", "ratio", "closest", "surplus"),
        "solvers": printed_solvers,
        "spreads": printed_spreads,
        "guidance": in_order("guidance"),
        "overview": overview,
    },
    gist=trust,
    page={
        "": [Show("figure", "levels", levels_figure)],
        "Samples from every level": [
            Show("panel", "samples"),
            Show("table", "ranks"),
            Show("table", "sets"),
            Show("missing", "score", when=lambda found: not found.run["features_card"]["score"]),
        ],
        "Do samples vary as they should?": [
            Show("missing", "spread", of="spreads"),
            Show("figure", "spread", spread_figure, of="spreads"),
            Show("table", "spreads"),
        ],
        "What the decoder missed": [
            Show("missing", "guidance", when=lambda found: not found.settings.guided),
            Show("table", "guidance"),
        ],
        "Solver and steps": [
            Show("missing", "solvers", of="solvers"),
            on_solvers,
            Show("figure", "solvers", solvers_figure, of="solvers"),
            Show("table", "solvers"),
            Show("panel", "drawn_by_solvers"),
        ],
        "Recalling, or generating?": [
            Show("missing", "copies", of="copies"),
            Show("text", "copies", of="copies"),
            Show("figure", "copies", copies_figure, of="copies"),
            Show("table", "copies"),
            Show("panel", "nearest_training"),
        ],
    },
    compared={
        "sample_rank": Compared(mean_reciprocal, ("gallery",)),
        "guided_rank": Compared(mean_reciprocal, ("gallery",)),
        "frechet": Compared(rests_on=("features",), shares=True, whole=True, called="squared Frechet distance"),
        "inception_score": Compared(rests_on=("features",), shares=True, whole=True),
        "precision": Compared(share, ("features",), whole=True),
        "recall": Compared(share, ("features",), whole=True),
    },
    quick={
        "images": 30,
        "gallery": 1000,
        "compared": 2000,
        "swept_images": 20,
        "spread": 24,
        "swept": (("sde-dpmsolver++", 4), ("sde-dpmsolver++", 12), ("dpmsolver++", DEFAULT_STEPS)),
    },
    shown_in={0: ("levels", "ranks", "sets", "solvers", "copies", "table copies", "nearest-training")},
)
