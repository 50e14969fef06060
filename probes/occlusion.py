"""Which places of an image a representation depends on: covered place by place, how far does h move?

Every place is covered in three ways, by grey, by the image's own mean colour and by a blur of itself, so that what the
cover does by its edges can be told from what it hides.

[bold]Examples[/]

rcdm-probe occlusion --encoder vicreg

rcdm-probe occlusion --encoder timm/resnet18 --data photos/ --images 50 --places 7 --level layer3
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from kornia.filters import gaussian_blur2d
from scipy.stats import rankdata

from analyses.findings import word_for
from analyses.statistics import correlation, mean, median, share
from analyses.tables import by_image, summed, tabulate
from probes.probe import Compared, Judgement, Needs, Probe, Settings, Show, option
from probes.scale import check_others
from rcdm_core.distances import relative_displacement, typical_distance
from rcdm_core.errors import UserError
from reports.panels import Map, Panel, numbered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

    from analyses.bootstrap import Estimate
    from analyses.statistics import Array
    from probes.context import Context
    from probes.probe import Found

LEAST = 20  # images
QUARTER = 0.25  # of the places


@dataclass(frozen=True, kw_only=True)
class Occlusion(Settings):
    """What is covered, and on how much."""

    images: int = option(200, "Images that are covered, place by place.", short="n", least=LEAST, metavar="N")
    places: int = option(8, "Places along a side.", short="p", least=2, metavar="P")
    gallery: int = option(1000, "Other images, which give the unit of distances.", least=LEAST, metavar="M")
    pictures: int = option(6, "Images that are shown.", least=1, metavar="K")


def ready(run: Context, settings: Occlusion) -> None:
    """Refuse too few images, and places that are smaller than a pixel."""
    check_others(run.images, settings.images, "covered")
    if settings.places > (size := run.images.image_size):
        raise UserError(f"{settings.places} places on a side of {size} pixels", f"take at most {size}")


def measure(run: Context, settings: Occlusion) -> Iterator[pd.DataFrame | Map | Panel]:
    """Cover every place of every image, and see how far the representation moves.

    ============  =====================================================================================================
    measure       value, one an image; ``condition``: the cover, a key of `COVERS`; ``strength``: the place, row by row
    ============  =====================================================================================================
    ``occluded``  distance of h(x without the place) from h(x), over the median distance of two other images
    ============  =====================================================================================================
    """
    side = (settings.places, settings.places)
    chosen, others = np.split(run.draw(settings.images + settings.gallery), [settings.images])
    apart, h = run.represent(others), run.represent(chosen)
    unit = {level: typical_distance(apart[level], seed=settings.seed) for level in run.levels}

    def moved(rows: np.ndarray) -> torch.Tensor:
        """``[levels, covers, places, n]`` for some of the images."""
        images = run.images.images(chosen[rows])
        far = torch.empty(len(run.levels), len(COVERS), settings.places**2, len(rows))
        for c, (name, cover) in enumerate(COVERS.items()):
            hidden = cover(images)
            for place in run.each(range(settings.places**2), f"covering places, {name}"):
                without = run.encode(torch.where(area(images.shape[-1], place, settings.places), hidden, images))
                for n, level in enumerate(run.levels):
                    far[n, c, place] = relative_displacement(without[level], h[level][rows], unit[level])
        return far

    blocks = np.array_split(np.arange(len(chosen)), -(-len(chosen) // settings.batch_size))
    parts = [run.kept("covered", partial(moved, rows), chosen[rows].tolist(), settings) for rows in blocks]
    far = torch.cat(parts, -1)
    for level, of_level in zip(run.levels, far, strict=True):
        for cover, of_cover in zip(COVERS, of_level, strict=True):
            for place, values in enumerate(of_cover):
                yield run.records("occluded", values, chosen, level=level, condition=cover, strength=place)
    for cover, values in zip(COVERS, far.mean(-1).unflatten(2, side).unbind(1), strict=True):
        yield Map(f"where_{cover}", values, run.levels, "relative displacement")
    yield lit(run.levels, run.images.images(chosen[: settings.pictures]), far[:, 0].unflatten(1, side))


def area(size: int, place: int, places: int) -> torch.Tensor:
    """A place of an image of a side, ``[size, size]`` bool: places are as equal as whole pixels allow."""
    edges = torch.linspace(0, size, places + 1).round().long()
    row, column = divmod(place, places)
    inside = torch.zeros(size, size, dtype=torch.bool)
    inside[edges[row] : edges[row + 1], edges[column] : edges[column + 1]] = True
    return inside


def _blurred(images: torch.Tensor) -> torch.Tensor:
    size = images.shape[-1]
    return gaussian_blur2d(images, (size // 2 * 2 - 1,) * 2, (size / 8,) * 2, border_type="replicate").clamp(0, 1)


COVERS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "grey": lambda images: torch.full_like(images, 0.5),
    "mean colour": lambda images: images.mean((2, 3), keepdim=True).expand_as(images),
    "blur": _blurred,
}
"""What a place is covered by, from images ``[N, 3, S, S]``: middle grey, the image's mean colour, a blur of itself (a
Gaussian of an eighth of the side)."""


def lit(levels: Sequence[str], images: torch.Tensor, far: torch.Tensor) -> Panel:
    """The first images, and for each level the same lit where covering them moves h most: ``far [levels, P, P, N]``."""
    light = F.interpolate(far[..., : len(images)].permute(3, 0, 1, 2), size=images.shape[-1], mode="bilinear")
    light = (light / light.amax((2, 3), keepdim=True).clamp(min=1e-12))[:, :, None]
    grid = torch.cat([images[:, None], images[:, None] * (0.15 + 0.85 * light)], 1)
    return Panel("lit", grid, numbered(images), ("image", *levels))


def concentration(values: Array) -> Array:
    """Share of the displacement ``[N, P]`` on the most telling quarter of the places; a quarter where nothing moves."""
    top = np.sort(values, axis=1)[:, -max(1, round(QUARTER * values.shape[1])) :].sum(1)
    whole = values.sum(1)
    return np.divide(top, whole, out=np.full(len(values), QUARTER), where=whole > 0)


def agreement(first: Array, second: Array) -> Array:
    """Spearman's correlation over places between two covers, image by image; 0 where one of them moves nothing."""
    ranks = [rankdata(values, axis=1) for values in (first, second)]
    a, b = (rank - rank.mean(1, keepdims=True) for rank in ranks)
    norms = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    return np.divide((a * b).sum(1), norms, out=np.zeros(len(a)), where=norms > 0)


