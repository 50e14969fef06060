"""The whole measurement: edits and directions of every level that can be drawn from, read by judge and encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from probes.factors import components
from probes.manipulation.directions import factor_names, find_directions
from probes.manipulation.editing import EDITS, edited
from probes.manipulation.pictures import directions_panels, edits_panel
from probes.manipulation.rule import common_dimensions, find_rule
from probes.manipulation.settings import LEAST_IMAGES, ManipulationSettings
from probes.manipulation.study import prepare
from probes.records import join, records
from probes.rendering import Renderer, check_match, drawable
from probes.stages import Stages
from rcdm_core.distances import relative_displacement, typical_distance
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.progress import Progress, silent
from rcdm_core.rcdm import SOLVERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    import torch
    from numpy.typing import ArrayLike

    from probes.manipulation.study import Given, Study
    from probes.panels import Panel
    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders.encoder import Encoder
    from rcdm_core.rcdm import RCDM
    from rcdm_core.zoo.judge import Judge

UNTOUCHED, TARGET = "untouched", "target"


@dataclass(frozen=True, eq=False)
class Measurement:
    """What the probe found.

    Attributes:
        records: As `probes.records.COLUMNS`; the measures are those of `probes.manipulation`.
        panels: Grids of images.
    """

    records: pd.DataFrame
    panels: tuple[Panel, ...]


def measure(
    encoder: Encoder,
    images: ImageSet,
    *,
    rcdm: RCDM,
    judge: Judge | None = None,
    settings: ManipulationSettings | None = None,
    given: Given | None = None,
    cache: Path | None = None,
    workdir: Path | None = None,
    progress: Progress = silent,
) -> Measurement:
    """Measure what manipulating a representation changes in what is drawn from it.

    Args:
        encoder: A frozen encoder.
        images: The data set: gallery, and images to be manipulated, drawn by the seed.
        rcdm: Decoder of the encoder's levels; levels that it does not know are left out.
        judge: Reads the factors of rendered images; used where the data set knows its own.
        settings: What is manipulated, and on how much.
        given: Images of the user to be manipulated in place of those of the data set.
        cache: Folder of representations kept between runs.
        workdir: Folder in which finished stages are kept, so that an interrupted measurement goes on.
        progress: Wraps long loops.

    Raises:
        UserError: Unknown level or solver, too few images, an RCDM that does not match, or representations that are not
            finite or do not vary.
    """
    settings = settings or ManipulationSettings()
    levels = settings.levels or encoder.levels
    check(encoder, levels, images, rcdm, settings)
    study = prepare(encoder, images, settings, given, cache=cache, progress=progress)
    stages = Stages(workdir).under(encoder.fingerprint, images.fingerprint)
    renderer = Renderer(rcdm, encoder.name, settings.rendering, stages, progress)
    factors = images.factors(study.gallery)
    parts = components(factors) if judge is not None and factors is not None else {}
    tables, panels = [_spreads(study, parts)], []
    for level in drawable(encoder, levels, rcdm):
        rows, samples = _edits(study, level, renderer, judge if parts else None)
        tables.append(rows)
        panels.append(edits_panel(level, study.sources.images, study.targets.images, samples, settings.pictures))
        if judge is not None and parts:
            rows, moved = _directions(study, level, renderer, judge, parts)
            tables.append(rows)
            panels += directions_panels(level, study.sources.images, samples[UNTOUCHED], moved)
    return Measurement(join(tables), tuple(panels))


def check(
    encoder: Encoder, levels: Sequence[str], images: ImageSet, rcdm: RCDM, settings: ManipulationSettings
) -> None:
    """Refuse at once what would fail later."""
    for level in levels:
        if level not in encoder.levels:
            raise unknown_name(f"level of encoder {encoder.name!r}", level, encoder.levels)
    if settings.solver not in SOLVERS:
        raise unknown_name("solver", settings.solver, SOLVERS)
    if len(images) < LEAST_IMAGES:
        raise UserError(f"{images.name} has {len(images)} images", f"neighbours and readouts need {LEAST_IMAGES}")
    check_match(encoder, levels, rcdm)


def _edits(
    study: Study, level: str, renderer: Renderer, judge: Judge | None
) -> tuple[pd.DataFrame, dict[str, torch.Tensor]]:
    """Common dimensions removed and transplanted, and random ones: what it does to ``h`` and to what is drawn.

    Returns:
        Records, and the samples ``[N, K, 3, S, S]`` of every version of ``h``.
    """
    settings, gallery, numbers = study.settings, study.representations[level], study.numbers
    h, target = study.sources.h[level], study.targets.h[level]
    rule = find_rule(gallery, shared=settings.shared, quantile=settings.quantile)
    own, theirs = (
        common_dimensions(rule, side.h[level], gallery, side.rows, neighbours=settings.neighbours)
        for side in (study.sources, study.targets)
    )
    versions = edited(h, target, rule, own, theirs, seed=settings.seed, images=numbers.tolist())
    typical = typical_distance(gallery, seed=settings.seed)
    tables = [
        _records(study, level, "zeros", [rule.zeros], images=[-1]),
        _records(study, level, "dimensions", own.sum(1), condition="own"),
        _records(study, level, "dimensions", theirs.sum(1), condition=TARGET),
    ]
    for edit, values in versions.items():
        moved = relative_displacement(values, h, typical)
        tables.append(_records(study, level, "edited_displacement", moved, condition=edit))
    samples = {
        name: renderer.render(name, level, values, numbers.tolist(), range(settings.samples))
        for name, values in {UNTOUCHED: h, TARGET: target, **versions}.items()
    }
    tables.append(_encoded_again(study, level, samples, typical))
    if judge is not None:
        tables += [_read(study, level, f"rendered_{name}", drawn, judge) for name, drawn in samples.items()]
    return join(tables), samples


def _encoded_again(study: Study, level: str, samples: Mapping[str, torch.Tensor], typical: float) -> pd.DataFrame:
    """How far samples of the edited ``h`` lie from those of ``h``, and how far on the way to those of the target."""
    again = {name: study.encode(drawn.flatten(0, 1))[level].double() / typical for name, drawn in samples.items()}
    gap = again[TARGET] - again[UNTOUCHED]
    tables = [_by_sample(study, level, "sample_gap", gap.square().sum(1))]
    for edit in EDITS:
        moved = again[edit] - again[UNTOUCHED]
        tables += [
            _by_sample(study, level, "sample_displacement", moved.norm(dim=1), condition=edit),
            _by_sample(study, level, "sample_progress", (moved * gap).sum(1), condition=edit),
        ]
    return join(tables)


def _directions(
    study: Study, level: str, renderer: Renderer, judge: Judge, parts: Mapping[str, np.ndarray]
) -> tuple[pd.DataFrame, dict[str, dict[float, torch.Tensor]]]:
    """The first images moved along the direction of every factor; directions are fitted on the other images.

    Returns:
        Records, and the samples ``[n, K, 3, S, S]`` by factor and strength.
    """
    settings = study.settings
    count = min(settings.moved, len(study.numbers))
    held_out = study.sources.rows[:count]
    fitted = np.setdiff1d(np.arange(len(study.gallery)), held_out.numpy())
    h, numbers = study.sources.h[level][:count], study.numbers[:count]
    directions = find_directions(
        study.representations[level][fitted], {name: values[fitted] for name, values in parts.items()}
    )
    samples: dict[str, dict[float, torch.Tensor]] = {}
    tables = []
    for factor, direction in directions.items():
        tables.append(_records(study, level, "readable", [direction.r2], images=[-1], condition=factor))
        samples[factor] = {}
        for steps in settings.strengths:
            moved = direction.move(h, steps)
            drawn = renderer.render(f"moved-{factor}", level, moved, numbers.tolist(), range(settings.samples))
            samples[factor][steps] = drawn
            tables.append(_read(study, level, "rendered_moved", drawn, judge, moved=f"{factor} > ", strength=steps))
    return join(tables), samples


def _spreads(study: Study, parts: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Standard deviation of every factor: the root mean square difference of two images, over the root of 2.

    For numbers on a line this is the usual one; for angles, in turns, differences are taken the shorter way round.
    """
    tables = []
    for factor in factor_names(parts):
        values = [part for name, part in parts.items() if name.partition(".")[0] == factor]
        turns = np.arctan2(values[1], values[0]) / (2 * np.pi) if len(values) == 2 else values[0]
        differences = turns - np.roll(turns, 1)
        if len(values) == 2:
            differences -= np.rint(differences)
        spread = np.sqrt(np.square(differences).mean() / 2)
        tables.append(records("spread", [spread], [-1], encoder=study.encoder.name, condition=factor))
    return join(tables)


