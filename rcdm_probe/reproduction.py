"""The whole paper in one study: every probe that there is, on several encoders, from arguments to one report.

Every probe is a run of its own, with its own folder beside this one's: a finished run of the same arguments, weights,
data and code is taken and not run again, an open one goes on. So the study resumes by itself, and everything it says
can be looked up in the report of the probe that said it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

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
from rcdm_probe.conduct import carry_out
from rcdm_probe.facts import data_card, encoder_card, network_hashes, rcdm_names, weights_name
from rcdm_probe.handing_on import Savable
from rcdm_probe.known_probes import load_probe, places
from rcdm_probe.opening import Asked, by_name, open_asked, open_images
from rcdm_probe.reproduction_report import findings_of
from reports import notebook
from reports.finished import FinishedRun
from reports.names import listed, sentence
from reports.panels import Panel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from probes.probe import Probe
    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders import Encoder
    from rcdm_core.progress import Progress
    from rcdm_core.rcdm import RCDM
    from rcdm_probe.opening import Opened, RCDMSource

PICTURES = 5  # images of the first page

SCALES = ("quick", "full")
"""How much each probe measures: as its ``quick`` says, or by default."""


@dataclass(frozen=True, repr=False)
class ReproductionResult(Savable, report.Content):
    """What a reproduction found; it can be saved, and shows itself in a notebook."""

    def _left(self) -> tuple[pd.DataFrame, runs.Facts, Callable[[Path], Path]]:
        records = self.findings[["finding", "aspect", "level", "encoder", "value", "low", "high"]]
        return records, self.run, partial(report.write, content=self)

    def __repr__(self) -> str:
        return f"<what a reproduction found on {', '.join(self.is_ssl)}: {len(self.findings)} findings>"

    def _repr_html_(self) -> str:
        title, subtitle = report.titles(self)
        return notebook.summary(
            title,
            subtitle,
            sentences=report.in_short(self),
            figure=self.kept.figure() if self.kept else None,
            saved=self.saved,
        )


@dataclass(frozen=True)
class Study:
    """A reproduction, ready to be conducted: its steps are studies of single probes."""

    encoders: tuple[Encoder, ...]
    images: ImageSet
    rcdms: Mapping[str, RCDM]
    steps: tuple[conducting.Study, ...]
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
    """All four findings of the paper, and what probes ask beyond it, on several encoders.

    Args:
        encoders: Names or encoders; None for the embedded ones. The first that is known not to be self-supervised is
            what finding 3 compares the others with.
        data: ``"scenes"``, a folder of images, or the name of a torchvision data set.
        scale: One of `SCALES`.
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
    asked = Asked(encoders, data, weights=weights, rcdm=rcdm, device=device)
    return carry_out(partial(prepare, asked, scale, seed, Path(root)), conduct, progress=progress)


def prepare(asked: Asked, scale: str = "full", seed: int = 0, root: Path = Path("runs")) -> Study:
    """Load and check all that a reproduction needs, every probe's part included.

    Args:
        asked: Encoders, by default the embedded ones, and images.
        scale: One of `SCALES`.
        seed: Of everything that is drawn.
        root: Where run folders are.

    Raises:
        UserError: An argument is mistaken, or no probe can be run.
    """
    if scale not in SCALES:
        raise unknown_name("scale", scale, SCALES)
    named = by_name(asked.encoder, EMBEDDED)
    command = asked.command or f"rcdm_probe.reproduce({list(named)!r}, {str(asked.data)!r}, ...)"
    opened = open_asked(replace(asked, encoder=list(named.values()), command=command), decoder="may")
    lacking: dict[str, str] = {}
    probes, device = _probes(lacking), opened.asked.device
    least = min(probe.needs.images for probe in probes)
    images = open_images(asked.data, seen_by=opened.networks, least=least, limit=max(PICTURES, least), seed=seed)
    settings = {probe.name: _settings(probe, images, scale) | {"seed": seed} for probe in probes}
    steps = _steps(probes, opened, settings, lacking)
    facts = runs.collect_facts(
        "reproduce",
        command=command,
        arguments={
            "encoder": "+".join(named),
            "data": str(asked.data),
            "scale": scale,
            "weights": weights_name(opened.weights),
            "rcdm": "default" if asked.rcdm is None else rcdm_names(opened),
            "seed": seed,
            "device": device,
        },
        hashes=_hashes(opened, steps),
        device=device,
        encoder_cards={encoder.name: encoder_card(encoder, encoder.levels) for encoder in opened.encoders},
        data_card={key: value for key, value in data_card(images).items() if key != "images"},  # each probe's to say
    )
    return Study(opened.encoders, images, opened.decoders, steps, lacking, root, facts)


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
    parts: list[FinishedRun] = []
    lacking, failures = dict(study.lacking), []
    for step in track(study.steps, "probes", len(study.steps)):
        try:
            parts.append(_run(step, study.root))
        except NotKept:
            raise
        except UserError as error:
            lacking[_not_run(step.probe.name, _encoders_of(step.facts))] = sentence(str(error))
            failures.append(error)
    if failures and not parts:
        raise failures[0]
    is_ssl = {encoder.name: encoder.is_ssl for encoder in study.encoders}
    return ReproductionResult(tuple(parts), _kept(study), is_ssl, lacking, study.facts)


def _probes(lacking: dict[str, str]) -> list[Probe]:
    """Every probe that there is, by the findings that it belongs to; those beyond the paper last.

    Of one that cannot be imported, the reason goes into ``lacking``.
    """
    found = []
    for name in places():
        try:
            found.append(load_probe(name))
        except UserError as error:
            lacking[f"The probe {name} was not run."] = sentence(str(error))
    return sorted(found, key=lambda probe: min(findings_of(probe), default=math.inf))


