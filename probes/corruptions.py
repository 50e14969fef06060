"""Whether common corruptions move some encoders less than others: noise, blur, weather, compression; five severities.

After Hendrycks and Dietterich (2019), beside the small adversarial perturbations of finding 3, with which this need not
agree. Lengths are fractions of the image's width, so that they mean the same at every size;
noise, blocks and compression are of pixels.

[bold]Examples[/]

rcdm-probe corruptions

rcdm-probe corruptions --encoder timm/resnet18 --reference timm/resnet50 --data photos/ --corruption fog
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import kornia.enhance as enhance
import pandas as pd
import torch
import torch.nn.functional as F
from kornia.filters import filter2d
from kornia.geometry.transform import elastic_transform2d

from analyses.digits import fixed
from analyses.findings import rule_of_gain, word_of_gain
from analyses.paired import holm, rank_biserial, signed_rank
from analyses.records import right_images
from analyses.statistics import Statistic, mean, median, share
from analyses.tables import estimate_of, measured, tabulate
from probes.probe import Compared, Found, Judgement, Needs, Probe, Settings, Show, check_names, option
from probes.scale import MOVED, Scale, check_others, unit_error
from probes.transformations import Transformation, warp
from rcdm_core.linear_classifier import LinearClassifier, fit_classifier
from rcdm_core.representations import fitting
from reports.panels import Panel
from reports.style import LEGEND, NORMAL, TEXT_WIDTH, encoder_looks, legend_below, new_figure, theme
from reports.tables import cell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from matplotlib.figure import Figure

    from probes.context import Context
    from probes.image_draws import ImageDraws

LEAST = 20  # images
SEVERITIES = 5
ACROSS, _PLOT = 5, 30.0  # plots in a row; mm for each row
_TURNS = 9  # positions that a moving or zooming image is averaged over


# The corruptions: images [N, 3, H, W], strength, draws -> images, which may overshoot [0, 1]


def _gaussian_noise(images: torch.Tensor, sigma: float, draws: ImageDraws) -> torch.Tensor:
    return images + sigma * draws.normal(*images.shape[1:]).to(images)


def _shot_noise(images: torch.Tensor, photons: float, draws: ImageDraws) -> torch.Tensor:
    """Photons counted, ``photons`` of them in a white pixel: Poisson, by its inverse distribution function."""
    counted = torch.zeros_like(images)
    chance = draws.uniform(*images.shape[1:]).to(images)
    rate = images.clamp(0, 1) * photons
    term, reached = torch.exp(-rate), torch.exp(-rate)
    for count in range(1, math.ceil(photons + 10 * photons**0.5)):
        counted += chance > reached
        term = term * rate / count
        reached = reached + term
    return counted / photons


def _impulse_noise(images: torch.Tensor, share: float, draws: ImageDraws) -> torch.Tensor:
    chance = draws.uniform(*images.shape[1:]).to(images)
    return torch.where(chance < share / 2, 0.0, torch.where(chance > 1 - share / 2, 1.0, images))


def _defocus_blur(images: torch.Tensor, radius: float, draws: ImageDraws) -> torch.Tensor:
    """Averaged over a disk of ways to move, parts of pixels taken in as linear interpolation does."""
    pixels = radius * images.shape[-1]
    reach = math.ceil(pixels)
    moves = torch.linspace(-pixels, pixels, 8 * reach + 1)
    disk = (moves[:, None].square() + moves.square() <= pixels**2).float()
    shares = (1 - (torch.arange(-reach, reach + 1)[:, None] - moves).abs()).clamp(min=0)
    kernel = (shares @ disk @ shares.T)[None]
    return filter2d(images, kernel.to(images), border_type="replicate", normalized=True)


def _motion_blur(images: torch.Tensor, length: float, draws: ImageDraws) -> torch.Tensor:
    """Averaged along a way of ``length`` times the width, in a direction of the image's own."""
    angle = math.pi * draws.uniform(1)
    way = torch.cat([angle.cos(), angle.sin()], 1) * length * images.shape[-1]
    return torch.stack([warp(images, shift=at * way) for at in torch.linspace(-0.5, 0.5, _TURNS)]).mean(0)


def _zoom_blur(images: torch.Tensor, zoom: float, draws: ImageDraws) -> torch.Tensor:
    return torch.stack([warp(images, scale=1 + zoom * float(at)) for at in torch.linspace(0, 1, _TURNS)]).mean(0)