def by_place(found: Found) -> dict[str, dict[str, Array]]:
    """Displacements ``[N, P]`` by level and cover."""
    moved: dict[str, dict[str, Array]] = {}
    for (level, cover), rows in found.records.groupby(["level", "condition"], sort=False):
        moved.setdefault(level, {})[cover] = by_image(rows, "strength").to_numpy()
    return moved


def places(found: Found) -> pd.DataFrame:
    """How far covering a place moves each level, and how concentrated that is.

    One row a (``level``, ``cover``): ``average``, ``largest`` (medians over images), ``concentration`` (mean);
    ``images``.
    """

    def sum_up(rows: pd.DataFrame) -> dict[str, Estimate]:
        values = by_image(rows, "strength").to_numpy()
        return {
            "average": found.interval(values.mean(1), median),
            "largest": found.interval(values.max(1), median),
            "concentration": found.interval(concentration(values), share),
        }

    table = summed(found.records, ("level", "condition"), ("average", "largest", "concentration"), sum_up)
    return table.rename(columns={"condition": "cover"})


def covers(found: Found) -> pd.DataFrame:
    """How far two covers agree on where an image tells: one row a (``level``, ``first``, ``second``): ``agreement``."""
    rows = {
        (level, first, second): {"agreement": found.interval(agreement(moved[first], moved[second]), correlation)}
        for level, moved in by_place(found).items()
        for first, second in combinations(moved, 2)
    }
    return tabulate(rows, ("level", "first", "second"), ("agreement",))


