"""The whole paper in one study: all four findings and fidelity, on several encoders, from arguments to one report.

Every probe is a run of its own, with its own folder beside this one's: a finished run of the same arguments, weights,
data and code is taken and not run again, an open one goes on. So the study resumes by itself, and everything it says
can be looked up in the report of the probe that said it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from analyses.wording import listed
from probes.adversarial import PROBE as ADVERSARIAL
from probes.fidelity import PROBE as FIDELITY
from probes.generate import PROBE as GENERATE
from probes.interpolate import PROBE as INTERPOLATE
from probes.invariance import LEAST
from probes.invariance import PROBE as INVARIANCE
from probes.manipulate import PROBE as MANIPULATE
from probes.rendering import drawable, starting_noise
from rcdm_core.encoders.catalogue import EMBEDDED
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.images import at_one_size, resize
from rcdm_core.kept import NotKept
from rcdm_core.progress import track
from rcdm_core.representations import encode
from rcdm_probe import conduct as conducting
from rcdm_probe import reproduction_report as report
from rcdm_probe import runs
from rcdm_probe.device import choose_device
from rcdm_probe.facts import data_card, encoder_card, rcdm_names, weights_name
from rcdm_probe.opening import OpenedRCDMs, RCDMSource, by_name, open_encoders, open_images, open_rcdms
from rcdm_probe.studies import carry_out, carry_out_in
from reports.names import sentence
from reports.panels import Panel

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from probes.probe import Probe
    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders import Encoder
    from rcdm_core.progress import Progress
    from rcdm_core.rcdm import RCDM
    from rcdm_probe.reproduction_report import Part

PICTURES = 5  # images of the first page

PROBES: Mapping[str, Probe] = {
    probe.name: probe for probe in (INVARIANCE, ADVERSARIAL, INTERPOLATE, MANIPULATE, GENERATE, FIDELITY)
}
"""Probes that the paper's findings, and the trust in the decoder, rest on."""

SCALES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "quick": {name: probe.quick for name, probe in PROBES.items()},
    "full": {name: {} for name in PROBES},
}
"""How much each probe measures: its settings where they are not its defaults."""


@dataclass(frozen=True)
class Step:
    """One probe to be run.

    Attributes:
        probe: Its name.
        study: Ready to be conducted: what it needs is known to be there.
        conduct: Takes the study and ``workdir``; gives the result.
    """

    probe: str
    study: Any
    conduct: Callable[..., Any]

    @property
    def facts(self) -> runs.Facts:
        """What is known of its run."""
        return self.study.facts


@dataclass(frozen=True)
class ReproductionResult:
    """What a reproduction found.

    Attributes:
        parts: The finished run of every probe.
        kept: Samples from each representation of a few images; None without an RCDM.
        is_ssl: Of each encoder, whether it is self-supervised; None if not known.
        lacking: What could not be measured, with the reason.
        run: The content of ``run.json``.
    """

    parts: tuple[Part, ...]
    kept: Panel | None
    is_ssl: Mapping[str, bool | None]
    lacking: Mapping[str, str]
    run: runs.Facts

    @property
    def content(self) -> report.Content:
        """What the report tells."""
        return report.Content(parts=self.parts, kept=self.kept, is_ssl=self.is_ssl, lacking=self.lacking, run=self.run)

    @property
    def findings(self) -> pd.DataFrame:
        """Every verdict of every probe, beside what the paper claims."""
        return self.content.findings

    def save(self, folder: str | Path) -> Path:
        """Write ``report.pdf``, ``report.html``, figures, tables and ``run.json``; gives the path of the PDF.

        Raises:
            UserError: The folder cannot be written.
        """
        records = self.findings[["finding", "aspect", "level", "encoder", "value", "low", "high"]]
        return runs.save(
            Path(folder), records=records, facts=self.run, write=partial(report.write, content=self.content)
        )


@dataclass(frozen=True)
class Study:
    """A reproduction, ready to be conducted."""

    encoders: tuple[Encoder, ...]
    images: ImageSet
    rcdms: Mapping[str, RCDM]
    steps: tuple[Step, ...]
    lacking: Mapping[str, str]
    root: Path
    facts: runs.Facts


def reproduce(
    encoders: str | Encoder | Sequence[str | Encoder] | None = None,
    data: str | Path = "scenes",
    *,
    scale: str = "full",
    weights: Mapping[str, str | Path] | None = None,
    rcdm: RCDMSource | None = None,
    seed: int = 0,
    device: str = "auto",
    root: str | Path = "runs",
    progress: Progress | None = None,
) -> ReproductionResult:
    """All four findings of the paper and fidelity, on several encoders.

    Args:
        encoders: Names or encoders; None for the embedded ones. The first that is known not to be self-supervised is
            what finding 3 compares the others with.
        data: ``"scenes"``, a folder of images, or the name of a torchvision data set.
        scale: A key of `SCALES`.
        weights: By name of the encoder, a file of weights instead of its own, or ``"random"``.
        rcdm: What draws from representations: a folder, an RCDM, several of them, or ``"none"``, which leaves out what
            needs pictures. By default the one of each encoder.
        seed: Of everything that is drawn.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        root: Where the run folders of the probes are looked for, and go.
        progress: Told of every long loop.

    Returns:
        The findings and the runs that they come from; ``.save(folder)`` writes the report.

    Raises:
        UserError: An argument is mistaken.
    """
    begin = partial(
        prepare, encoders, data, scale=scale, weights=weights, rcdm=rcdm, seed=seed, device=device, root=Path(root)
    )
    return carry_out(begin, conduct, progress=progress)