def _settings(probe: Probe, images: ImageSet, scale: str) -> dict[str, Any]:
    """What a probe is told where it is not the default."""
    return {**(probe.quick if scale == "quick" else {}), **({} if images.class_names else probe.unlabelled)}


def _steps(
    probes: Sequence[Probe], opened: Opened, settings: Mapping[str, Mapping[str, Any]], lacking: dict[str, str]
) -> tuple[conducting.Study, ...]:
    """The probes that these encoders and images allow, each prepared; what is lacking for the others is entered.

    Raises:
        UserError: They allow none.
    """
    asked, encoders = opened.asked, opened.encoders
    drawn = [encoder for encoder in encoders if encoder.name in opened.decoders]
    common: dict[str, Any] = {"data": asked.data, "rcdm": opened, "device": asked.device, "command": asked.command}
    steps: list[conducting.Study] = []
    failures: list[UserError] = []
    for probe in probes:
        able = drawn if probe.needs.decoder == "must" else encoders
        own = dict(settings[probe.name])
        if probe.needs.reference:
            if len(able) < 2:
                lacking[_not_tested(probe)] = "It compares encoders: name another one, best a supervised one."
                continue
            own["reference"] = next((one for one in able if one.is_ssl is False), able[0]).name
        for group in [able][: len(able)] if probe.needs.encoders == "several" else [[one] for one in able]:
            # Where a file was named, a probe opens it itself, so that its run is known by it.
            named = {one.name: one.name if one.name in opened.weights else one for one in group}
            weights = {name: opened.weights[name] for name in named if name in opened.weights}
            try:
                steps.append(conducting.prepare(probe, list(named.values()), weights=weights, **common, **own))
            except UserError as error:
                lacking[_not_run(probe.name, list(named))] = sentence(str(error))
                failures.append(error)
    if undrawn := [encoder.name for encoder in encoders if encoder not in drawn]:
        resting = listed([probe.name for probe in probes if probe.needs.decoder == "must"])
        lacking[f"Nothing was drawn from {', '.join(undrawn)}."] = (
            "That needs an RCDM trained on its representations (rcdm-probe train), given with --rcdm; "
            f"{resting} rest on it."
        )
    if not steps:
        raise failures[0]
    return tuple(steps)


def _not_tested(probe: Probe) -> str:
    findings = [str(finding) for finding in findings_of(probe)]
    return f"Finding {listed(findings)} was not tested." if findings else f"The probe {probe.name} was not run."


def _not_run(probe: str, encoders: Sequence[str]) -> str:
    return f"The probe {probe} was not run on {listed(encoders)}."


def _hashes(opened: Opened, steps: Sequence[conducting.Study]) -> dict[str, str]:
    """Fingerprints of everything that the probes work on, each once: two probes may take other images of the data."""
    out = network_hashes(opened)
    for step in steps:
        for name, value in step.facts["hashes"].items():
            if value and value not in out.values():
                whose = f"{name} of {step.probe.name}"
                longest = f"{whose} on {listed(_encoders_of(step.facts))}"
                out[next(label for label in (name, whose, longest) if label not in out)] = value
    return out


def _run(step: conducting.Study, root: Path) -> FinishedRun:
    """The finished run of a probe: one that is there, or a new one."""
    folder = runs.finished(step.facts, root)
    if folder is None:
        run = runs.begin(step.facts, None, root)
        run.carry_out(step, conducting.conduct)
        folder = run.folder
    return read_run(folder)


def read_run(folder: Path) -> FinishedRun:
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
    tables = {path.stem: _read_table(path) for path in sorted((folder / "tables").glob("*.csv"))}
    return FinishedRun(facts["probe"], _encoders_of(facts), folder, facts, document, tables)


def _read_table(path: Path) -> pd.DataFrame:
    """A table as it was written: a class 01 is not 1, and one that is called NA has a name."""
    names = dict.fromkeys(("file", "class", "encoder", "level", "condition"), str)
    empty = {column: [""] for column in pd.read_csv(path, nrows=0).columns if column not in ("file", "class")}
    return pd.read_csv(path, dtype=names, keep_default_na=False, na_values=empty)


def _encoders_of(facts: runs.Facts) -> tuple[str, ...]:
    """Names of the encoders that a run is about."""
    return tuple(facts["encoder_cards"]) if "encoder_cards" in facts else (facts["encoder_card"]["name"],)


def _kept(study: Study) -> Panel | None:
    """One sample from each representation of a few images, from equal noise along a row."""
    columns = [
        (encoder, level, rcdm)
        for encoder in study.encoders
        if (rcdm := study.rcdms.get(encoder.name)) is not None
        for level in drawable(encoder, encoder.levels, rcdm)
    ]
    if not columns:
        return None
    shown = list(range(min(PICTURES, len(study.images))))
    images = study.images.images(shown)
    drawn = []
    for encoder, level, rcdm in columns:
        h = encode(encoder, images)[level]
        noise = starting_noise(rcdm.image_size, [(i, 0) for i in shown], seed=study.facts["seed"])
        drawn.append(rcdm.sample(h, f"{encoder.name}/{level}", noise=noise, seed=study.facts["seed"]))
    samples = at_one_size(drawn)
    return Panel(
        "kept",
        torch.stack([resize(images, samples[0].shape[-1]), *samples], 1),
        ("",) * len(shown),
        ("image", *(f"{encoder.name}, {level}" for encoder, level, _ in columns)),
    )
