"""Pictures without an image to start from, drawn from between neighbouring representations: finding 4 once more.

They stand beside pictures drawn from representations of real images, and from a Gaussian fitted to them: how near to
real images (Frechet distance), how varied, how near to known images.

--features inception gives FID and the Inception score. It needs the package torch-fidelity and, in the cache folder,
weights-inception-2015-12-05-6726825d.pth of its release v0.2.0 (see docs/mathematics.md).

[bold]Examples[/]

rcdm-probe generate --encoder vicreg --level backbone

rcdm-probe generate --encoder timm/resnet18 --data photos/ --rcdm my-rcdm --count 200
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from analyses.findings import word_for
from analyses.records import REAL
from analyses.statistics import mean, median
from analyses.tables import by_image, estimate_of, measured, tabulate
from probes.page import undrawn
from probes.probe import Found, Judgement, Needs, Probe, Sampling, Show, option
from probes.scale import unit_error
from rcdm_core.distances import nearest
from rcdm_core.errors import UserError
from rcdm_core.fidelity import frechet_contributions
from rcdm_core.images import resize
from reports.figures.by_encoder import Axis, draw_by_encoder
from reports.figures.fidelity import draw_kinds
from reports.finished import FinishedRun, joined
from reports.panels import Panel, in_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    from matplotlib.figure import Figure

    from analyses.bootstrap import Estimate
    from probes.context import Context

LEAST = 20  # pictures of a set, below which no interval says anything
ACROSS = 12  # pictures in a row
SOURCES = {
    "images": "from h of real images",
    "between": "from between neighbours",
    "gaussian": "from a Gaussian",
}
"""Every kind of representation to draw from, each made for an image ``i`` of the gallery:

