"""The adversarial study: how several encoders stand the same attacks, from arguments to a report.

A study is prepared (everything is loaded and checked, nothing is computed), conducted (probe, then statistics) and
saved (report, figures, tables). The command line does the three with a run folder; `adversarial` does the first two.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from analyses import adversarial as analysis
from probes.adversarial import AdversarialSettings, measure
from probes.adversarial.attacks import ATTACKS
from probes.adversarial.measurement import check
from probes.adversarial.reading import LEVEL
from probes.adversarial.robustness import NOISE
from probes.adversarial.settings import LEAST_IMAGES
from probes.adversarial.study import split
from rcdm_core.cache import cache_folder
from rcdm_core.encoders.catalogue import EMBEDDED
from rcdm_core.errors import UserError
from rcdm_core.progress import Progress, silent
from rcdm_probe import runs
from rcdm_probe.device import choose_device
from rcdm_probe.facts import data_card, encoder_card, fingerprint_of, rcdm_names, weights_name
from rcdm_probe.opening import RCDMSource, by_name, open_encoder, open_encoders, open_images, open_judge, open_rcdms
from rcdm_probe.studies import ProbeResult, carry_out
from reports import adversarial as report

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders import Encoder
    from rcdm_core.linear_classifier import LinearClassifier
    from rcdm_core.rcdm import RCDM
    from rcdm_core.zoo.judge import Judge

REFERENCE = "supervised"
"""The encoder that the others are compared with, unless another one is named."""


@dataclass(frozen=True)
class AdversarialResult(ProbeResult):
    """What an adversarial study found.

    The records are those of `probes.adversarial`, the tables ``robustness``, ``budgets``, ``rendered``, ``effort``,
    ``transfers``, ``gradients``, ``controls`` and ``comparison``; the verdicts are on finding 3, for each encoder and
    aspect.

    Attributes:
        classifiers: The linear classifier on each encoder; none without labels.
    """

    classifiers: Mapping[str, LinearClassifier]

    def _write(self, folder: Path) -> Path:
        content = report.Content(
            **self.tables,
            smallest=self.records[self.records["measure"] == "smallest_budget"],
            panels=self.panels,
            classifiers=self.classifiers,
            verdicts=self.verdicts,
            run=self.run,
        )
        return report.write(folder, content)


@dataclass(frozen=True)
class Study:
    """An adversarial study, ready to be conducted; the reference is the first of the encoders."""

    encoders: tuple[Encoder, ...]
    images: ImageSet
    rcdms: Mapping[str, RCDM]
    judge: Judge | Encoder | None
    settings: AdversarialSettings
    facts: runs.Facts


def adversarial(
    encoders: str | Encoder | Sequence[str | Encoder] | None = None,
    data: str | Path = "scenes",
    *,
    reference: str = REFERENCE,
    rcdm: RCDMSource | None = None,
    weights: Mapping[str, str | Path] | None = None,
    judge: str | Encoder | None = None,
    device: str = "auto",
    workdir: str | Path | None = None,
    progress: Progress = silent,
    **settings: Any,
) -> AdversarialResult:
    """How encoders stand adversarial perturbations, each beside a reference.

    Args:
        encoders: Names or encoders; None for the embedded ones.
        data: ``"scenes"``, a folder with a subfolder for each class, or the name of a torchvision data set.
        reference: Name of the encoder that the others are compared with; added where it is not among them.
        rcdm: What draws from representations: a folder, an RCDM, several of them, or ``"none"``. By default the one of
            each encoder.
        weights: By name of the encoder, a file of weights instead of its own, or ``"random"``.
        judge: Encoder, none of those under attack, that tells the class of samples through a linear classifier. By
            default the embedded judge on scenes, and none on other images.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        workdir: Folder in which finished parts are kept: the same call goes on from them. None keeps nothing.
        progress: Told of every long loop.
        **settings: Fields of `probes.adversarial.AdversarialSettings`, such as ``attacks=("PGD",)`` or ``seed=0``.

    Returns:
        Records, pictures, tables and verdicts; ``.save(folder)`` writes the report.

    Raises:
        UserError: An argument is mistaken; says which, and the remedy.
    """
    begin = partial(
        prepare, encoders, data, reference=reference, rcdm=rcdm, weights=weights, judge=judge, device=device, **settings
    )
    return carry_out(begin, conduct, workdir=workdir, progress=progress)


def prepare(
    encoders: str | Encoder | Sequence[str | Encoder] | None = None,
    data: str | Path = "scenes",
    *,
    reference: str = REFERENCE,
    rcdm: RCDMSource | None = None,
    weights: Mapping[str, str | Path] | None = None,
    judge: str | Encoder | None = None,
    device: str = "auto",
    command: str = "",
    progress: Progress = silent,
    **settings: Any,
) -> Study:
    """Load and check all that an adversarial study needs; arguments as in `adversarial`.

    Args:
        encoders: Names or encoders.
        data: Name, or folder.
        reference: Name of the reference.
        rcdm: Folder, RCDM, several of them, word or None.
        weights: Files of weights by name of the encoder.
        judge: Who tells the class of samples.
        device: Where to compute.
        command: The command line, for the record; empty for a call from Python.
        progress: Told of every long loop.
        **settings: Fields of `AdversarialSettings`.

    Raises:
        UserError: An argument is mistaken.
    """
    chosen = AdversarialSettings(**settings)
    device = choose_device(device)
    named, weights = _with_reference(by_name(encoders, EMBEDDED), reference), weights or {}
    asked = [(encoder, chosen.level) for encoder in named.values()]
    opened = open_encoders(asked, weights, device=device, progress=progress)
    rcdms = open_rcdms(rcdm, opened, (chosen.level,), device=device, progress=progress)
    if judge is not None and not (rcdms and chosen.rendered):
        raise UserError("--judge looks at samples, and none are drawn", "give an RCDM (--rcdm), or leave out --judge")
    reader = _open_reader(judge, named, device=device, progress=progress)
    images = open_images(
        data,
        seen_by=(*opened, *rcdms.values()),
        least=LEAST_IMAGES,
        limit=chosen.images + chosen.training,
        seed=chosen.seed,
        progress=progress,
    )
    check(opened, images, rcdms, chosen)
    if reader is not None and images.labels is None:
        raise UserError(
            f"{reader.name} is to judge classes, and {images.name} has none",
            "sort the images into a subfolder for each class, or leave out --judge",
        )
    judging = reader or (open_judge(images, device=device) if rcdms else None)
    names = [encoder.name for encoder in opened]
    facts = runs.collect_facts(
        "adversarial",
        command=command or f"rcdm_probe.adversarial({names!r}, {str(data)!r}, ...)",
        arguments={
            "encoder": "+".join(names),
            "reference": names[0],
            "data": str(data),
            **asdict(chosen),
            "weights": weights_name(weights),
            "judge": reader.name if reader else None,
            "rcdm": rcdm_names(rcdm, opened, (chosen.level,)),
            "device": device,
        },
        hashes={
            **{encoder.name: encoder.fingerprint for encoder in opened},
            **{f"rcdm of {name}": fingerprint_of(decoder) for name, decoder in rcdms.items()},
            "judge": fingerprint_of(judging),
            "data": images.fingerprint,
        },
        device=device,
        encoder_cards={encoder.name: encoder_card(encoder, (chosen.level,)) for encoder in opened},
        data_card=data_card(images) | _uses(images, chosen),
    )
    return Study(tuple(opened), images, rcdms, judging, chosen, facts)


def conduct(study: Study, *, workdir: Path | None = None, progress: Progress = silent) -> AdversarialResult:
    """Measure, then draw the conclusions.

    Args:
        study: From `prepare`.
        workdir: Where finished parts are kept, so that an interrupted measurement goes on from them.
        progress: Told of every long loop.
    """
    settings, reference = study.settings, study.encoders[0].name
    measured = measure(
        study.encoders,
        study.images,
        rcdms=study.rcdms,
        judge=study.judge,
        settings=settings,
        cache=cache_folder(),
        workdir=workdir,
        progress=progress,
    )
    records, seed, attack = measured.records, settings.seed, settings.attacks[0]
    tables = {
        "robustness": analysis.robustness_table(records, seed=seed),
        "budgets": analysis.budget_table(records, seed=seed),
        "rendered": analysis.rendered_table(records, seed=seed),
        "effort": analysis.effort_table(records),
        "transfers": analysis.transfer_table(records, attack, seed=seed),
        "gradients": analysis.gradient_table(records, attack, NOISE[ATTACKS[attack].norm], seed=seed),
        "controls": analysis.controls_table(records),
        "comparison": analysis.comparison_table(records, reference, attack, seed=seed),
    }
    verdicts = analysis.robustness_verdicts(
        tables["comparison"],
        reference=reference,
        attack=attack,
        is_ssl={encoder.name: encoder.is_ssl for encoder in study.encoders},
        doubted=analysis.doubts(tables["gradients"], tables["transfers"]),
    )
    return AdversarialResult(records, measured.panels, tables, verdicts, study.facts, measured.classifiers)


def _uses(images: ImageSet, settings: AdversarialSettings) -> dict[str, int]:
    """What the images are used for, and how many."""
    drawn = split(images, settings)
    used = {"attacked": len(drawn.attacked), "training the classifiers": len(drawn.training)}
    return {use: count for use, count in used.items() if count}


def _with_reference(named: Mapping[str, str | Encoder], reference: str) -> dict[str, str | Encoder]:
    """Encoders by name, the reference first."""
    if len(named) == 1 and reference in named:
        raise UserError(f"{reference} is compared with nothing", "name another encoder with --encoder")
    return {reference: reference, **named}


def _open_reader(
    judge: str | Encoder | None, attacked: Collection[str], *, device: str, progress: Progress
) -> Encoder | None:
    """The encoder that judges samples: one of its own, with a backbone."""
    if judge is None:
        return None
    reader, _ = open_encoder(judge, level=LEVEL, device=device, progress=progress)
    if reader.name in attacked:
        raise UserError(f"{reader.name} is under attack itself", "name another encoder with --judge")
    return reader
