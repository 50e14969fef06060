"""Which places of an image a representation depends on: covered place by place, how far does h move?

Every place is covered in three ways, by grey, by the image's own mean colour and by a blur of itself, so that what the
cover does by its edges can be told from what it hides.

[bold]Examples[/]

rcdm-probe occlusion --encoder vicreg

rcdm-probe occlusion --encoder timm/resnet18 --data photos/ --images 50 --places 7 --level layer3
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from kornia.filters import gaussian_blur2d
from scipy.stats import rankdata

from analyses.findings import word_for
from analyses.statistics import Array, correlation, mean, median, share
from analyses.tables import by_image, measured, summed, tabulate
from probes.probe import Compared, Found, Judgement, Needs, Probe, Settings, Show, option
from probes.scale import OF_TOKENS, between_tokens, check_others, unit_error
from rcdm_core.distances import relative_displacement, typical_distance, typical_error
from rcdm_core.encoders.encoder import PATCHES, Encoder
from rcdm_core.errors import UserError
from rcdm_core.precision import device_of
from rcdm_core.representations import fitting
from reports.panels import Map, Panel, numbered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

    from analyses.bootstrap import Estimate
    from probes.context import Context

LEAST = 20  # images
QUARTER = 0.25  # of the places
_AT_ONCE = 64  # images that are covered together: each lot is kept, and a step of the bar
SPREAD = {"covered": median, "elsewhere": median, "outside": share}
TOUCHED = 0.02  # of a pixel's change under a whole cover: less is the ringing of a filter that resizes


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

    ``unit_error``, of no image: standard error of that median as a share of it.

    Of the grid behind the level `PATCHES`, over all places that are covered one after the other; ``strength`` of
    ``outside``: what it is where all tokens move alike.

    =============  ====================================================================================================
    ``covered``    how far tokens move whose place is touched by the cover, mean, in the unit of `between_tokens`
    ``elsewhere``  how far the others move, mean
    ``outside``    share of these others in the sum of the displacements of all tokens
    =============  ====================================================================================================
    """
    side = (settings.places, settings.places)
    chosen, others = np.split(run.draw(settings.images + settings.gallery), [settings.images])
    apart, h = run.represent(others), run.represent(chosen)
    unit = {level: typical_distance(apart[level], seed=settings.seed) for level in run.levels}
    for level in run.levels:
        error = typical_error(apart[level], seed=settings.seed)
        yield run.records("unit_error", [error], [-1], level, "occluded")
    areas = torch.stack([area(run.images.image_size, place, settings.places) for place in range(settings.places**2)])
    has_grid = bool(run.encoder.grid_layer)
    touched = touched_by(run.encoder, areas) if has_grid else torch.zeros(len(areas), 0, 0, dtype=torch.bool)
    between = between_tokens(run, others) if has_grid else 1.0

    def moved(rows: np.ndarray) -> torch.Tensor:
        """``[levels + 2, covers, places, n]`` for some of the images: last, sums over touched tokens and others."""
        images = run.images.images(chosen[rows])
        _, tokens = run.encode_with_grid(images)
        far = torch.empty(len(run.levels) + 2, len(COVERS), len(areas), len(rows))
        for c, cover in enumerate(COVERS.values()):
            hidden = cover(images)
            for place in range(len(areas)):
                without, now = run.encode_with_grid(torch.where(areas[place], hidden, images))
                for n, level in enumerate(run.levels):
                    far[n, c, place] = relative_displacement(without[level], h[level][rows], unit[level])
                by_token = torch.linalg.vector_norm(now - tokens, dim=1) / between
                for row, tokens_of in ((-2, touched[place]), (-1, ~touched[place])):
                    far[row, c, place] = by_token[:, tokens_of].sum(1)
        return far

    def kept(rows: np.ndarray) -> torch.Tensor:
        return run.kept("displaced", partial(moved, rows), chosen[rows].tolist(), settings)

    size = min(fitting(settings.batch_size, run.encoder, run.images.image_size), _AT_ONCE)
    blocks = np.array_split(np.arange(len(chosen)), -(-len(chosen) // size))
    far = torch.cat(list(run.spread(kept, blocks, "covering places")), -1)
    for level, of_level in zip(run.levels, far[:-2], strict=True):
        for cover, of_cover in zip(COVERS, of_level, strict=True):
            for place, values in enumerate(of_cover):
                yield run.records("occluded", values, chosen, level, cover, strength=place)
    for cover, values in zip(COVERS, far[:-2].mean(-1).unflatten(2, side).unbind(1), strict=True):
        yield Map(f"where_{cover}", values, run.levels, "relative displacement")
    yield lit(run.levels, run.images.images(chosen[: settings.pictures]), far[:-2, 0].unflatten(1, side))
    if has_grid and PATCHES in run.levels:
        yield from spread(run, chosen, far[-2:], touched)
        yield Map("spread", around(run, chosen, areas, between), tuple(COVERS), "displacement of each token")


def area(size: int, place: int, places: int) -> torch.Tensor:
    """A place of an image of a side, ``[size, size]`` bool: places are as equal as whole pixels allow."""
    edges = torch.linspace(0, size, places + 1).round().long()
    row, column = divmod(place, places)
    inside = torch.zeros(size, size, dtype=torch.bool)
    inside[edges[row] : edges[row + 1], edges[column] : edges[column + 1]] = True
    return inside


@torch.no_grad()
def touched_by(encoder: Encoder, areas: torch.Tensor) -> torch.Tensor:
    """Which places of the grid are touched by covers ``[P, S, S]``: ``[P, H, W]`` bool.

    Told by what arrives of a cover behind the preprocessing, which may crop, so that one touches no place at all.
    """
    black = torch.zeros(1, 3, *areas.shape[1:], device=device_of(encoder))
    sides, untouched = encoder.grid(black).shape[2:], encoder.preprocess(black)
    parts = []
    for part in areas.split(64):
        arrived = encoder.preprocess(part[:, None].expand(-1, 3, -1, -1).to(black)) - untouched
        parts.append(F.adaptive_max_pool2d(arrived.abs().amax(1, keepdim=True), sides)[:, 0].cpu())
    most = torch.cat(parts)
    return most > TOUCHED * most.max()


def spread(run: Context, chosen: np.ndarray, sums: torch.Tensor, touched: torch.Tensor) -> Iterator[pd.DataFrame]:
    """Records of whether tokens move where the cover is, by sums ``[2, covers, places, n]``: touched tokens, others."""
    inside, outside = sums.double().sum(2)
    whole = inside + outside
    count = touched.any(2).any(1).sum().item() * touched[0].numel()  # covers that the preprocessing cuts away move none
    within = touched.sum().item()
    beyond = count - within
    even = beyond / count
    for c, cover in enumerate(COVERS):
        told = partial(run.records, images=chosen, level=PATCHES, condition=cover)
        yield told("covered", inside[c] / within)
        yield told("elsewhere", outside[c] / max(1, beyond))
        yield told("outside", torch.where(whole[c] > 0, outside[c] / whole[c], even), strength=even)


def around(run: Context, chosen: np.ndarray, areas: torch.Tensor, between: float) -> torch.Tensor:
    """How far each token moves when the middle of the image is covered, mean over images: ``[covers, H, W]``."""
    side = math.isqrt(len(areas))
    middle, total = areas[side // 2 * side + side // 2], torch.zeros(())
    for part in np.array_split(chosen, -(-len(chosen) // run.settings.batch_size)):
        images = run.images.images(part)
        tokens = run.encode_with_grid(images)[1]
        hidden = [torch.where(middle, cover(images), images) for cover in COVERS.values()]
        moved = torch.stack([run.encode_with_grid(covered)[1] - tokens for covered in hidden])
        total = total + torch.linalg.vector_norm(moved, dim=2).sum(1)
    return total / len(chosen) / between


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
    count = QUARTER * values.shape[1]
    weights = np.clip(count - np.arange(values.shape[1]), 0, 1)  # part of a place, where four do not divide them
    top = np.sort(values, axis=1)[:, ::-1] @ weights
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
    for (level, cover), rows in found.measured("occluded").groupby(["level", "condition"], sort=False):
        moved.setdefault(level, {})[cover] = by_image(rows, "strength").to_numpy()
    return moved


def places(found: Found) -> pd.DataFrame:
    """How far covering a place moves each level, and how concentrated that is.

    One row a (``level``, ``cover``): ``average``, ``largest`` (medians over images), ``concentration`` (mean);
    ``images``.
    """

    def sum_up(rows: pd.DataFrame) -> dict[str, Estimate]:
        values = by_image(rows, "strength").to_numpy()
        error = unit_error(found, "occluded", level=rows["level"].iloc[0])
        of_unit = {"average": values.mean(1), "largest": values.max(1)}
        medians = found.intervals(of_unit, median)
        return {
            **{name: of.widened(of.value * error) for name, of in medians.items()},
            "concentration": found.interval(concentration(values), share),
        }

    rows = found.measured("occluded")
    table = summed(rows, ("level", "condition"), ("average", "largest", "concentration"), sum_up)
    return table.rename(columns={"condition": "cover"})


def spreading(found: Found) -> pd.DataFrame:
    """Whether tokens move where the cover is, or everywhere.

    One row a (``level``, ``cover``): ``covered``, ``elsewhere`` (medians over images), ``outside`` (mean), ``even``,
    which is ``outside`` where all tokens move alike; ``images``.
    """

    def sum_up(rows: pd.DataFrame) -> dict[str, Any]:
        numbers = {name: measured(rows, name)["value"] for name in SPREAD}
        even = measured(rows, "outside")["strength"].iloc[0]
        return {**found.intervals(numbers, SPREAD), "even": even}

    rows = found.measured(*SPREAD)
    return summed(rows, ("level", "condition"), tuple(SPREAD), sum_up, ("even",)).rename(columns={"condition": "cover"})


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
        cover, least = min(gains.items(), key=lambda gain: max(gain[1].low, -gain[1].high))  # the least sure decides
        others = ", ".join(f"{name} {gain.signed()}" for name, gain in gains.items() if name != cover)
        yield Judgement("fewer places", least, word, names={"cover": cover, "others": others})


def names(found: Found) -> dict[str, Any]:
    """What the words tell besides."""
    return {
        "tokens": [f"{OF_TOKENS} {PROBE.wording.text('covered tokens', {})}"] if len(found.tables["spread"]) else [],
        "gallery": f"{found.at_hand(found.settings.gallery, besides=found.settings.images):,}",
    }


PROBE = Probe(
    "occlusion",
    Occlusion,
    measure,
    ready,
    names,
    verdicts,
    needs=Needs(decoder="no", images=2 * LEAST),
    images=lambda settings: settings.images + settings.gallery,
    tables={"places": places, "covers": covers, "spread": spreading},
    rows_in={"fewer places": "places"},
    page={
        "Where each level looks": [Show("panel", "lit"), Show("map", "where")],
        "In numbers": [Show("table", "places"), Show("table", "covers")],
        "Where tokens move": [Show("map", "spread"), Show("table", "spread")],
    },
    compared={"occluded": Compared(median, ("places",))},
    quick={"images": 40, "gallery": 400, "places": 4},
    shown_in={0: ("lit",)},
)
