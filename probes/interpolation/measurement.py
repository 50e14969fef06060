"""The whole measurement: paths, samples, and what judge and encoder make of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from probes.interpolation.distances import distances, offsets
from probes.interpolation.pairs import draw_pairs
from probes.interpolation.paths import CROSS_FADE, PATHS, linear, positions
from probes.interpolation.pictures import strip_panel
from probes.interpolation.readings import ends, readings
from probes.interpolation.settings import LEAST_IMAGES, InterpolationSettings
from probes.records import join
from probes.rendering import Renderer, check_match, drawable
from probes.stages import Stages
from rcdm_core.distances import typical_distance
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.progress import Progress, silent
from rcdm_core.representations import encode, represent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from probes.interpolation.pairs import Pairs
    from probes.panels import Panel
    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders.encoder import Encoder
    from rcdm_core.rcdm import RCDM
    from rcdm_core.zoo.judge import Judge


@dataclass(frozen=True, eq=False)
class Measurement:
    """What the probe found.

    Attributes:
        records: As `probes.records.COLUMNS`; ``image`` is the number of a pair's first image.
        panels: Strips of samples.
    """

    records: pd.DataFrame
    panels: tuple[Panel, ...]


def measure(
    encoder: Encoder,
    images: ImageSet,
    *,
    rcdm: RCDM,
    pairs: Pairs | None = None,
    judge: Judge | None = None,
    settings: InterpolationSettings | None = None,
    cache: Path | None = None,
    workdir: Path | None = None,
    progress: Progress = silent,
) -> Measurement:
    """Draw from the paths between pairs of images, and measure what was drawn.

    Args:
        encoder: A frozen encoder.
        images: The data set: pairs are drawn from it by the seed, and its typical distance is the unit.
        rcdm: Decoder of the encoder's levels; levels that it does not know are left out.
        pairs: Pairs to look at instead.
        judge: Reads the factors of samples; used where those of the pairs are known.
        settings: What is measured, and on how much.
        cache: Folder of representations kept between runs.
        workdir: Folder in which finished batches of samples are kept, so that an interrupted measurement goes on.
        progress: Wraps long loops.

    Returns:
        Records and strips.

    Raises:
        UserError: Unknown level, too few images, an RCDM that does not match, or representations that are not finite
            or do not vary.
    """
    settings = settings or InterpolationSettings()
    for level in settings.levels or ():
        if level not in encoder.levels:
            raise unknown_name(f"level of encoder {encoder.name!r}", level, encoder.levels)
    if len(images) < LEAST_IMAGES:
        raise UserError(f"{images.name} has {len(images)} images", f"statistics need at least {LEAST_IMAGES}")
    levels = settings.levels or encoder.levels
    check_match(encoder, levels, rcdm)

    gallery = np.random.default_rng(settings.seed).permutation(len(images))[: settings.gallery]
    known = represent(encoder, images, gallery, batch_size=settings.batch_size, cache=cache, progress=progress)
    pairs = pairs or draw_pairs(images, count=settings.pairs, seed=settings.seed)
    t = positions(settings.points)
    # Both images, and their mixtures, encoded at every level in one pass: [P, K, D].
    faded = linear(pairs.first, pairs.second, t)
    mixtures = {
        level: h.unflatten(0, faded.shape[:2])
        for level, h in encode(encoder, faded.flatten(0, 1), batch_size=settings.batch_size).items()
    }
    renderer = Renderer(rcdm, encoder.name, settings.rendering, Stages(workdir).under(encoder.fingerprint), progress)
    tables = [ends(pairs, encoder.name)]
    drawn: dict[str, dict[str, torch.Tensor]] = {}
    for level in drawable(encoder, levels, rcdm):
        points = _points(mixtures[level], settings.paths, t)
        drawn[level] = samples = _samples(renderer, level, points, pairs)
        typical = typical_distance(known[level], seed=settings.seed)
        for path, z in points.items():
            seen = encode(encoder, samples[path].flatten(0, 1), batch_size=settings.batch_size)[level]
            seen = seen.unflatten(0, z.shape[:2])
            tables.append(distances(pairs, encoder.name, level, path, z, seen, t, typical))
            straight = linear(z[:, 0], z[:, -1], t)
            tables.append(offsets(pairs, encoder.name, level, path, z, straight, t, typical))
        if judge is not None and pairs.factors is not None:
            tables.append(readings(pairs, encoder.name, level, samples, t, judge))
    shown = range(min(settings.pictures, len(pairs)))
    return Measurement(join(tables), tuple(strip_panel(number, pairs, t, drawn) for number in shown))


def _points(mixtures: torch.Tensor, paths: tuple[str, ...], t: torch.Tensor) -> dict[str, torch.Tensor]:
    """The points of every path ``[P, K, D]``, from the representations of the cross-faded images ``[P, K, D]``."""
    first, second = mixtures[:, 0], mixtures[:, -1]
    return {**{path: PATHS[path](first, second, t) for path in paths}, CROSS_FADE: mixtures}


def _samples(
    renderer: Renderer, level: str, points: Mapping[str, torch.Tensor], pairs: Pairs
) -> dict[str, torch.Tensor]:
    """A sample of every point of every path, ``[P, K, 3, S, S]``. All paths share their ends, which are drawn once."""
    ends = next(iter(points.values()))[:, [0, -1]]
    between = [z[:, 1:-1] for z in points.values()]
    h = torch.cat([ends, *between], 1)  # [P, 2 + paths * (K - 2), D]
    numbers = np.repeat(pairs.numbers[:, 0].clip(min=0), h.shape[1]).tolist()  # a given pair: noise 0
    pictures = renderer.render("paths", level, h.flatten(0, 1), numbers, (0,))[:, 0].unflatten(0, h.shape[:2])
    first, second, *inner = pictures.split([1, 1, *(z.shape[1] for z in between)], 1)
    return {path: torch.cat([first, part, second], 1) for path, part in zip(points, inner, strict=True)}