def prepare(
    encoders: str | Encoder | Sequence[str | Encoder] | None = None,
    data: str | Path = "scenes",
    *,
    scale: str = "full",
    weights: Mapping[str, str | Path] | None = None,
    rcdm: RCDMSource | None = None,
    seed: int = 0,
    device: str = "auto",
    root: Path = Path("runs"),
    command: str = "",
) -> Study:
    """Load and check all that a reproduction needs, every probe's part included; arguments as in `reproduce`.

    Args:
        encoders: Names or encoders.
        data: Name, or folder.
        scale: A key of `SCALES`.
        weights: Files of weights by name of the encoder.
        rcdm: Folder, RCDM, several of them, word or None.
        seed: Of everything that is drawn.
        device: Where to compute.
        root: Where run folders are.
        command: The command line, for the record; empty for a call from Python.

    Raises:
        UserError: An argument is mistaken, or no probe can be run.
    """
    if scale not in SCALES:
        raise unknown_name("scale", scale, SCALES)
    device = choose_device(device)
    named, weights = by_name(encoders, EMBEDDED), weights or {}
    names = list(named)
    opened = open_encoders([(encoder, None) for encoder in named.values()], weights, device=device)
    levels = tuple(dict.fromkeys(level for encoder in opened for level in encoder.levels))
    rcdms = open_rcdms(rcdm, opened, levels, device=device)
    images = open_images(
        data,
        seen_by=(*opened, *rcdms.values()),
        least=LEAST,
        limit=max(PICTURES, LEAST),
        seed=seed,
    )
    command = command or f"rcdm_probe.reproduce({names!r}, {str(data)!r}, ...)"
    common = {"rcdm": OpenedRCDMs(rcdm, rcdms), "device": device, "seed": seed, "command": command}
    steps, lacking = _plan(opened, weights, str(data), images, rcdms, scale, common)
    facts = runs.collect_facts(
        "reproduce",
        command=command,
        arguments={
            "encoder": "+".join(names),
            "data": str(data),
            "scale": scale,
            "weights": weights_name(weights),
            "rcdm": "default" if rcdm is None else rcdm_names(rcdm, opened, levels),
            "seed": seed,
            "device": device,
        },
        hashes=_hashes(opened, rcdms, steps),
        device=device,
        encoder_cards={encoder.name: encoder_card(encoder, encoder.levels) for encoder in opened},
        data_card={key: value for key, value in data_card(images).items() if key != "images"},  # each probe's to say
    )
    return Study(tuple(opened), images, rcdms, steps, lacking, root, facts)


def conduct(study: Study, *, workdir: Path | None = None) -> ReproductionResult:
    """Run every probe, or take its finished run, and draw the picture of the first page.

    A probe that turns out not to be possible (a collapsed level, say) is lacking in the result; the others are not lost
    with it. What cannot be written ends it all: on a full disk none could go on.

    Args:
        study: From `prepare`.
        workdir: Not needed: every probe keeps its own parts.

    Raises:
        UserError: No probe could be run.
    """
    parts: list[Part] = []
    lacking, failures = dict(study.lacking), []
    for step in track(study.steps, "probes", len(study.steps)):
        try:
            parts.append(_run(step, study.root))
        except NotKept:
            raise
        except UserError as error:
            lacking[_not_run(step.probe, _encoders_of(step.facts))] = sentence(str(error))
            failures.append(error)
    if failures and not parts:
        raise failures[0]
    is_ssl = {encoder.name: encoder.is_ssl for encoder in study.encoders}
    return ReproductionResult(tuple(parts), _kept(study), is_ssl, lacking, study.facts)