def _fog(images: torch.Tensor, density: float, draws: ImageDraws) -> torch.Tensor:
    """Clouds, whose amplitude falls with their frequency, added; then all is as bright as it was at its brightest."""
    height, width = images.shape[-2:]
    frequency = torch.fft.fftfreq(height)[:, None].square() + torch.fft.rfftfreq(width).square()
    amplitude = torch.where(frequency > 0, frequency, torch.inf) ** -0.75
    clouds = torch.fft.irfft2(torch.fft.rfft2(draws.normal(1, height, width)) * amplitude, s=(height, width))
    low, high = clouds.amin((1, 2, 3), keepdim=True), clouds.amax((1, 2, 3), keepdim=True)
    bright = images.amax((1, 2, 3), keepdim=True)
    return (images + density * ((clouds - low) / (high - low)).to(images)) * bright / (bright + density)


def _snow(images: torch.Tensor, amount: float, draws: ImageDraws) -> torch.Tensor:
    """Flakes that fall, over an image that has lost some of its contrast and colour."""
    height, width = images.shape[-2:]
    grains = F.interpolate(draws.normal(1, max(2, height // 3), max(2, width // 3)), (height, width), mode="bilinear")
    flakes = _motion_blur((grains - (2.2 - 2 * amount)).clamp(0, 1).to(images), 0.06, draws)
    pale = torch.maximum(images, 0.5 + images.mean(1, keepdim=True) / 2)
    return torch.lerp(images, pale, 0.6 * amount) + flakes


def _pixelate(images: torch.Tensor, block: float, draws: ImageDraws) -> torch.Tensor:
    size = images.shape[-2:]
    small = F.interpolate(images, [max(1, round(side / block)) for side in size], mode="area")
    return F.interpolate(small, size, mode="area")


def _jpeg(images: torch.Tensor, quality: float, draws: ImageDraws) -> torch.Tensor:
    return enhance.jpeg_codec_differentiable(images, torch.full((len(images),), quality).to(images))


def _contrast(images: torch.Tensor, kept: float, draws: ImageDraws) -> torch.Tensor:
    return enhance.adjust_contrast_with_mean_subtraction(images, kept)


def _elastic(images: torch.Tensor, amplitude: float, draws: ImageDraws) -> torch.Tensor:
    """Moved here and there, smoothly over a sixteenth of the width, by some ``amplitude`` of it."""
    sigma = images.shape[-1] / 16
    size = 2 * math.ceil(2 * sigma) + 1
    calm = 2 * math.pi**0.5 * sigma  # what a Gaussian of this width leaves of noise is 1 / calm
    return elastic_transform2d(
        images, draws.normal(2, *images.shape[-2:]).to(images), (size, size), (sigma, sigma),
        (2 * amplitude * calm,) * 2, align_corners=True, padding_mode="border",
    )  # fmt: skip


_KNOWN: tuple[tuple[str, str, tuple[float, ...], Callable[..., torch.Tensor]], ...] = (
    ("Gaussian noise", "sigma", (0.08, 0.12, 0.18, 0.26, 0.38), _gaussian_noise),
    ("shot noise", "photons", (60.0, 25.0, 12.0, 5.0, 3.0), _shot_noise),
    ("impulse noise", "share", (0.03, 0.06, 0.09, 0.17, 0.27), _impulse_noise),
    ("defocus blur", "radius", (0.013, 0.018, 0.027, 0.036, 0.045), _defocus_blur),
    ("motion blur", "length", (0.05, 0.08, 0.11, 0.14, 0.18), _motion_blur),
    ("zoom blur", "zoom", (0.11, 0.16, 0.21, 0.26, 0.31), _zoom_blur),
    ("snow", "amount", (0.2, 0.35, 0.5, 0.65, 0.8), _snow),
    ("fog", "density", (0.5, 1.0, 1.5, 2.0, 2.5), _fog),
    ("brightness", "added", (0.1, 0.2, 0.3, 0.4, 0.5), lambda images, added, draws: images + added),
    ("contrast", "kept", (0.4, 0.3, 0.2, 0.1, 0.05), _contrast),
    ("elastic", "amplitude", (0.005, 0.01, 0.015, 0.02, 0.03), _elastic),
    ("pixelate", "block, pixels", (2.0, 3.0, 4.0, 6.0, 8.0), _pixelate),
    ("JPEG", "quality", (25.0, 18.0, 15.0, 10.0, 7.0), _jpeg),
)
CORRUPTIONS = {
    (name := label.lower().replace(" ", "_")): Transformation(name, label, unit, doses, doses[2], function)
    for label, unit, doses, function in _KNOWN
}
"""Corruptions by name; their five doses are the severities.

Strengths are those of ImageNet-C (Hendrycks and Dietterich 2019), as fractions of the image where they are lengths, for
noise, defocus and zoom blur, brightness, contrast and JPEG; those of the others are like them."""


# What is measured


@dataclass(frozen=True, kw_only=True)
class Corruptions(Settings):
    """What images are corrupted by, and how many."""

    reference: str = option("supervised", "Encoder that each other one is compared with.", metavar="NAME")
    corruptions: tuple[str, ...] = option(
        tuple(CORRUPTIONS),
        f"Corruption to apply, may be repeated; by default all: {', '.join(CORRUPTIONS)}.",
        flag="corruption", short="c", metavar="NAME",
    )  # fmt: skip
    images: int = option(300, "Images that are corrupted.", short="n", least=LEAST, metavar="N")
    gallery: int = option(
        2000, "Other images: they give the unit of distances, and train the classifiers.", least=LEAST, metavar="M"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_names("corruptions", "corruption", self.corruptions, CORRUPTIONS)


def ready(run: Context, settings: Corruptions) -> None:
    """Refuse too few images."""
    check_others(run.images, settings.images, "corrupted")


@dataclass(frozen=True, eq=False)
class Looker:
    """An encoder that looks at corrupted images, and what they are held against.

    Attributes:
        run: A context of the encoder.
        level: Level that is looked at.
        h: Representations of the images untouched, ``[N, D]``.
        scale: What displacements are counted in, of other images.
        classifier: The linear classifier on the level; None without labels of two classes.
    """

    run: Context
    level: str
    h: torch.Tensor
    scale: Scale
    classifier: LinearClassifier | None

    @property
    def measures(self) -> tuple[str, ...]:
        """What `look` tells, in order."""
        return (*MOVED, "correct") if self.classifier else MOVED

    def look(self, h: torch.Tensor, rows: torch.Tensor, labels: torch.Tensor | None) -> dict[str, torch.Tensor]:
        """Numbers ``[n]`` on representations of these rows of the images, corrupted."""
        seen = self.scale.displacements(h, self.h[rows])
        if self.classifier is not None and labels is not None:
            seen["correct"] = (self.classifier.logits(h).argmax(1) == labels[rows]).double()
        return seen


def looker(run: Context, chosen: np.ndarray, others: np.ndarray) -> Looker:
    """The encoder of a context of one, with what other images say about it."""
    (level,), seed = run.levels, run.settings.seed
    apart, classifier = run.represent(others)[level], None
    labels = None if run.images.labels is None else torch.tensor(run.images.labels[others])
    if labels is not None and len(labels.unique()) > 1:  # of one class alone, displacements are measured
        classifier = fit_classifier(apart, labels, len(run.images.class_names), seed=seed)
    return Looker(run, level, run.represent(chosen)[level], Scale.of(apart, seed), classifier)


def measure(run: Context, settings: Corruptions) -> Iterator[pd.DataFrame | Panel]:
    """Corrupt every image in every way and severity, and see what becomes of its representations.

    =========================  ========================================================================================
    measure                    value, one an image; ``condition``: the corruption; ``strength``: the severity, 1 to 5
    =========================  ========================================================================================
    ``relative_displacement``  distance of h(corrupted) from h(x), over the median distance of two other images
    ``whitened_displacement``  the same where every direction of h varies alike over other images
    ``correct``                whether the linear classifier sees the true class; of x itself without condition, at 0
    ``unit_error``             of no image: standard error of the unit as a share of it; the displacement counted in it
    =========================  ========================================================================================
    """
    drawn = run.draw(settings.images + settings.gallery)
    chosen, others = drawn[: settings.images], drawn[settings.images :]
    lookers = [looker(one, chosen, others) for one in run.each_encoder()]
    labels = None if run.images.labels is None else torch.tensor(run.images.labels)[chosen]
    for one in lookers:
        yield from one.scale.error_records(one.run, one.level)
        if "correct" in (seen := one.look(one.h, torch.arange(len(chosen)), labels)):
            yield one.run.records("correct", seen["correct"], chosen, one.level, strength=0)

    size = min(fitting(settings.batch_size, encoder, run.images.image_size) for encoder in run.encoders)

    def corrupted(name: str) -> Iterator[pd.DataFrame]:
        # Numbers are written where they belong: kept one by one, they would lie between what images have taken, and
        # keep glibc's allocator from using the memory of these again.
        doses = CORRUPTIONS[name].doses
        found = [torch.empty(len(one.measures), len(doses), len(chosen), dtype=torch.float64) for one in lookers]
        for rows in torch.arange(len(chosen)).split(size):
            images, numbers = run.images.images(chosen[rows]), chosen[rows].tolist()
            for place, dose in enumerate(doses):
                pictures = CORRUPTIONS[name].apply(images, dose, settings.seed, numbers=numbers)
                for one, every in zip(lookers, found, strict=True):
                    seen = one.look(one.run.encode(pictures)[one.level], rows, labels)
                    every[:, place, rows] = torch.stack([seen[measure] for measure in one.measures])
        for one, every in zip(lookers, found, strict=True):
            for measure, by_dose in zip(one.measures, every, strict=True):
                for severity, values in enumerate(by_dose, 1):
                    yield one.run.records(measure, values, chosen, one.level, name, strength=severity)

    def moved_by(name: str) -> pd.DataFrame:
        return run.kept_records(f"corrupted-{name}", partial(corrupted, name), name, drawn.tolist(), settings)

    yield from run.shared(moved_by, settings.corruptions, "corrupting")
    first, number = run.images.images(chosen[:1]), chosen[:1].tolist()
    entries = [CORRUPTIONS[name] for name in settings.corruptions]
    shown = [
        torch.cat([first, *(entry.apply(first, dose, settings.seed, numbers=number) for dose in entry.doses)])
        for entry in entries
    ]
    rows = ("image", *map(str, range(1, SEVERITIES + 1)))
    yield Panel("corrupted", torch.stack(shown, 1), rows, tuple(entry.label for entry in entries))


# Tables and verdicts

ASPECTS: dict[str, tuple[str, Statistic]] = {
    "displacement": ("relative_displacement", median),
    "whitened": ("whitened_displacement", median),
    "accuracy": ("correct", mean),
}
"""What a comparison is about, and what stands for all images: kept apart, because the three can disagree."""


def _rows(found: Found) -> pd.DataFrame:
    """Records of corrupted images."""
    return found.records[found.records["strength"] > 0]


def _summed(found: Found, *keys: str) -> pd.DataFrame:
    """Displacements (medians over images) and accuracy (mean), each image's being means; one row a key."""
    rows: dict[tuple[Any, ...], Any] = {}
    for (*key, measure), part in _rows(found).groupby([*keys, "measure"], sort=False):
        of_images, statistic = part.groupby("image")["value"].mean(), share if measure == "correct" else median
        estimate = found.interval(of_images, statistic)
        rows.setdefault(tuple(key), {})[measure] = estimate.widened(
            estimate.value * unit_error(found, measure, encoder=key[0])
        )
    return tabulate(rows, keys, (*MOVED, "correct"))


def overall(found: Found) -> pd.DataFrame:
    """All corruptions and severities: one row an ``encoder``; ``untouched`` is the accuracy on images as they are."""
    records = found.measured("correct")
    clean = records[records["strength"] == 0].groupby("encoder")["value"].mean()
    return _summed(found, "encoder").assign(untouched=lambda table: table["encoder"].map(clean).astype(float))


def gains(found: Found) -> pd.DataFrame:
    """Each encoder beside the reference, on the same images: ``gain`` above 0 where it stands corruptions better.

    One row an (``encoder``, ``aspect``): ``p_value`` of the signed-rank test, Holm-corrected over all rows, the
    rank-biserial ``effect``. Decisions are compared on images that both get right untouched.
    """
    reference, rows = found.settings.reference, {}
    for aspect, (measure, statistic) in ASPECTS.items():
        of_images = measured(_rows(found), measure).groupby(["encoder", "image"])["value"].mean()
        for encoder in (name for name in found.encoders if len(of_images) and name != reference):
            both = pd.concat([of_images[encoder], of_images[reference]], axis=1, keys=["own", "other"]).dropna()
            if measure == "correct":
                both = both.loc[sorted(right_images(found.records, encoder) & right_images(found.records, reference))]
            difference = (both["own"] - both["other"]).to_numpy() * (1 if measure == "correct" else -1)
            errors = [
                both[side].median() * unit_error(found, measure, encoder=name)
                for side, name in (("own", encoder), ("other", reference))
            ]
            gain = found.interval(difference, statistic).widened(math.hypot(*errors))
            test = {"p_value": signed_rank(difference), "effect": rank_biserial(difference)}
            rows[encoder, aspect] = {"gain": gain, **test}
    table = tabulate(rows, ("encoder", "aspect"), ("gain",), ("p_value", "effect"))
    return table.assign(p_value=holm(table["p_value"]))


def side_by_side(found: Found) -> pd.DataFrame:
    """Displacement and accuracy under each corruption, a column an encoder."""
    table = found.tables["corruptions"]
    cells = [
        f"{cell(row, MOVED[0], 2)}" + ("" if math.isnan(row["correct"]) else f"; {row['correct']:.2f}")
        for _, row in table.iterrows()
    ]
    wide = table.assign(cell=cells).pivot(index="condition", columns="encoder", values="cell")
    return wide.loc[list(found.settings.corruptions), list(found.encoders)].reset_index()


def verdicts(found: Found) -> Iterator[Judgement]:
    """Whether each encoder stands corruptions better than the reference, aspect by aspect."""
    for _, row in found.tables["gains"].iterrows():
        gain = estimate_of(row, "gain")
        about = {"effect": fixed(row["effect"], sign="+")}
        word = word_of_gain(gain, row["p_value"])
        yield Judgement(row["aspect"], gain, word, encoder=row["encoder"], p_value=row["p_value"], names=about)


def parted(found: Found) -> list[str]:
    """Encoders that the plain and the whitened displacement give different words."""
    words = {(verdict.encoder, verdict.aspect): verdict.word for verdict in found.verdicts}
    return [name for name in found.encoders if words.get((name, "displacement")) != words.get((name, "whitened"))]


def names(found: Found) -> dict[str, Any]:
    """What the words tell besides."""
    return {
        "labels": {entry.name: entry.label for entry in CORRUPTIONS.values()},
        "count": len(found.settings.corruptions),
        "gallery": f"{found.at_hand(found.settings.gallery, besides=found.settings.images):,}",
        "rule_of_gain": rule_of_gain("encoders and aspects"),
    }


@theme()
def draw_curves(found: Found) -> Figure:
    """Displacement against severity, one small plot a corruption, one line an encoder."""
    table, looks = found.tables["severities"], encoder_looks(found.encoders, found.settings.reference)
    shown = found.settings.corruptions
    lines = math.ceil(len(shown) / ACROSS)
    figure = new_figure(TEXT_WIDTH, _PLOT * lines + LEGEND)
    plots = figure.subplots(lines, ACROSS, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, name in zip(plots, shown, strict=False):
        for encoder, (colour, marker) in looks.items():
            own = table[(table["encoder"] == encoder) & (table["condition"] == name)]
            axes.fill_between(
                own["strength"], own[f"{MOVED[0]}_low"], own[f"{MOVED[0]}_high"], color=colour, alpha=0.15, lw=0
            )
            axes.plot(own["strength"], own[MOVED[0]], color=colour, marker=marker, ms=2.5, lw=1, label=encoder)
        axes.set_title(CORRUPTIONS[name].label)
    for axes in plots[len(shown) :]:
        axes.set_axis_off()
    plots[0].set_ylim(0, None)
    plots[0].set_xticks(range(1, SEVERITIES + 1))
    figure.supylabel("displacement of h", fontsize=NORMAL, x=0.005)
    legend_below(figure, unit="severity", left=0.025)
    return figure


PROBE = Probe(
    "corruptions",
    Corruptions,
    measure,
    ready,
    names,
    verdicts,
    needs=Needs(encoders="several", reference=True, level="backbone", decoder="no", images=2 * LEAST),
    images=lambda settings: settings.images + settings.gallery,
    tables={
        "overall": overall,
        "gains": gains,
        "corruptions": lambda found: _summed(found, "encoder", "condition"),
        "severities": lambda found: _summed(found, "encoder", "condition", "strength"),
    },
    rows_in=dict.fromkeys(ASPECTS, "gains"),
    printed={"corruptions": side_by_side},
    page={
        "Corruption by corruption": [
            Show("figure", "severities", draw_curves),
            Show("text", "parted", when=lambda found: bool(parted(found))),
            Show("table", "overall"),
            Show("table", "gains"),
            Show("table", "corruptions"),
        ],
        "What the corruptions look like": [Show("panel", "corrupted")],
    },
    compared={
        MOVED[0]: Compared(median),
        MOVED[1]: Compared(median, ("gallery",)),
        "correct": Compared(share, ("gallery",)),
    },
    shown_in={0: ("severities", "overall", "gains", "corruptions", "corrupted")},  # gains tell what its sentences do
    quick={"images": 80, "gallery": 500},
)
