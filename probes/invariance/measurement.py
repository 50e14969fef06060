"""The whole measurement, stage by stage."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from probes.invariance.factors import present, rendered, true
from probes.invariance.geometry import displacements
from probes.invariance.pictures import (
    TRAINED,
    USUAL,
    doses_panel,
    samples_panel,
    training_panel,
    transformed_panel,
)
from probes.invariance.readability import readings
from probes.invariance.settings import LEAST_IMAGES, InvarianceSettings
from probes.invariance.study import prepare
from probes.invariance.variance import decompose, variance_maps, variance_records
from probes.records import join
from probes.rendering import Renderer, check_match, drawable
from probes.stages import Stages
from probes.transformations import TRANSFORMATIONS
from rcdm_core.encoders.catalogue import SSL_AUGMENTATIONS
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.images import resize
from rcdm_core.progress import Progress, silent
from rcdm_core.rcdm import SOLVERS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from probes.invariance.study import Study
    from probes.panels import Map, Panel
    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders.encoder import Encoder
    from rcdm_core.rcdm import RCDM
    from rcdm_core.zoo.judge import Judge

SHOWN_SAMPLES = 4
"""Samples from each level in the panel of training augmentations, at most."""


@dataclass(frozen=True, eq=False)
class Measurement:
    """What the probe found.

    Attributes:
        records: As `probes.records.COLUMNS`.
        panels: Grids of images.
        maps: Pixel maps; none without a decoder.
    """

    records: pd.DataFrame
    panels: tuple[Panel, ...]
    maps: tuple[Map, ...]


def measure(
    encoder: Encoder,
    images: ImageSet,
    *,
    rcdm: RCDM | None = None,
    judge: Judge | None = None,
    settings: InvarianceSettings | None = None,
    cache: Path | None = None,
    workdir: Path | None = None,
    progress: Progress = silent,
) -> Measurement:
    """Measure what an encoder is invariant to and what it keeps.

    Args:
        encoder: A frozen encoder.
        images: The data set; images are drawn from it by the seed.
        rcdm: Decoder of the encoder's levels. Without one, nothing is rendered; nor are levels that it does not know.
        judge: Reads the factors of rendered images; used where the data set knows its own.
        settings: What is measured, and on how much.
        cache: Folder of representations kept between runs.
        workdir: Folder in which finished stages are kept, so that an interrupted measurement goes on.
        progress: Wraps long loops.

    Returns:
        Records, panels and maps.

    Raises:
        UserError: Unknown level or solver, too few images, an RCDM that does not match, or representations that are not
            finite or do not vary.
    """
    settings = settings or InvarianceSettings()
    levels = settings.levels or encoder.levels
    _check(encoder, levels, images, rcdm, settings)
    study = prepare(encoder, levels, images, settings, cache=cache, progress=progress)
    stages = Stages(workdir).under(
        encoder.name, encoder.fingerprint, images.fingerprint, study.gallery.tolist(), study.count, settings.seed
    )
    found = _encoded(study, stages)
    if rcdm is None:
        return found
    renderer = Renderer(rcdm, encoder.name, settings.rendering, stages, progress)
    drawn = _decoded(study, drawable(encoder, levels, rcdm), renderer, judge)
    return Measurement(join([found.records, drawn.records]), found.panels + drawn.panels, found.maps + drawn.maps)


def _check(
    encoder: Encoder, levels: Sequence[str], images: ImageSet, rcdm: RCDM | None, settings: InvarianceSettings
) -> None:
    """Refuse at once what would fail later."""
    for level in levels:
        if level not in encoder.levels:
            raise unknown_name(f"level of encoder {encoder.name!r}", level, encoder.levels)
    for name in encoder.training_augmentations:
        if name not in TRANSFORMATIONS:
            raise unknown_name(f"training augmentation of encoder {encoder.name!r}", name, TRANSFORMATIONS)
    if settings.solver not in SOLVERS:
        raise unknown_name("solver", settings.solver, SOLVERS)
    if len(images) < LEAST_IMAGES:
        raise UserError(f"{images.name} has {len(images)} images", f"statistics need at least {LEAST_IMAGES}")
    if rcdm is not None:
        check_match(encoder, levels, rcdm)


def _encoded(study: Study, stages: Stages) -> Measurement:
    """What needs the encoder alone: geometry, readability, factors present."""
    settings = study.settings

    def transformed(name: str) -> pd.DataFrame:
        entry = TRANSFORMATIONS[name]
        moved, tables = study.moved(name), []
        for level in study.levels:
            h = {dose: levels[level] for dose, levels in moved.items()}
            tables += [displacements(study, level, name, h), readings(study, level, name, h, entry.reference)]
        return join(tables)

    def known(factors: pd.DataFrame) -> pd.DataFrame:
        return join([true(study, factors), *(present(study, level, factors) for level in study.levels)])

    tables = [
        stages.under(study.levels, TRANSFORMATIONS[name].doses).table(f"transformed-{name}", partial(transformed, name))
        for name in study.progress(settings.transformations, "transforming", len(settings.transformations))
    ]
    factors = study.data.factors(study.gallery)
    if factors is not None:
        tables.append(stages.under(study.levels).table("factors", partial(known, factors)))
    return Measurement(join(tables), (doses_panel(study),), ())


def _decoded(study: Study, levels: Sequence[str], renderer: Renderer, judge: Judge | None) -> Measurement:
    """What needs a decoder of these levels: factors rendered, variance among samples, pictures."""
    settings = study.settings
    shown = resize(study.images(slice(settings.pictures)), renderer.rcdm.image_size)
    known = study.data.factors(study.positions) is not None
    varied = min(max(settings.varied, settings.pictures), study.count)
    once = min(max(settings.rendered, varied), study.count) if judge and known else varied
    positions = study.positions.tolist()
    tables, panels, variances = [], [], {}
    for level in levels:
        h = study.untouched(level)
        first = renderer.render("first", level, h[:once], positions[:once], (0,))
        others = renderer.render("others", level, h[:varied], positions[:varied], range(1, settings.samples))
        samples = torch.cat([first[:varied], others], 1)
        variances[level] = decompose(samples)
        tables.append(variance_records(study, level, variances[level]))
        if judge and known:
            tables.append(rendered(study, level, first[:, 0], judge))
        panels.append(samples_panel(level, shown, samples[: settings.pictures]))
    panels += _compared(study, levels, renderer)
    return Measurement(join(tables), tuple(panels), variance_maps(variances))


def _compared(study: Study, levels: Sequence[str], renderer: Renderer) -> list[Panel]:
    """Transformed images beside what each of these levels makes of them."""
    settings, trained = study.settings, study.encoder.training_augmentations
    panels: list[Panel] = []
    names, count = settings.transformations, min(settings.compared, settings.pictures)
    if count:
        inputs, samples = _versions(study, levels, renderer, count, names, (0,))
        panels += [
            transformed_panel(i, names, inputs[i], {level: drawn[i, :, 0] for level, drawn in samples.items()})
            for i in range(len(inputs))
        ]
    names = tuple(name for name in trained or SSL_AUGMENTATIONS if name in settings.transformations)
    if names:
        inputs, samples = _versions(study, levels, renderer, 1, names, range(min(SHOWN_SAMPLES, settings.samples)))
        drawn = {level: versions[0] for level, versions in samples.items()}
        panels.append(training_panel(names, inputs[0], drawn, which=TRAINED if trained else USUAL))
    return panels


def _versions(
    study: Study, levels: Sequence[str], renderer: Renderer, count: int, names: Sequence[str], samples: Sequence[int]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The first images untouched and transformed, at reference doses, and samples of each from these levels.

    Returns:
        Inputs at the size of the samples ``[I, V, 3, S, S]``, and samples ``{level: [I, V, K, 3, S, S]}``.
    """
    which = slice(count)
    changed = [study.transformed(name, TRANSFORMATIONS[name].reference, which) for name in names]
    inputs = torch.stack([study.images(which), *changed], 1)
    positions = study.positions[which].repeat(inputs.shape[1]).tolist()
    h = study.encode(inputs.flatten(0, 1))
    drawn = {
        level: renderer.render("versions", level, h[level], positions, samples).unflatten(0, inputs.shape[:2])
        for level in levels
    }
    return resize(inputs.flatten(0, 1), renderer.rcdm.image_size).unflatten(0, inputs.shape[:2]), drawn