def _plan(
    encoders: Sequence[Encoder],
    weights: Mapping[str, str | Path],
    data: str,
    images: ImageSet,
    rcdms: Collection[str],
    scale: str,
    common: Mapping[str, Any],
) -> tuple[tuple[Step, ...], dict[str, str]]:
    """The probes that these encoders and images allow, each prepared, and what is lacking for the others.

    Raises:
        UserError: They allow none.
    """
    settings = SCALES[scale]
    steps: list[Step] = []
    lacking: dict[str, str] = {}
    failures: list[UserError] = []

    # Where a file was named, a probe opens it itself, so that its run is known by it.
    whom = {encoder.name: encoder.name if encoder.name in weights else encoder for encoder in encoders}

    def add(probe: str, looked_into: Sequence[Encoder], **more: Any) -> None:
        try:
            study = conducting.prepare(PROBES[probe], data=data, **common, **settings[probe], **more)
        except UserError as error:
            lacking[_not_run(probe, [encoder.name for encoder in looked_into])] = sentence(str(error))
            failures.append(error)
        else:
            steps.append(Step(probe, study, conducting.conduct))

    def add_of_one(probe: str, encoder: Encoder) -> None:
        add(probe, [encoder], encoder=whom[encoder.name], weights=weights.get(encoder.name))

    def add_of_several(probe: str, several: Sequence[Encoder], **more: Any) -> None:
        theirs = {encoder.name: weights[encoder.name] for encoder in several if encoder.name in weights}
        add(probe, several, encoder=[whom[encoder.name] for encoder in several], weights=theirs, **more)

    for encoder in encoders:
        add_of_one("invariance", encoder)
    if len(encoders) > 1:
        reference = next((encoder for encoder in encoders if encoder.is_ssl is False), encoders[0])
        attack = {} if images.class_names else {"attacks": ("Displacement",)}
        add_of_several("adversarial", encoders, reference=reference.name, **attack)
    else:
        lacking["Finding 3 was not tested."] = "It compares encoders: name another one, best a supervised one."
    drawn = [encoder for encoder in encoders if encoder.name in rcdms]
    for name, probe in PROBES.items():
        if probe.needs.decoder == "must" and probe.needs.encoders == "one":
            for encoder in drawn:
                add_of_one(name, encoder)
    if drawn:
        add_of_several("fidelity", drawn)
    if undrawn := [encoder.name for encoder in encoders if encoder not in drawn]:
        lacking[f"Nothing was drawn from {', '.join(undrawn)}."] = (
            "That needs an RCDM trained on its representations (rcdm-probe train), given with --rcdm; finding 4 and "
            "fidelity rest on it."
        )
    if not steps:
        raise failures[0]
    return tuple(steps), lacking


def _not_run(probe: str, encoders: Sequence[str]) -> str:
    return f"The probe {probe} was not run on {listed(encoders)}."


def _hashes(encoders: Sequence[Encoder], rcdms: Mapping[str, RCDM], steps: Sequence[Step]) -> dict[str, str]:
    """Fingerprints of everything that the probes work on, each once: two probes may take other images of the data."""
    out = {encoder.name: encoder.fingerprint for encoder in encoders}
    out |= {f"rcdm of {name}": rcdm.fingerprint for name, rcdm in rcdms.items()}
    for step in steps:
        for name, value in step.facts["hashes"].items():
            if value and value not in out.values():
                whose = f"{name} of {step.probe}"
                longest = f"{whose} on {listed(_encoders_of(step.facts))}"
                out[next(label for label in (name, whose, longest) if label not in out)] = value
    return out


def _run(step: Step, root: Path) -> Part:
    """The finished run of a probe: one that is there, or a new one."""
    folder = runs.finished(step.facts, root=root)
    if folder is None:
        run = runs.begin(step.facts, out=None, root=root)
        carry_out_in(run, step.study, step.conduct)
        folder = run.folder
    return read_part(folder)


def read_part(folder: Path) -> Part:
    """A finished run of a probe, as its folder tells it.

    Raises:
        UserError: The folder holds no finished run with its report.
    """
    facts = runs.read_facts(folder)
    try:
        document = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        document = None
    if facts is None or document is None:
        raise UserError(f"{folder} does not hold a finished run", "remove it, and it is measured again")
    tables = {path.stem: pd.read_csv(path, keep_default_na=True) for path in sorted((folder / "tables").glob("*.csv"))}
    return report.Part(facts["probe"], _encoders_of(facts), folder, facts, document, tables)


def _encoders_of(facts: runs.Facts) -> tuple[str, ...]:
    """Names of the encoders that a run is about."""
    return tuple(facts["encoder_cards"]) if "encoder_cards" in facts else (facts["encoder_card"]["name"],)


def _kept(study: Study) -> Panel | None:
    """One sample from each representation of a few images, from equal noise along a row."""
    columns = list(_columns(study))
    if not columns:
        return None
    shown = list(range(min(PICTURES, len(study.images))))
    images, seed = study.images.images(shown), study.facts["seed"]
    drawn = []
    for encoder, level, rcdm in columns:
        h = encode(encoder, images)[level]
        noise = starting_noise(rcdm.image_size, [(i, 0) for i in shown], seed=seed)
        drawn.append(rcdm.sample(h, f"{encoder.name}/{level}", noise=noise, seed=seed))
    samples = at_one_size(drawn)
    return Panel(
        "kept",
        torch.stack([resize(images, samples[0].shape[-1]), *samples], 1),
        ("",) * len(shown),
        ("image", *(f"{encoder.name}, {level}" for encoder, level, _ in columns)),
    )


def _columns(study: Study) -> Iterator[tuple[Encoder, str, RCDM]]:
    """Every level that can be drawn from."""
    for encoder in study.encoders:
        if (rcdm := study.rcdms.get(encoder.name)) is not None:
            for level in drawable(encoder, encoder.levels, rcdm):
                yield encoder, level, rcdm