def _read(
    study: Study, level: str, measure: str, samples: torch.Tensor, judge: Judge, *, moved: str = "",
    strength: float = float("nan"),
) -> pd.DataFrame:  # fmt: skip
    """The factors that the judge reads off samples ``[N, K, 3, S, S]``."""
    return join(
        [
            _by_sample(study, level, measure, values, condition=f"{moved}{name}", strength=strength)
            for name, values in components(judge.read(samples.flatten(0, 1))).items()
        ]
    )


def _by_sample(
    study: Study, level: str, measure: str, values: ArrayLike, *, condition: str = "", strength: float = float("nan")
) -> pd.DataFrame:
    """Records of the first images with the K samples of each, ``[N * K]``."""
    rows = np.asarray(values).reshape(-1, study.settings.samples)
    return join(
        [
            _records(study, level, measure, column, condition=condition, strength=strength, sample=sample)
            for sample, column in enumerate(rows.T)
        ]
    )


def _records(
    study: Study, level: str, measure: str, values: ArrayLike, *, images: Sequence[int] | None = None,
    condition: str = "", strength: float = float("nan"), sample: int = -1,
) -> pd.DataFrame:  # fmt: skip
    """Records of one measure, by default of the first images of the study."""
    values = np.asarray(values)
    return records(
        measure, values, study.numbers[: len(values)] if images is None else images, encoder=study.encoder.name,
        level=level, condition=condition, strength=strength, sample=sample,
    )  # fmt: skip
