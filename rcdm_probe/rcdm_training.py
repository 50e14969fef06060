"""Training an RCDM, from arguments to its folder.

The folder is one of a run (`rcdm_probe.runs`): ``run.json`` says, before anything is computed, with what it is trained.
The same arguments go on from there; others are refused, with the name of the one that differs.
"""

from __future__ import annotations

import hashlib
import shlex
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pandas as pd

from probes.rendering import check_match
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.rcdm_training import Observation, RCDMTraining, train_rcdm
from rcdm_core.rcdm_training.beginning import encoders_at_hand
from rcdm_core.rcdm_training.training import numbers
from rcdm_core.training import LOSSES, join_processes
from rcdm_core.training_images import LEAST_IMAGES
from rcdm_probe import runs
from rcdm_probe.device import choose_device
from rcdm_probe.facts import data_card, encoder_card, fingerprint_of, weights_name
from rcdm_probe.opening import by_name, open_encoder, open_images
from reports.training import write_curves, write_samples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from accelerate.tracking import GeneralTracker

    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders import Encoder
    from rcdm_core.rcdm import RCDM


@dataclass(frozen=True)
class Training:
    """A training, ready to begin or to go on.

    Attributes:
        asked: The encoders, where this process computes, with their levels to train for.
        known: Encoders that the RCDM to begin with draws from.
        images: What to train on.
        settings: How.
        run: The run: its folder is where everything goes.
        is_main: Whether this process is the one that writes and speaks.
    """

    asked: Mapping[Encoder, tuple[str, ...]]
    known: list[Encoder]
    images: ImageSet
    settings: RCDMTraining
    run: runs.Run
    is_main: bool


def prepare(
    encoders: str | Encoder | Sequence[str | Encoder],
    data: str | Path,
    settings: RCDMTraining,
    *,
    out: Path,
    level: str | Sequence[str] | None = None,
    weights: Mapping[str, str | Path] = MappingProxyType({}),
    device: str = "auto",
) -> Training:
    """Load and check all that a training needs, and write ``run.json``; this process was begun with its command.

    Args:
        encoders: Name or encoder, or several; of a distillation, none takes all that the RCDM draws from.
        data: A folder of images, or a data set by name.
        settings: How to train.
        out: Folder of the RCDM.
        level: Level or levels of each encoder to train for; None for all that it has of itself, or that the RCDM draws
            from which is distilled.
        weights: Weights to use instead of an encoder's own, by its name.
        device: Where to compute.

    Raises:
        UserError: An argument is mistaken, or ``out`` holds something else.
    """
    kind = choose_device(device)
    processes = join_processes(kind)
    distilled = settings.start if settings.calls else None
    if distilled is None:
        asked = open_asked(encoders, level, weights, device=str(processes.device))
    else:
        asked = _open_drawn_from(distilled, encoders, weights, device=str(processes.device))
    known = encoders_at_hand(settings.start, asked) if settings.start and not distilled else []
    found = open_images(
        data,
        seen_by=(*asked, *known, settings.network),
        least=LEAST_IMAGES,
        limit=settings.images,
        seed=settings.loop.seed,
    )
    conditions = [f"{encoder.name}/{name}" for encoder, levels in asked.items() for name in levels]
    for name in settings.shares:
        if name not in conditions:
            raise unknown_name("condition of --share", name, conditions)
    arguments = {
        **told_of(asked, weights, data, settings.images),
        **{f"network.{name}": value for name, value in settings.network.to_dict().items()},
        **numbers(settings.loop),
        "every": settings.every,
        "looked_at": settings.looked_at,
        "start": fingerprint_of(settings.start),
        **({"shares": dict(settings.shares)} if settings.shares else {}),
        **({"calls": settings.calls} if distilled else {}),
    }
    verb = "distill" if distilled else "train"
    return Training(asked, known, found, settings, *begin_run(verb, asked, found, arguments, out=out, device=kind))


def open_asked(
    encoders: str | Encoder | Sequence[str | Encoder],
    level: str | Sequence[str] | None,
    weights: Mapping[str, str | Path],
    *,
    device: str,
) -> dict[Encoder, tuple[str, ...]]:
    """Encoders to train for, with their levels: those asked for, or all that an encoder has of itself."""
    named = by_name(encoders, ())
    for name in weights.keys() - named.keys():
        raise unknown_name("encoder of --weights", name, named)
    return dict(
        open_encoder(encoder, level=level, weights=weights.get(name), device=device) for name, encoder in named.items()
    )