=============  ========================================================================================================
``images``     ``h_i``, of the image itself
``between``    ``(1 - w) h_i + w h_j``, where j is one of the k nearest of i, each as likely, and w is uniform in [0, 1)
``gaussian``   ``m + S z``, with mean and covariance ``S S'`` of the gallery and z standard normal
=============  ========================================================================================================
"""
KINDS = {REAL: "real images", **SOURCES}
COMPARED = (("between", "images"), ("gaussian", "between"), ("gaussian", "images"))
_BETWEEN, _GAUSSIAN = 0, 1  # streams of random numbers


@dataclass(frozen=True, kw_only=True)
class Generate(Sampling):
    """What is drawn, and how often."""

    count: int = option(256, "Pictures of each kind.", short="n", least=LEAST, metavar="N")
    gallery: int = option(2000, "Images whose representations are combined.", metavar="M")
    neighbours: int = option(
        5, "Nearest neighbours, one of which is combined with.", short="k", least=1, most=LEAST - 1, metavar="K"
    )
    pictures: int = option(24, "Pictures of each kind that are shown.", least=1, shown=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gallery < self.count:
            raise UserError(f"a gallery of {self.gallery} images for {self.count} pictures", "take as many at least")


def ready(run: Context, settings: Generate) -> None:
    """Refuse too few images."""
    if len(run.images) < 2 * settings.count:
        raise UserError(
            f"{run.images.name} has {len(run.images)} images, and {settings.count} pictures need twice as many",
            f"ask for at most {len(run.images) // 2}",
        )


def measure(run: Context, settings: Generate) -> Iterator[pd.DataFrame | Panel]:
    """Draw from made-up representations, and compare with real images, in a space of features.

    =============  ====================================================================================================
    measure        value, one for each picture; ``condition``: a kind of `SOURCES`, or real images
    =============  ====================================================================================================
    ``frechet``    contribution to the squared Frechet distance from other real images; the mean is the distance
    ``diversity``  distance to the other pictures of the set, doubled and less the set's mean, so that the mean is the
                   mean distance of two pictures and its spread that of a mean of pairs; over the mean distance of two
                   real images
    ``nearest``    distance to the nearest image of the gallery, in the same unit
    =============  ====================================================================================================

    ``unit_error``, of no image: standard error of that mean distance as a share of it.
    """
    count = settings.count
    others, gallery = np.split(run.draw(count + settings.gallery), [count])
    numbers, h = gallery[:count].tolist(), run.represent(gallery)
    reference, known = run.features_of(others), run.features_of(gallery)
    unit, error = mean_distance(reference)
    yield run.records("unit_error", [error], [-1], condition="features")

    def compared(features: torch.Tensor, apart: torch.Tensor, **about: Any) -> Iterator[pd.DataFrame]:
        to_others = distances_to_others(features)
        yield run.records("frechet", frechet_contributions(features, reference), numbers, **about)
        yield run.records("diversity", (2 * to_others - to_others.mean()) / unit, numbers, **about)
        yield run.records("nearest", apart / unit, numbers, **about)

    apart = torch.cdist(known[:count].double(), known.double()).fill_diagonal_(torch.inf).min(1).values
    yield from compared(known[:count], apart, condition=REAL)
    for level in run.drawn_levels:
        middle, partners = between(h[level], settings.neighbours, seed=settings.seed, images=numbers)
        cloud = gaussian(h[level], seed=settings.seed, images=numbers)
        pictures = {}
        for name, of in zip(SOURCES, (h[level][:count], middle, cloud), strict=True):
            pictures[name] = run.render(name, level, of, numbers)[:, 0]
            features = run.features(pictures[name])
            yield from compared(features, nearest(features, known)[0], level=level, condition=name)
        yield kinds_panel(level, run.images.images(others[: settings.pictures]), pictures)
        shown = slice(min(settings.pictures, 6))
        columns = {
            "image": run.images.images(gallery[shown]),
            "drawn from h": pictures["images"][shown],
            "drawn from between": pictures["between"][shown],
            "neighbour": run.images.images(gallery[partners.numpy()][shown]),
        }
        yield in_columns(f"neighbours_{level}", pictures["images"].shape[-1], columns)


def between(
    gallery: torch.Tensor, neighbours: int, *, seed: int, images: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """A representation between each of the first of the gallery and one of its nearest; and the rows of these."""
    first = gallery[: len(images)]
    near = torch.cdist(first.double(), gallery.double()).fill_diagonal_(torch.inf).topk(neighbours, largest=False)
    generators = [np.random.default_rng([seed, _BETWEEN, image]) for image in images]
    chosen = torch.tensor([int(generator.integers(neighbours)) for generator in generators])
    weight = torch.tensor([generator.random() for generator in generators], dtype=torch.float32)[:, None]
    partners = near.indices[torch.arange(len(images)), chosen]
    return torch.lerp(first, gallery[partners], weight), partners


def gaussian(gallery: torch.Tensor, *, seed: int, images: Sequence[int]) -> torch.Tensor:
    """A representation of the Gaussian with mean and covariance of the gallery ``[M, D]``, for each number, ``[N, D]``.

    The gallery itself, centred and over the root of M - 1, is a root of the covariance: no decomposition is needed, and
    fewer images than dimensions do not matter.
    """
    centre = gallery.double().mean(0)
    root = (gallery.double() - centre) / (len(gallery) - 1) ** 0.5
    z = np.stack([np.random.default_rng([seed, _GAUSSIAN, image]).standard_normal(len(gallery)) for image in images])
    return (centre + torch.from_numpy(z) @ root).float()


def distances_to_others(features: torch.Tensor) -> torch.Tensor:
    """Mean distance of each to the others, ``[N]`` float64, of features ``[N, F]``."""
    return torch.cdist(features.double(), features.double()).sum(1) / (len(features) - 1)


def mean_distance(features: torch.Tensor) -> tuple[float, float]:
    """Mean distance of two of them, ``[N, F]``, and its standard error as a share of it (Hoeffding 1948)."""
    to_others = distances_to_others(features)
    distance = to_others.mean().item()
    if not distance > 0:
        raise UserError("all images look the same in the feature space", "give images that differ")
    return distance, 2 * to_others.std().item() / len(features) ** 0.5 / distance


def kinds_panel(level: str, real: torch.Tensor, pictures: Mapping[str, torch.Tensor]) -> Panel:
    """Real images ``[n, 3, S, S]`` and as many pictures of every kind, a block of rows each."""
    across = min(ACROSS, len(real))
    lines = len(real) // across
    blocks = {"real images": resize(real, next(iter(pictures.values())).shape[-1])}
    blocks |= {f"drawn {SOURCES[name].replace('from h', 'from the h')}": drawn for name, drawn in pictures.items()}
    rows = [block[: lines * across].unflatten(0, (lines, across)) for block in blocks.values()]
    labels = [name if line == 0 else "" for name in blocks for line in range(lines)]
    return Panel(f"kinds_{level}", torch.cat(rows), tuple(labels), ("",) * across)


def kinds(found: Found) -> pd.DataFrame:
    """How each kind of pictures compares with real images.

    One row a (``level``, ``kind``), real images first with an empty level: ``frechet``, the squared distance;
    ``diversity``, the mean distance of two pictures over that of two real images; ``nearest``, the median distance to
    the nearest image of the gallery, in the same unit; ``images``.
    """
    measures = {"frechet": mean, "diversity": mean, "nearest": median}
    groups = found.measured(*measures).groupby(["level", "condition"], sort=False)
    rows = {key: _widened(found, found.intervals(by_image(group, "measure"), measures)) for key, group in groups}
    return tabulate(rows, ("level", "kind"), tuple(measures))


def _widened(found: Found, estimates: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """Estimates, those that are counted in the distance of two real images with its error."""
    error = unit_error(found, "features")
    return {name: of if name == "frechet" else of.widened(of.value * error) for name, of in estimates.items()}


def comparison(found: Found) -> pd.DataFrame:
    """Frechet distance and diversity of one kind less those of another, from equal noise, picture by picture.

    One row a (``level``, ``first``, ``second``): ``frechet`` and ``diversity``, the first minus the second; ``images``.
    """
    rows = {}
    for level, group in found.records[found.records["level"] != ""].groupby("level", sort=False):
        values = {name: by_image(measured(group, name), "condition") for name in ("frechet", "diversity")}
        for one, other in COMPARED:
            apart = found.intervals({name: of[one] - of[other] for name, of in values.items()}, mean)
            rows[level, one, other] = _widened(found, apart)
    return tabulate(rows, ("level", "first", "second"), ("frechet", "diversity"))


def verdicts(found: Found) -> Iterator[Judgement]:
    """Whether pictures from between neighbours are nearer to real images than those of a Gaussian, level by level."""
    told = found.tables["kinds"].set_index(["level", "kind"])["frechet"]
    rows = found.tables["comparison"]
    for _, row in rows[(rows["first"] == "gaussian") & (rows["second"] == "between")].iterrows():
        level, gain = row["level"], estimate_of(row, "frechet")
        word = word_for(gain.low > 0, gain.high < 0)
        distances = {kind: f"{told[level, kind]:.2f}" for kind in SOURCES}
        yield Judgement("neighbourhood", gain, word, level, names=distances)


def kinds_figure(found: Found) -> Figure:
    """Dots with intervals, a row for each kind of pictures and a colour for each level."""
    distance = found.run["features_card"]["distance"]
    return draw_kinds(found.tables["kinds"], real=REAL, labels=KINDS, distance=distance)


def kinds_across(runs: Sequence[FinishedRun]) -> Figure:
    """How far pictures of each kind are from real images; those themselves are a tick."""
    table = joined(runs, "kinds")
    real = table[table["level"].isna()].set_index("encoder")["frechet"]
    distances = {run.run["features_card"]["distance"] for run in runs}
    distance = distances.pop() if len(distances) == 1 else "Frechet distance, in each encoder's own space,"
    return draw_by_encoder(
        table[table["level"].notna()].assign(real=table["encoder"].map(real)),
        Axis(f"{distance} from other real images"),
        row="kind",
        labels=KINDS,
        series={"frechet": "drawn"},
        tick=("real", "real images themselves"),
    )


def names(found: Found) -> dict[str, Any]:
    """What the words tell besides."""
    distance = found.run["features_card"]["distance"]
    not_fid = "" if distance == "FID" else "It is a number of the feature space it is named after, and not FID."
    return {"distance": distance, "not_fid": not_fid, "labels": KINDS}


PROBE = Probe(
    "generate",
    Generate,
    measure,
    ready,
    names,
    verdicts,
    needs=Needs(decoder="must", features=True, images=2 * LEAST),
    images=lambda settings: settings.count + settings.gallery,
    tables={"kinds": kinds, "comparison": comparison},
    finding={"neighbourhood": 4},
    counted="pictures",
    rests_on={"neighbourhood": "count"},
    rows_in={"neighbourhood": "comparison"},
    page={
        "": [Show("figure", "kinds", kinds_figure, across=kinds_across)],
        "What was drawn": [Show("panel", "kinds"), Show("panel", "neighbours"), undrawn],
        "In numbers": [Show("table", "kinds"), Show("table", "comparison")],
    },
    compared={},
    quick={"count": 64, "gallery": 600},
    shown_in={4: ("kinds",)},
)
