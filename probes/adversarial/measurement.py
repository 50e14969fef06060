"""The whole measurement: every encoder attacked on the same images, then compared, then drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from probes.adversarial.attacks import ATTACKS
from probes.adversarial.checks import (
    checked_budget,
    effort_records,
    gradient_records,
    transfer_records,
    zero_records,
)
from probes.adversarial.crafting import check_classes
from probes.adversarial.pictures import drawn_panel, perturbations_panel
from probes.adversarial.reading import Reader, train_reader
from probes.adversarial.robustness import (
    NOISE,
    attack,
    attack_records,
    noise_records,
    noisy,
    rows_of,
    untouched_records,
)
from probes.adversarial.settings import LEAST_IMAGES, AdversarialSettings
from probes.adversarial.study import prepare, split
from probes.records import join
from probes.rendering import Renderer, RenderingSettings, check_match
from probes.stages import Stages
from rcdm_core.encoders.behaviour import refuse_without_gradients
from rcdm_core.encoders.encoder import Encoder
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.progress import Progress, silent
from rcdm_core.rcdm import SOLVERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from probes.adversarial.attacks import Entry
    from probes.adversarial.study import Study
    from probes.adversarial.target import Found
    from probes.panels import Panel
    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.linear_classifier import LinearClassifier
    from rcdm_core.rcdm import RCDM


@dataclass(frozen=True, eq=False)
class Measurement:
    """What the probe found.

    Attributes:
        records: As `probes.records.COLUMNS`; the measures are those of `probes.adversarial`.
        panels: Grids of images.
        classifiers: The linear classifier of each encoder; none without labels.
    """

    records: pd.DataFrame
    panels: tuple[Panel, ...]
    classifiers: Mapping[str, LinearClassifier]


def measure(
    encoders: Sequence[Encoder],
    images: ImageSet,
    *,
    rcdms: Mapping[str, RCDM] | None = None,
    judge: Reader | Encoder | None = None,
    settings: AdversarialSettings | None = None,
    cache: Path | None = None,
    workdir: Path | None = None,
    progress: Progress = silent,
) -> Measurement:
    """Attack several encoders on the same images.

    Args:
        encoders: Frozen encoders, no two of one name.
        images: The data set; images are drawn from it by the seed.
        rcdms: Decoder of each encoder, by its name; nothing is rendered of an encoder without one.
        judge: Tells the class of samples; needs labels. Of an encoder, a linear classifier on it does.
        settings: What is attacked, how hard, and on how much.
        cache: Folder of representations and classifiers kept between runs.
        workdir: Folder in which finished stages are kept, so that an interrupted measurement goes on.
        progress: Wraps long loops.

    Returns:
        Records and panels.

    Raises:
        UserError: Labels are needed and not there, unknown level or solver, too few images, an RCDM that does not
            match, or representations that are not finite or do not vary.
    """
    settings, rcdms = settings or AdversarialSettings(), rcdms or {}
    check(encoders, images, rcdms, settings)
    drawn = split(images, settings)
    entries = [ATTACKS[name] for name in settings.attacks]
    if isinstance(judge, Encoder):
        judge = train_reader(judge, images, drawn, settings, cache=cache, progress=progress)
    stages = Stages(workdir).under(images.fingerprint, drawn.attacked.tolist(), settings.seed, settings.batch_size)
    first, checked = entries[0], next((entry for entry in entries if entry.iterated), None)
    studies, tables = {}, []
    found: dict[str, dict[float, Found]] = {}  # of each encoder, by the first attack: the others' are not kept
    for encoder in encoders:
        study = prepare(encoder, images, drawn, settings, cache=cache, progress=progress)
        kept = stages.under(encoder.fingerprint, drawn.training.tolist(), settings.level)
        studies[study.name] = study
        tables += [untouched_records(study), noise_records(study, settings), zero_records(study, settings)]
        tables.append(gradient_records(study, first, settings))
        for entry in entries:
            adversaries = attack(study, entry, settings, kept, progress)
            tables.append(attack_records(study, entry, adversaries))
            if entry is checked:
                tables.append(effort_records(study, entry, adversaries, settings, kept))
            if entry is first:
                found[study.name] = adversaries
    if first.needs_labels:
        budget = checked_budget(first, settings)
        at_budget = {name: adversaries[budget] for name, adversaries in found.items()}
        tables.append(transfer_records(studies, first, at_budget, budget))
    rendered, panels = _rendered(studies, first, found, rcdms, judge, settings, stages, progress)
    classifiers = {name: study.target.classifier for name, study in studies.items() if study.target.classifier}
    return Measurement(join([*tables, rendered]), tuple(panels), classifiers)


def check(
    encoders: Sequence[Encoder], images: ImageSet, rcdms: Mapping[str, RCDM], settings: AdversarialSettings
) -> None:
    """Refuse at once what would fail later."""
    for encoder in encoders:
        if settings.level not in encoder.levels:
            raise unknown_name(f"level of encoder {encoder.name!r}", settings.level, encoder.levels)
        refuse_without_gradients(encoder, settings.level)
        if encoder.name in rcdms:
            check_match(encoder, (settings.level,), rcdms[encoder.name])
    if settings.solver not in SOLVERS:
        raise unknown_name("solver", settings.solver, SOLVERS)
    for name in settings.attacks:
        if ATTACKS[name].needs_labels and images.labels is None:
            raise UserError(
                f"{name} attacks a decision and needs labels, and {images.name} has none",
                "sort them into a subfolder for each class, or use --attack Displacement, which needs no labels",
            )
        check_classes(ATTACKS[name], len(images.class_names))
    least = LEAST_IMAGES if images.labels is None else 2 * LEAST_IMAGES
    if len(images) < least:
        raise UserError(f"{images.name} has {len(images)} images", f"attack and classifier need at least {least}")


@dataclass(frozen=True, eq=False)
class _Version:
    """The pictured rows in one state: what it is called in a panel and in records."""

    heading: str
    condition: str
    strength: float
    images: torch.Tensor


def _versions(
    study: Study, entry: Entry, found: Mapping[float, Found], settings: AdversarialSettings, rows: torch.Tensor
) -> list[_Version]:
    """These rows untouched, under the largest noise, and attacked within every budget."""
    largest = settings.budgets(entry.norm)[-1]
    places = torch.searchsorted(rows_of(study, entry), rows)
    random = noisy(study, entry, largest, settings.seed, rows)
    return [
        _Version("h(x)", "", 0.0, study.victims.images[rows]),
        _Version("h(x + noise)", NOISE[entry.norm], largest, random),
        *(
            _Version(f"{entry.name} {budget:g}", entry.name, budget, adversaries.images[places])
            for budget, adversaries in found.items()
        ),
    ]


def _rendered(
    studies: Mapping[str, Study],
    entry: Entry,
    found: Mapping[str, Mapping[float, Found]],
    rcdms: Mapping[str, RCDM],
    judge: Reader | None,
    settings: AdversarialSettings,
    stages: Stages,
    progress: Progress,
) -> tuple[pd.DataFrame, list[Panel]]:
    """Samples from ``h(x)``, ``h(x + noise)`` and ``h(x + attack)``, on images that every encoder gets right."""
    right = torch.stack([study.right for study in studies.values()]).all(0)
    rows = torch.nonzero(right).flatten()[: settings.rendered]
    if not len(rows):
        return join([]), []
    drawing = RenderingSettings(
        steps=settings.steps, solver=settings.solver, seed=settings.seed, batch_size=settings.batch_size
    )
    versions = {name: _versions(study, entry, found[name], settings, rows) for name, study in studies.items()}
    tables, samples = [], {}
    for name, study in studies.items():
        if name not in rcdms:
            continue
        h = study.target.represent(torch.cat([version.images for version in versions[name]]))
        positions = study.positions[rows.numpy()].tolist() * len(versions[name])
        renderer = Renderer(rcdms[name], name, drawing, stages, progress)
        drawn = renderer.render("attacked", settings.level, h, positions, (0,))[:, 0].split(len(rows))
        samples[name] = {version.heading: part for version, part in zip(versions[name], drawn, strict=True)}
        if judge is None or study.victims.labels is None:
            continue
        labels = study.victims.labels[rows].numpy()
        for version, part in zip(versions[name], drawn, strict=True):
            seen = judge.read(part)["class"].to_numpy() == labels
            condition, strength = version.condition, version.strength
            tables.append(study.records("class_seen", seen, rows=rows, condition=condition, strength=strength))
    return join(tables), _panels(studies, entry, versions, samples, rows[: settings.pictures])


def _panels(
    studies: Mapping[str, Study],
    entry: Entry,
    versions: Mapping[str, Sequence[_Version]],
    samples: Mapping[str, Mapping[str, torch.Tensor]],
    pictured: torch.Tensor,
) -> list[Panel]:
    """The first images: their samples from every encoder, and the perturbations of the first."""
    originals = next(iter(studies.values())).victims.images[pictured]
    panels = [
        drawn_panel(
            place, {name: {key: part[place] for key, part in drawn.items()} for name, drawn in samples.items()},
            original, entry,
        )
        for place, original in enumerate(originals)
        if samples
    ]  # fmt: skip
    control = next(iter(versions.values()))[1]
    moved = {name: states[-1].images[0] for name, states in versions.items()}
    return [*panels, perturbations_panel(originals[0], moved, entry, control.strength, control.images[0])]