def levels_of(rcdm: RCDM) -> dict[str, list[str]]:
    """Levels that an RCDM draws from, by name of the encoder."""
    levels: dict[str, list[str]] = {}
    for condition in rcdm.conditions:
        encoder, _, level = condition.rpartition("/")
        levels.setdefault(encoder, []).append(level)
    return levels


def _open_drawn_from(
    rcdm: RCDM, encoders: str | Encoder | Sequence[str | Encoder], weights: Mapping[str, str | Path], *, device: str
) -> dict[Encoder, tuple[str, ...]]:
    """Encoders that an RCDM draws from, with the levels at which it does."""
    levels = levels_of(rcdm)
    named = by_name(encoders, tuple(levels))
    for name in weights.keys() - named.keys():
        raise unknown_name("encoder of --weights", name, named)
    asked: dict[Encoder, tuple[str, ...]] = {}
    for name, encoder in named.items():
        if name not in levels:
            raise UserError(f"this RCDM does not draw from {name}", f"it draws from {', '.join(levels)}")
        opened, own = open_encoder(encoder, level=levels[name], weights=weights.get(name), device=device)
        check_match(opened, own, rcdm)
        asked[opened] = own
    return asked


def told_of(
    asked: Mapping[Encoder, Sequence[str]],
    weights: Mapping[str, str | Path],
    data: str | Path,
    images: int | None,
) -> dict[str, Any]:
    """What is trained for and on, as arguments in ``run.json``."""
    (first, levels), several = next(iter(asked.items())), len(asked) > 1
    return {
        "encoder": ", ".join(encoder.name for encoder in asked),
        "levels": {encoder.name: levels for encoder, levels in asked.items()} if several else levels,
        "weights": weights_name(weights) if several else str(weights[first.name]) if weights else None,
        "data": str(data),
        "images": images,
    }


def begin_run(
    kind: str,
    asked: Mapping[Encoder, tuple[str, ...]],
    images: ImageSet,
    arguments: Mapping[str, Any],
    *,
    out: Path,
    device: str,
) -> tuple[runs.Run, bool]:
    """Begin a run that leaves an RCDM, or go on with it; the run, and whether this process is the main one."""
    runs.keep_apart(out, images)
    several = len(asked) > 1
    cards = {encoder.name: encoder_card(encoder, levels) for encoder, levels in asked.items()}
    hashes = {f"encoder {e.name}" if several else "encoder": e.network_fingerprint for e in asked}
    facts = runs.collect_facts(
        kind,
        command=shlex.join(["rcdm-probe", *sys.argv[1:]]),
        arguments=arguments,
        hashes={**hashes, "data": images.fingerprint},
        device=device,
        **({"encoder_cards": cards} if several else {"encoder_card": next(iter(cards.values()))}),
        data_card=data_card(images),
    )
    is_main = join_processes(device).is_main_process
    return (runs.begin(facts, out=out, refuse=_refuse_different) if is_main else runs.Run(out, facts)), is_main


TRACKERS = ("tensorboard", "wandb")
"""Trackers of accelerate that can follow a training; each needs the package of its name."""


def check_tracker(name: str) -> None:
    """Raise a `UserError` where there is no such tracker, or its package is not installed."""
    from accelerate.tracking import get_available_trackers

    if name not in TRACKERS:
        raise unknown_name("tracker", name, TRACKERS)
    if name not in get_available_trackers():
        raise UserError(f"--log {name} needs the package {name}", f"pip install {name}")


@contextmanager
def _tracker(name: str | None, training: Training) -> Iterator[GeneralTracker | None]:
    """A tracker of accelerate in the folder of the training, or on its service, told with what it is trained."""
    if name is None or not training.is_main:
        yield None
        return
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    check_tracker(name)
    folder, facts = training.run.folder, training.run.facts
    whose = hashlib.sha256(f"{folder.resolve()} {facts['started']}".encode()).hexdigest()[:16]  # goes on where it was
    about: dict[str, Any] = {
        "tensorboard": {"run_name": "log", "logging_dir": str(folder)},
        "wandb": {"run_name": "rcdm-probe", "dir": str(folder), "name": folder.name, "id": whose, "resume": "allow"},
    }
    tracker = LOGGER_TYPE_TO_CLASS[name](**about[name])
    tracker.start()
    if not training.run.resumed:
        plain = {key: one if isinstance(one, int | float) else str(one) for key, one in facts["arguments"].items()}
        tracker.store_init_configuration(plain)
    try:
        yield tracker
    finally:
        tracker.finish()


