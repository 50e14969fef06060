"""The whole measurement: every level drawn from, encoded again, and held beside real images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from probes.fidelity.copies import copy_records, galleries, nearest_training
from probes.fidelity.pictures import levels_panel, nearest_panel, solvers_panel
from probes.fidelity.sets import set_records
from probes.fidelity.settings import LEAST_IMAGES, FidelitySettings
from probes.fidelity.study import prepare
from probes.fidelity.sweep import sweep
from probes.records import join
from probes.remedies import training_command
from probes.rendering import Renderer, check_match, drawable
from probes.stages import Stages
from rcdm_core.distances import retrieval_ranks
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.progress import Progress, silent
from rcdm_core.representations import encode, represent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from probes.fidelity.copies import Galleries
    from probes.fidelity.study import Study
    from probes.panels import Panel
    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders.encoder import Encoder
    from rcdm_core.features import FeatureSpace
    from rcdm_core.rcdm import RCDM
    from rcdm_core.training_images import TrainingImages


@dataclass(frozen=True, eq=False)
class Measurement:
    """What the probe found.

    Attributes:
        records: As `probes.records.COLUMNS`; the measures are those of `probes.fidelity`.
        panels: Grids of images.
    """

    records: pd.DataFrame
    panels: tuple[Panel, ...]


def measure(
    encoders: Sequence[Encoder],
    images: ImageSet,
    *,
    rcdms: Mapping[str, RCDM],
    space: FeatureSpace,
    training: TrainingImages | None = None,
    available: np.ndarray | None = None,
    settings: FidelitySettings | None = None,
    cache: Path | None = None,
    workdir: Path | None = None,
    progress: Progress = silent,
) -> Measurement:
    """Measure how far decoders are to be trusted.

    Args:
        encoders: Frozen encoders, no two of one name.
        images: The data set; images are drawn from it by the seed.
        rcdms: Decoder of each encoder, by its name.
        space: Where sets of pictures are compared.
        training: Images that the decoders were trained on; without them nothing is said of copies.
        available: Positions in the data set that no decoder was trained on; None for all of them.
        settings: What is measured, and on how much.
        cache: Folder of representations kept between runs.
        workdir: Folder in which finished stages are kept, so that an interrupted measurement goes on.
        progress: Wraps long loops.

    Returns:
        Records and panels.

    Raises:
        UserError: An encoder without a decoder, or with one that does not match, too few images, or representations
            that are not finite or do not vary.
    """
    settings = settings or FidelitySettings()
    available = np.arange(len(images)) if available is None else available
    check(encoders, available, rcdms, settings)
    study = prepare(images, available, space, settings)
    known = (images.fingerprint, space.fingerprint, available.tolist(), settings.images, settings.gallery)
    stages = Stages(workdir).under(*known, settings.seed, settings.neighbours, settings.compared)
    beside = galleries(study, training) if training is not None and settings.compared else None
    stages = stages.under(training.images.fingerprint if training is not None else "")
    found = stages.table("real", partial(_real, study, beside))
    tables, samples, drawn_from = [found], {}, {}
    for encoder in encoders:
        rcdm = rcdms[encoder.name]
        renderer = Renderer(rcdm, encoder.name, settings.rendering, stages, progress)
        kept = stages.under(encoder.fingerprint, rcdm.fingerprint, settings.rendering)
        gallery = represent(
            encoder, images, study.drawn.gallery, batch_size=settings.batch_size, cache=cache, progress=progress
        )
        for level in drawable(encoder, settings.levels or encoder.levels, rcdm):
            name, h = f"{encoder.name}/{level}", gallery[level]
            positions = study.drawn.images.tolist()
            drawn = renderer.render("one", level, h[: len(positions)], positions, (0,))[:, 0]
            stage = f"level-{name.replace('/', '-')}"
            tables.append(kept.table(stage, partial(_level, study, encoder, level, h, drawn, beside)))
            samples[name], drawn_from[name] = drawn, (encoder, level, h, renderer, kept)
    name = settings.swept_level or next(iter(samples))
    encoder, level, h, renderer, kept = drawn_from[name]
    if settings.swept_images:
        tables.append(sweep(study, encoder, level, h, renderer, kept))
    return Measurement(join(tables), tuple(_panels(study, samples, beside, name, level, h, renderer)))


def check(
    encoders: Sequence[Encoder], available: np.ndarray, rcdms: Mapping[str, RCDM], settings: FidelitySettings
) -> None:
    """Refuse at once what would fail later."""
    conditions = []
    for encoder in encoders:
        levels = settings.levels or encoder.levels
        if encoder.name not in rcdms:
            raise UserError(
                f"no RCDM draws from {encoder.name}, and fidelity is that of an RCDM",
                f"train one with `{training_command(encoder.name, settings.levels or ())}` and give it with --rcdm DIR",
            )
        check_match(encoder, levels, rcdms[encoder.name])
        conditions += [f"{encoder.name}/{level}" for level in drawable(encoder, levels, rcdms[encoder.name])]
    if settings.swept_level is not None and settings.swept_level not in conditions:
        raise unknown_name("encoder and level", settings.swept_level, conditions)
    if len(available) < 2 * LEAST_IMAGES:
        raise UserError(
            f"there are {len(available)} images that no RCDM was trained on",
            f"give at least {2 * LEAST_IMAGES}, of another folder with --data",
        )


def _real(study: Study, beside: Galleries | None) -> pd.DataFrame:
    """What real images reach: the floor."""
    tables = [set_records(study, study.seen)]
    if beside is not None:
        tables.append(copy_records(study, beside, study.images))
    return join(tables)


def _level(
    study: Study, encoder: Encoder, level: str, gallery: torch.Tensor, drawn: torch.Tensor, beside: Galleries | None
) -> pd.DataFrame:
    """What the samples of one level reach."""
    settings = study.settings
    labels: dict[str, Any] = {
        "encoder": encoder.name,
        "level": level,
        "condition": settings.solver,
        "strength": float(settings.steps),
    }
    of_samples = encode(encoder, drawn, batch_size=settings.batch_size)[level]
    ranks = retrieval_ranks(of_samples, gallery, torch.arange(len(drawn)))
    tables = [
        study.records("sample_rank", ranks, **labels),
        set_records(study, study.space.of(drawn, batch_size=settings.batch_size), **labels),
    ]
    if beside is not None:
        tables.append(copy_records(study, beside, drawn, **labels))
    return join(tables)


def _panels(
    study: Study, samples: Mapping[str, torch.Tensor], beside: Galleries | None, name: str, level: str,
    h: torch.Tensor, renderer: Renderer,
) -> list[Panel]:  # fmt: skip
    """The first images: their samples from every level, then of one level nearest training images and solvers."""
    settings = study.settings
    shown = study.images[: settings.pictures]
    panels = [levels_panel(shown, {key: drawn[: len(shown)] for key, drawn in samples.items()})]
    if beside is not None:
        drawn = samples[name][: len(shown)]
        panels.append(nearest_panel(shown, drawn, nearest_training(beside, drawn), name, len(beside.training)))
    positions = study.drawn.images[: len(shown)].tolist()
    by_solver = {
        f"{solver} ({steps})": replace(
            renderer, settings=replace(renderer.settings, solver=solver, steps=steps)
        ).render("solvers", level, h[: len(shown)], positions, (0,))[:, 0]
        for solver, steps in _pictured(settings)
    }  # fmt: skip
    if by_solver:
        panels.append(solvers_panel(shown, by_solver, name))
    return panels


def _pictured(settings: FidelitySettings) -> list[tuple[str, int]]:
    """The solvers that are shown: of each one the fewest and the most steps, and the chosen setting."""
    by_solver: dict[str, list[int]] = {}
    for solver, steps in settings.rivals:
        by_solver.setdefault(solver, []).append(steps)
    return [
        (solver, number)
        for solver, steps in by_solver.items()
        for number in sorted({min(steps), max(steps), *([settings.steps] if solver == settings.solver else [])})
    ]