def verdicts(found: Found) -> Iterator[Judgement]:
    """Whether the projector depends on fewer places than the backbone, whatever covers them."""
    moved = by_place(found)
    if {"backbone", "projector"} <= moved.keys():
        gains = {
            cover: found.interval(concentration(moved["projector"][cover]) - concentration(values), mean)
            for cover, values in moved["backbone"].items()
        }
        word = word_for(all(g.low > 0 for g in gains.values()), all(g.high < 0 for g in gains.values()))
        cover, least = min(gains.items(), key=lambda gain: abs(gain[1].value))
        others = ", ".join(f"{name} {gain.signed()}" for name, gain in gains.items() if name != cover)
        yield Judgement("fewer places", least, word, names={"cover": cover, "others": others})


PROBE = Probe(
    name="occlusion",
    settings=Occlusion,
    needs=Needs(decoder="no", images=2 * LEAST),
    images=lambda settings: settings.images + settings.gallery,
    ready=ready,
    measure=measure,
    tables={"places": places, "covers": covers},
    verdicts=verdicts,
    rows_in={"fewer places": "places"},
    page={
        "Where each level looks": [Show("panel", "lit"), Show("map", "where")],
        "In numbers": [Show("table", "places"), Show("table", "covers")],
    },
    compared={"occluded": Compared(median, ("places",))},
    quick={"images": 40, "gallery": 400, "places": 4},
    shown_in={0: ("lit",)},
    words="""
# Where {encoder} looks
Occlusion sensitivity of its representations, measured on {data}

## verdict fewer places
*claim:* The projector of {encoder} depends on fewer places of an image than its backbone.
*statistic:* fewer places: share of the displacement on the most telling quarter of places, projector minus backbone
*rule:* The share of an image's displacement that falls on its most telling quarter of the places, projector minus
backbone, mean over images. Supported where the whole 95% interval lies above 0 under every cover, not supported where
it lies below 0 under every one, else inconclusive.
*sentence:* Covered one place after the other, the most telling quarter of the places has a share of the displacement
that differs by {gain} between projector and backbone (covered by {cover}, where the difference is smallest; by
{others}; {n} images).

## no verdict
No verdict. What is compared is the projector with the backbone; they were not measured together in this run.

## panel lit
Which places of single images h depends on. First column: the image. The others: the same image, for each level as
bright as h moves when the place is covered by grey; the most telling place of an image and level is fully lit. *How to
read:* What is lit is what the level sees; where everything is lit alike, it depends on the whole image.

## map where
Which places h depends on, covered by {level}. Mean displacement of h over images, in units of the distance to another
image, when the place is covered; one map a level, on one scale. *How to read:* A level that depends on the object alone
is dark around it. A pattern that is there under one cover only is the cover's own.

## table places: level | cover | average as mean place | largest as most telling | concentration as quarter | images
How far covering a place moves h. Medians over images of the mean and of the largest displacement by a place (1: as far
as another image); mean share of the displacement on the most telling quarter of the places (0.25: all alike). In
brackets, 95% bootstrap intervals over images.

## table covers: level | first | second | agreement
Whether covers agree on where an image tells. Mean over images of Spearman's correlation, over places, between the
displacements under two covers: 1 where they order the places alike, 0 where they have nothing in common, as they would
if h answered to the covers and not to what they hide.

## summary places: level | cover | average as mean place | largest as most telling | concentration as quarter
how far covering a place moves h

## limits
- A cover is no part of any image: h may move because of its edges or its colour. What three covers agree on is less
  likely theirs.
- Places are squares of one size: what is smaller is seen blurred, what two places show alike (a repeated pattern) is
  missed, for either can be covered without loss.
- A displacement says that h changes, not what of it is used.
- {intervals_limit}
- {memory}
- {scenes}

## method
- Places. Each of {images} images is cut into {places} × {places} places, and one after the other is covered by middle
  grey, by the mean colour of the image, and by the image blurred (a Gaussian with a standard deviation of an eighth of
  the side).
- Unit. Distances are divided by the median distance between two of {gallery} other images at that level.
- {uncertainty}.
""",
)