def conduct(
    training: Training, *, tell: Callable[[str], None] = lambda line: None, log: str | None = None
) -> pd.DataFrame:
    """Train, with pictures along the way; ``tell`` is told in one line what each look at held-out images found.

    Args:
        training: From `prepare`.
        tell: Told of each look.
        log: A key of `TRACKERS`, which is told the loss of every step and what each look found, whenever it looks.

    Returns:
        ``fidelity.csv``: what each look found.

    Raises:
        UserError: Another process trains in the folder, or the tracker's package is not installed.
    """
    folder = training.run.folder

    def report(seen: Observation, fidelity: pd.DataFrame) -> None:
        losses = pd.read_csv(folder / "training" / LOSSES)
        write_samples(folder / "samples" / f"step-{seen.step:07d}.png", seen.originals, seen.samples)
        write_curves(folder / "progress.png", losses, fidelity)
        tell(_sentence(seen, fidelity))
        if tracker is not None:
            _track(tracker, seen.step, losses, fidelity)

    with training.run.locked() if training.is_main else nullcontext(), _tracker(log, training) as tracker:
        train_rcdm(
            training.asked,
            training.images,
            training.settings,
            folder=folder,
            known=training.known,
            card={"command": training.run.facts["command"]},
            report=report,
        )
        if training.is_main:
            seconds = pd.read_csv(folder / "training" / LOSSES)["seconds"].sum()
            runs.close(training.run.facts, seconds=seconds)
            training.run.finish()
    return pd.read_csv(folder / "fidelity.csv")


def _track(tracker: GeneralTracker, step: int, losses: pd.DataFrame, fidelity: pd.DataFrame) -> None:
    """Tell what is new since the look before: so nothing is told twice, however often a training goes on."""
    before = max(fidelity.loc[fidelity["step"] < step, "step"], default=0)
    for row in losses[losses["step"].between(before, step - 1)].to_dict("records"):
        tracker.log({name: row[name] for name in ("loss", "gradient_norm")}, step=int(row["step"]))
    for row in fidelity[fidelity["step"] == step].to_dict("records"):
        numbers = {name: row[name] for name in ("MRR", "mean rank", "frechet relative")}
        told = {f"{row['level']}/{name}": value for name, value in numbers.items()}
        tracker.log({**told, "held-out loss": row["held-out loss"]}, step=step)


def _refuse_different(out: Path, known: runs.Facts, facts: runs.Facts) -> None:
    """Raise a `UserError` where the facts of a folder are not of this training; code and versions may have changed."""
    if known["probe"] != facts["probe"]:
        raise UserError(f"{out} holds a run of another kind", "choose another folder with --out")
    for name, ours in facts["arguments"].items():
        theirs = known["arguments"].get(name)
        if theirs != ours:
            longer = name == "steps" and known["finished"] and known["probe"] == "train"
            what = name.removeprefix("network.").replace("_", " ")
            raise UserError(
                f"{out} holds a training with {what} {_value(theirs)}, not {_value(ours)}",
                f"to train longer, begin with it: --start {out}, and another folder with --out"
                if longer
                else "give what it began with to go on, or another folder with --out",
            )
    for name, value in facts["hashes"].items():
        if known["hashes"].get(name) != value:
            what = "other images" if name == "data" else f"other weights of the {name}"
            raise UserError(f"{out} holds a training with {what}", "choose another folder with --out")


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _sentence(seen: Observation, fidelity: pd.DataFrame) -> str:
    now = fidelity[fidelity["step"] == seen.step]
    ranks = "; ".join(
        f"{row['level']}: MRR {row['MRR']:.3f}, mean rank {row['mean rank']:.1f} of {row['gallery']}, "
        f"Frechet {row['frechet relative']:.2f}"
        for row in now.to_dict("records")
    )
    return f"step {seen.step}: loss {now['loss'].iloc[0]:.4f}, held out {now['held-out loss'].iloc[0]:.4f}; {ranks}"
