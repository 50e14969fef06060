"""The whole measurement: pictures of every kind, as features in a named space, beside real images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from probes.neighbourhood.pictures import kinds_panel, neighbours_panel
from probes.neighbourhood.settings import NeighbourhoodSettings
from probes.neighbourhood.sources import SOURCES, between, gaussian
from probes.records import REAL, join, records
from probes.rendering import Renderer, check_match, drawable
from probes.stages import Stages
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.fidelity import frechet_contributions
from rcdm_core.nearest import nearest
from rcdm_core.progress import Progress, silent
from rcdm_core.rcdm import SOLVERS
from rcdm_core.representations import represent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from probes.panels import Panel
    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders.encoder import Encoder
    from rcdm_core.features import FeatureSpace
    from rcdm_core.rcdm import RCDM

_AT_ONCE = 512  # images that are read to be looked at


@dataclass(frozen=True, eq=False)
class Measurement:
    """What the probe found.

    Attributes:
        records: As `probes.records.COLUMNS`; the measures are those of `probes.neighbourhood`.
        panels: Grids of images.
    """

    records: pd.DataFrame
    panels: tuple[Panel, ...]


@dataclass(frozen=True, eq=False)
class Reference:
    """What pictures are compared with, as features.

    Attributes:
        others: Real images that nothing is drawn from, ``[N, F]``.
        gallery: The images whose representations are combined, ``[M, F]``.
        unit: Mean distance of two of the others.
    """

    others: torch.Tensor
    gallery: torch.Tensor
    unit: float


def measure(
    encoder: Encoder,
    images: ImageSet,
    *,
    rcdm: RCDM,
    space: FeatureSpace,
    settings: NeighbourhoodSettings | None = None,
    cache: Path | None = None,
    workdir: Path | None = None,
    progress: Progress = silent,
) -> Measurement:
    """Draw from made-up representations, and compare with real images.

    Args:
        encoder: A frozen encoder.
        images: The data set: gallery, and images to compare with, drawn by the seed.
        rcdm: Decoder of the encoder's levels; levels that it does not know are left out.
        space: Where pictures are compared.
        settings: What is drawn, and how often.
        cache: Folder of representations kept between runs.
        workdir: Folder in which finished stages are kept, so that an interrupted measurement goes on.
        progress: Wraps long loops.

    Raises:
        UserError: Unknown level or solver, too few images, an RCDM that does not match, or representations that are not
            finite or do not vary.
    """
    settings = settings or NeighbourhoodSettings()
    levels = settings.levels or encoder.levels
    check(encoder, levels, images, rcdm, settings)
    count = settings.count
    drawn = np.random.default_rng(settings.seed).permutation(len(images))
    others, gallery = drawn[:count], drawn[count : count + settings.gallery]
    h = represent(encoder, images, gallery, batch_size=settings.batch_size, cache=cache, progress=progress)
    stages = Stages(workdir).under(encoder.fingerprint, images.fingerprint)

    def looked_at(which: np.ndarray) -> torch.Tensor:
        parts = [images.images(which[i : i + _AT_ONCE]) for i in range(0, len(which), _AT_ONCE)]
        return torch.cat([space.of(part, batch_size=settings.batch_size)[0] for part in parts])

    def seen(name: str, which: np.ndarray) -> torch.Tensor:
        kept = stages.under(space.fingerprint, which.tolist())
        return kept.tensor(name, partial(looked_at, which))

    features = seen("others", others)
    reference = Reference(features, seen("gallery", gallery), _mean_distance(features))
    known = reference.gallery
    apart = torch.cdist(known[:count].double(), known.double()).fill_diagonal_(torch.inf).min(1).values
    tables = [_set_records(reference, known[:count], apart, gallery[:count], encoder.name, "", REAL)]
    panels: list[Panel] = []
    renderer = Renderer(rcdm, encoder.name, settings.rendering, stages, progress)
    for level in drawable(encoder, levels, rcdm):
        numbers = gallery[:count]
        middle, partners = between(
            h[level], count, neighbours=settings.neighbours, seed=settings.seed, images=numbers.tolist()
        )
        cloud = gaussian(h[level], seed=settings.seed, images=numbers.tolist())
        sources = dict(zip(SOURCES, (h[level][:count], middle, cloud), strict=True))
        pictures = {}
        for source, values in sources.items():
            pictures[source] = renderer.render(source, level, values, numbers.tolist(), (0,))[:, 0]
            features, _ = space.of(pictures[source], batch_size=settings.batch_size)
            apart, _ = nearest(features, known)
            tables.append(_set_records(reference, features, apart, numbers, encoder.name, level, source))
        panels.append(kinds_panel(level, images.images(others[: settings.pictures]), pictures))
        shown = slice(min(settings.pictures, 6))
        first, second = (images.images(gallery[rows][shown]) for rows in (np.arange(count), partners.numpy()))
        panels.append(neighbours_panel(level, first, second, pictures["images"][shown], pictures["between"][shown]))
    return Measurement(join(tables), tuple(panels))


def check(
    encoder: Encoder, levels: Sequence[str], images: ImageSet, rcdm: RCDM, settings: NeighbourhoodSettings
) -> None:
    """Refuse at once what would fail later."""
    for level in levels:
        if level not in encoder.levels:
            raise unknown_name(f"level of encoder {encoder.name!r}", level, encoder.levels)
    if settings.solver not in SOLVERS:
        raise unknown_name("solver", settings.solver, SOLVERS)
    if len(images) < 2 * settings.count:
        raise UserError(
            f"{images.name} has {len(images)} images, and {settings.count} pictures need twice as many",
            f"ask for at most {len(images) // 2}",
        )
    check_match(encoder, levels, rcdm)


def _set_records(
    reference: Reference,
    features: torch.Tensor,
    apart: torch.Tensor,
    numbers: np.ndarray,
    encoder: str,
    level: str,
    condition: str,
) -> pd.DataFrame:
    """The three measures of a set of pictures.

    Args:
        reference: What they are compared with.
        features: Of the pictures, ``[N, F]``.
        apart: Distance of each to the nearest image of the gallery that it is not itself, ``[N]``.
        numbers: Numbers of the pictures, ``[N]``.
        encoder: Name of the encoder.
        level: Level that they were drawn from; empty for real images.
        condition: Their kind.
    """
    to_others = torch.cdist(features.double(), features.double()).sum(1) / (len(features) - 1)
    measured = {
        "frechet": frechet_contributions(features, reference.others),
        "diversity": (2 * to_others - to_others.mean()) / reference.unit,
        "nearest": apart / reference.unit,
    }
    return join(
        [
            records(measure, values, numbers, encoder=encoder, level=level, condition=condition)
            for measure, values in measured.items()
        ]
    )


def _mean_distance(features: torch.Tensor) -> float:
    distance = torch.pdist(features.double()).mean().item()
    if not distance > 0:
        raise UserError("all images look the same in the feature space", "give images that differ")
    return distance
