"""What is measured: every encoder attacked on the same images, the attacker checked, and samples of what is left."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from probes.adversarial.attacks import NOISE, check_classes, size
from probes.adversarial.checks import effort_records, gradient_records, transfer_records, zero_records
from probes.adversarial.settings import LEAST_IMAGES
from probes.adversarial.study import classifier_on, smallest_budget, split, study_of
from probes.probe import Ready
from probes.rendering import check_match
from rcdm_core.encoders import load_encoder
from rcdm_core.encoders.soundness import refuse_without_gradients
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.images import at_one_size, resize
from rcdm_core.placement import device_of
from reports.panels import Panel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    import pandas as pd

    from probes.adversarial.attacks import Entry
    from probes.adversarial.settings import Adversarial
    from probes.adversarial.study import Study
    from probes.adversarial.target import Adversaries
    from probes.context import Context
    from rcdm_core.encoders.encoder import Encoder

LEVEL = "backbone"  # of an encoder that judges


def ready(run: Context, settings: Adversarial) -> Ready:
    """Refuse at once what would fail later, and open the encoder that judges."""
    for one in run.each_encoder():
        if settings.level not in one.encoder.levels:
            raise unknown_name(f"level of encoder {one.encoder.name!r}", settings.level, one.encoder.levels)
        refuse_without_gradients(one.encoder, settings.level)
        if one.decoder is not None:
            check_match(one.encoder, (settings.level,), one.decoder)
    images, labelled = run.images, run.images.labels is not None
    for entry in settings.entries:
        if entry.needs_labels and not labelled:
            raise UserError(
                f"{entry.name} attacks a decision and needs labels, and {images.name} has none",
                "sort them into a subfolder for each class, or use --attack Displacement, which needs no labels",
            )
        check_classes(entry, len(images.class_names))
    least = 2 * LEAST_IMAGES if labelled else LEAST_IMAGES
    if len(images) < least:
        raise UserError(f"{images.name} has {len(images)} images", f"attack and classifier need at least {least}")
    attacked, training = split(run, settings)
    used = {"attacked": len(attacked), "training the classifiers": len(training)}
    told = {"data_card": {use: count for use, count in used.items() if count}}
    if settings.judge is None:
        return Ready(cards=told)
    judge = _judge(run, settings)
    hashes = {"judge": judge.fingerprint}
    return Ready(settings=replace(settings, judge=judge.name), own=judge, hashes=hashes, cards=told)


def _judge(run: Context, settings: Adversarial) -> Encoder:
    """The encoder that tells the class of samples: one of its own, with a backbone."""
    if not (run.decoders and settings.rendered):
        raise UserError("--judge looks at samples, and none are drawn", "give an RCDM (--rcdm), or leave out --judge")
    judge: Any = settings.judge
    device = device_of(run.encoders[0])
    if isinstance(judge, str):
        judge = load_encoder(judge, levels=(LEVEL,), device=str(device))
    judge = judge.to(device)
    if LEVEL not in judge.levels:
        raise unknown_name(f"level of {judge.name}", LEVEL, judge.levels)
    if judge.name in [encoder.name for encoder in run.encoders]:
        raise UserError(f"{judge.name} is under attack itself", "name another encoder with --judge")
    if run.images.labels is None:
        raise UserError(
            f"{judge.name} is to judge classes, and {run.images.name} has none",
            "sort the images into a subfolder for each class, or leave out --judge",
        )
    return judge


def measure(run: Context, settings: Adversarial) -> Iterator[pd.DataFrame | Panel]:
    """Attack several encoders on the same images, by attacks that stand beside random noise of the same budget.

    =========================  ========================================================================================
    measure                    value; ``condition``; ``strength`` (the budget, 0 for the untouched image)
    =========================  ========================================================================================
    ``correct``                whether the linear classifier sees the true class; attack or noise; budget
    ``relative_displacement``  distance of h(x + d) from h(x) over the typical distance of two images; the same
    ``cosine``                 cosine of h(x + d) and h(x); the same
    ``smallest_budget``        smallest budget known to flip the decision, infinite where none did; attack
    ``class_seen``             whether the judge sees the true class in a sample from h(x + d); attack or noise; budget
    ``transferred``            ``correct`` under the adversaries made for another encoder; that encoder; budget
    ``effort``                 ``strength`` of the attack after more and more work; what was done; budget
    ``change``                 difference of the attack's loss between two near points; the first attack
    ``foretold``               the same as its gradient foretells it, 0 where that vanishes; the first attack
    ``perturbation``           size of the perturbation over the budget; attack; budget
    ``out_of_range``           how far a pixel of the attacked image lies outside [0, 1]; attack; budget
    ``unchanged``              whether the attack, run with a budget of 0, leaves the decision as it was; attack; 0
    ``classifier``             of no image: accuracy on held-out images, penalty, or number of training images; which
    =========================  ========================================================================================

    Label-needing attacks are run on the images that the classifier gets right, for the others are lost already.
    """
    first, checked = settings.entries[0], next((entry for entry in settings.entries if entry.iterated), None)
    studies: dict[str, Study] = {}
    found: dict[str, dict[float, Adversaries]] = {}  # of each encoder, by the first attack: the others' are not kept
    for one in run.each_encoder():
        study = study_of(one, settings)
        studies[study.name] = study
        yield from _untouched_records(study)
        yield from _noise_records(study)
        yield from zero_records(study)
        yield from gradient_records(study, first)
        for entry in settings.entries:
            adversaries = study.attack(entry)
            yield from _attack_records(study, entry, adversaries)
            if entry is checked:
                yield from effort_records(study, entry, adversaries)
            if entry is first:
                found[study.name] = adversaries
    if first.needs_labels:
        budget = settings.middle(first)
        at_budget = {name: adversaries[budget] for name, adversaries in found.items()}
        yield from transfer_records(studies, first, at_budget, budget)
    yield from _drawn(run, studies, first, found)


def _untouched_records(study: Study) -> Iterator[pd.DataFrame]:
    """The decision on untouched images, and what the classifier is; nothing without labels."""
    classifier = study.target.classifier
    if classifier is None:
        return
    yield study.records("correct", study.right.numpy(), strength=0.0)
    facts = {"held-out accuracy": classifier.held_out_accuracy, "penalty": classifier.penalty}
    for name, value in (facts | {"training images": classifier.images}).items():
        yield study.run.records("classifier", [value], [-1], level=study.target.level, condition=name)


def _attack_records(study: Study, entry: Entry, found: Mapping[float, Adversaries]) -> Iterator[pd.DataFrame]:
    """What the attack did: ``correct``, displacement, cosine, the smallest budget, and where it stayed."""
    rows = study.rows_of(entry)
    victims = study.victims[rows]
    for budget, adversaries in found.items():
        at: dict[str, Any] = {"condition": entry.name, "strength": budget}
        yield from _moved(study, adversaries.h, rows, **at)
        moved = size(adversaries.images, victims.images, entry.norm) * entry.scale / budget
        beyond = torch.maximum(adversaries.images - 1, -adversaries.images).flatten(1).amax(1).clamp(min=0)
        yield study.records("perturbation", moved, rows, **at)
        yield study.records("out_of_range", beyond, rows, **at)
    if entry.needs_labels:
        smallest = smallest_budget(study.target, victims, list(found.items()))
        yield study.records("smallest_budget", smallest, rows, condition=entry.name)


def _noise_records(study: Study) -> Iterator[pd.DataFrame]:
    """What random noise of the same budgets does."""
    every = torch.arange(len(study.victims))
    settings = study.run.settings
    first_of = {entry.norm: entry for entry in reversed(settings.entries)}
    for entry in (first_of[norm] for norm in NOISE if norm in first_of):
        for budget in settings.budgets(entry):
            h = study.target.represent(study.noisy(entry, budget, every))
            yield from _moved(study, h, every, condition=entry.noise, strength=budget)


def _moved(study: Study, h: torch.Tensor, rows: torch.Tensor, **at: Any) -> Iterator[pd.DataFrame]:
    """Displacement and cosine on these rows, and the decision on all images: those not attacked were wrong before."""
    origin = study.victims.h[rows]
    yield study.records("relative_displacement", study.target.displacement(h, origin), rows, **at)
    yield study.records("cosine", study.target.cosine(h, origin), rows, **at)
    if study.victims.labels is not None:
        correct = torch.zeros(len(study.victims), dtype=torch.bool)
        correct[rows] = study.target.predict(h) == study.victims.labels[rows]
        yield study.records("correct", correct.numpy(), **at)


@dataclass(frozen=True, eq=False)
class _Version:
    """The pictured rows in one state: what it is called in a panel and in records."""

    heading: str
    condition: str
    strength: float
    images: torch.Tensor


def _versions(study: Study, entry: Entry, found: Mapping[float, Adversaries], rows: torch.Tensor) -> list[_Version]:
    """These rows untouched, under the largest noise, and attacked within every budget."""
    largest = study.run.settings.budgets(entry)[-1]
    places = torch.searchsorted(study.rows_of(entry), rows)
    return [
        _Version("h(x)", "", 0.0, study.victims.images[rows]),
        _Version("h(x + noise)", entry.noise, largest, study.noisy(entry, largest, rows)),
        *(
            _Version(f"{entry.name} {budget:g}", entry.name, budget, adversaries.images[places])
            for budget, adversaries in found.items()
        ),
    ]


def _drawn(
    run: Context, studies: Mapping[str, Study], entry: Entry, found: Mapping[str, Mapping[float, Adversaries]]
) -> Iterator[pd.DataFrame | Panel]:
    """Samples from ``h(x)``, ``h(x + noise)`` and ``h(x + attack)``, on images that every encoder gets right."""
    settings = run.settings
    right = torch.stack([study.right for study in studies.values()]).all(0)
    rows = torch.nonzero(right).flatten()[: settings.rendered]
    if not len(rows):
        return
    versions = {name: _versions(study, entry, found[name], rows) for name, study in studies.items()}
    read, samples = _reader(run), {}
    for name, study in studies.items():
        if study.run.decoder is None:
            continue
        h = study.target.represent(torch.cat([version.images for version in versions[name]]))
        numbers = study.numbers(rows) * len(versions[name])
        drawn = study.run.render("attacked", settings.level, h, numbers)[:, 0].split(len(rows))
        samples[name] = {version.heading: part for version, part in zip(versions[name], drawn, strict=True)}
        if read is None or study.victims.labels is None:
            continue
        labels = study.victims.labels[rows].numpy()
        for version, part in zip(versions[name], drawn, strict=True):
            at: dict[str, Any] = {"condition": version.condition, "strength": version.strength}
            yield study.records("class_seen", read(part) == labels, rows, **at)
    originals = next(iter(studies.values())).victims.images[rows[: settings.pictures]]
    for place, original in enumerate(originals if samples else ()):
        shown = {name: {heading: part[place] for heading, part in own.items()} for name, own in samples.items()}
        yield drawn_panel(place + 1, shown, original)
    control = next(iter(versions.values()))[1]
    moved = {"noise": control.images[0], **{name: states[-1].images[0] for name, states in versions.items()}}
    yield perturbations_panel(originals[0], moved)


def _reader(run: Context) -> Callable[[torch.Tensor], np.ndarray] | None:
    """Who tells the class of pictures ``[N, 3, S, S]``, ``[N]``; None where no one does.

    On scenes that is the judge, trained to read factors off images. On other labelled images it can be an encoder with
    a linear classifier on its backbone, trained on images that nobody attacks.
    """
    if run.own is None:
        judge = run.judge
        return None if judge is None else lambda pictures: judge.read(pictures)["class"].to_numpy()
    reader = replace(run, encoders=(run.own,), levels=(LEVEL,))
    classifier = classifier_on(reader, LEVEL, split(run, run.settings)[1])
    return lambda pictures: classifier.logits(reader.encode(pictures)[LEVEL]).argmax(1).numpy()


def drawn_panel(number: int, samples: Mapping[str, Mapping[str, torch.Tensor]], image: torch.Tensor) -> Panel:
    """Samples of one image from every encoder, untouched, under noise and under attack.

    Args:
        number: Number of the image among the pictures, from 1.
        samples: Of each encoder, what is drawn under each heading, ``[3, S, S]``, with the S of its RCDM; the same
            headings for all. All are shown at the largest size.
        image: The image untouched, ``[3, S', S']``.
    """
    drawn = at_one_size(torch.stack(list(row.values())) for row in samples.values())
    rows = [torch.cat([resize(image[None], row.shape[-1]), row]) for row in drawn]
    headings: Sequence[str] = list(next(iter(samples.values())))
    return Panel(f"attacked_{number}", torch.stack(rows), tuple(samples), ("image", *headings))


def perturbations_panel(image: torch.Tensor, moved: Mapping[str, torch.Tensor]) -> Panel:
    """One image ``[3, S, S]`` as it was moved, by noise and against each encoder; and the moves amplified."""
    largest = max(float((version - image).abs().max()) for version in moved.values())
    factor = max(1, round(0.5 / max(largest, 1e-9)))
    top = torch.stack([image, *moved.values()])
    bottom = (0.5 + factor * (top - image)).clamp(0, 1)
    names = ("image", f"difference, × {factor}")
    return Panel("perturbations", torch.stack([top, bottom]), names, ("untouched", *moved))
