"""Training an RCDM, distilling one or putting encoders on its denoiser, from arguments to the folder.

The folder is one of a run (`rcdm_probe.runs`): ``run.json`` says, before anything is computed, with what it is trained.
The same arguments go on from there; others are refused, with the name of the one that differs.
"""

from __future__ import annotations

import hashlib
import shlex
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from probes.rendering import check_match
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.rcdm_training import Adaptation, adapt_rcdm, train_rcdm
from rcdm_core.rcdm_training.adaptation import STAGES_TABLE
from rcdm_core.rcdm_training.beginning import encoders_at_hand
from rcdm_core.rcdm_training.training import numbers
from rcdm_core.training import LOSSES, join_processes
from rcdm_core.training_images import LEAST_IMAGES, spared
from rcdm_probe import runs
from rcdm_probe.device import choose_device
from rcdm_probe.facts import data_card, encoder_card, weights_name
from rcdm_probe.opening import by_name, open_asked, open_images
from reports.training import write_curves, write_samples, write_stages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from accelerate.tracking import GeneralTracker

    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders import Encoder
    from rcdm_core.rcdm import RCDM
    from rcdm_core.rcdm_training import Observation, RCDMTraining, Stage
    from rcdm_probe.opening import Asked


@dataclass(frozen=True)
class Training:
    """A training, distillation or adaptation, ready to begin or to go on.

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
    settings: RCDMTraining | Adaptation
    run: runs.Run
    is_main: bool


def prepare(asked: Asked, settings: RCDMTraining | Adaptation, out: Path) -> Training:
    """Load and check all that a training needs, and write ``run.json``; this process was begun with its command.

    Args:
        asked: For whom, and on which images. Of a distillation, no encoder stands for all that the RCDM draws from, and
            levels are those that it draws from.
        settings: How to train.
        out: Folder of the RCDM.

    Raises:
        UserError: An argument is mistaken, or ``out`` holds something else.
    """
    start: RCDM | None
    if isinstance(settings, Adaptation):
        verb, start, loop, shape = "adapt", settings.rcdm, settings.heads, settings.rcdm.denoiser.settings
    else:
        verb, start = "distill" if settings.calls else "train", settings.start
        loop, shape = settings.loop, settings.network
    distilled = start if verb == "distill" else None
    kind = choose_device(asked.device)
    processes = join_processes(kind)
    drawn = None if distilled is None else _drawn_from(distilled, asked)
    opened = open_asked(replace(asked, device=str(processes.device)), drawn, decoder="no")
    if distilled is None:
        levels = {one: one.levels if asked.level is None else opened.levels for one in opened.encoders}
    else:
        levels = {one: tuple(levels_of(distilled)[one.name]) for one in opened.encoders}
        for encoder, own in levels.items():
            check_match(encoder, own, distilled)
    known = encoders_at_hand(start, levels) if start and not distilled else []
    found = open_images(
        asked.data, seen_by=(*levels, *known, shape), least=LEAST_IMAGES, limit=settings.images, seed=loop.seed
    )
    if start:
        found = spared(found, start)
    runs.keep_apart(out, found)
    several = len(levels) > 1
    cards = {encoder.name: encoder_card(encoder, own) for encoder, own in levels.items()}
    hashes = {f"encoder {one.name}" if several else "encoder": one.network_fingerprint for one in levels}
    facts = runs.collect_facts(
        verb,
        command=shlex.join(["rcdm-probe", *sys.argv[1:]]),
        arguments={
            "encoder": ", ".join(cards),
            "levels": {one.name: own for one, own in levels.items()} if several else next(iter(levels.values())),
            "weights": weights_name(opened.weights, alone=not several),
            "data": str(asked.data),
            "images": settings.images,
            **_how(settings, [f"{one.name}/{name}" for one, own in levels.items() for name in own]),
        },
        hashes={**hashes, "data": found.fingerprint},
        device=kind,
        **({"encoder_cards": cards} if several else {"encoder_card": next(iter(cards.values()))}),
        data_card=data_card(found),
    )
    is_main = processes.is_main_process
    run = runs.begin(facts, out, refuse=_refuse_different) if is_main else runs.Run(out, facts)
    return Training(levels, known, found, settings, run, is_main)


def _how(settings: RCDMTraining | Adaptation, conditions: Sequence[str]) -> dict[str, Any]:
    """How is trained for some conditions, as arguments in ``run.json``."""
    looks = {"every": settings.every, "looked_at": settings.looked_at}
    if isinstance(settings, Adaptation):
        whole = settings.whole and {name: asdict(settings.whole)[name] for name in ("steps", "learning_rate")}
        return {**numbers(settings.heads), "whole": whole, **looks, "rcdm": settings.rcdm.fingerprint}
    for name in settings.shares:
        if name not in conditions:
            raise unknown_name("condition of --share", name, conditions)
    return {
        **{f"network.{name}": value for name, value in settings.network.to_dict().items()},
        **numbers(settings.loop),
        **looks,
        "start": settings.start.fingerprint if settings.start else "",
        **({"shares": dict(settings.shares)} if settings.shares else {}),
        **({"calls": settings.calls} if settings.calls else {}),
    }


def levels_of(rcdm: RCDM) -> dict[str, list[str]]:
    """Levels that an RCDM draws from, by name of the encoder."""
    levels: dict[str, list[str]] = {}
    for condition in rcdm.conditions:
        encoder, _, level = condition.rpartition("/")
        levels.setdefault(encoder, []).append(level)
    return levels


def _drawn_from(rcdm: RCDM, asked: Asked) -> list[tuple[str | Encoder, Sequence[str]]]:
    """Encoders that an RCDM draws from, those asked for or all, with the levels at which it does."""
    levels = levels_of(rcdm)
    named = by_name(asked.encoder, tuple(levels))
    for name in named:
        if name not in levels:
            raise UserError(f"this RCDM does not draw from {name}", f"it draws from {', '.join(levels)}")
    return [(encoder, levels[name]) for name, encoder in named.items()]


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
    training: Training, tell: Callable[[str], None] = lambda line: None, log: str | None = None
) -> pd.DataFrame:
    """Train, with pictures along the way; ``tell`` is told in one line what each look at held-out images found.

    Args:
        training: From `prepare`.
        tell: Told of each look; of an adaptation, after each stage.
        log: A key of `TRACKERS`, which is told the loss of every step and what each look found, whenever it looks; not
            of an adaptation.

    Returns:
        What each look found: ``fidelity.csv``; of an adaptation ``stages.csv``, one row a stage and level.

    Raises:
        UserError: Another process trains in the folder, or the tracker's package is not installed.
    """
    folder, settings, run = training.run.folder, training.settings, training.run
    what: dict[str, Any] = {"folder": folder, "known": training.known, "card": {"command": run.facts["command"]}}
    with run.locked() if training.is_main else nullcontext(), _tracker(log, training) as tracker:
        if isinstance(settings, Adaptation):
            adapt_rcdm(training.asked, training.images, settings, report=partial(_staged, folder, tell), **what)
        else:
            look = partial(_looked, folder, tell, tracker)
            train_rcdm(training.asked, training.images, settings, report=look, **what)
        if training.is_main:
            run.close()
            if not isinstance(settings, Adaptation):  # of all sittings
                run.facts["seconds"] = round(pd.read_csv(folder / "training" / LOSSES)["seconds"].sum(), 1)
            run.finish()
    return pd.read_csv(folder / (STAGES_TABLE if isinstance(settings, Adaptation) else "fidelity.csv"))


def _looked(
    folder: Path,
    tell: Callable[[str], None],
    tracker: GeneralTracker | None,
    seen: Observation,
    fidelity: pd.DataFrame,
) -> None:
    """Show, and tell, what a look at held-out images found."""
    losses = pd.read_csv(folder / "training" / LOSSES)
    write_samples(folder / "samples" / f"step-{seen.step:07d}.png", seen.originals, seen.samples)
    write_curves(folder / "progress.png", losses, fidelity)
    now = fidelity[fidelity["step"] == seen.step]
    ranks = "; ".join(
        f"{row['level']}: MRR {row['MRR']:.3f}, mean rank {row['mean rank']:.1f} of {row['gallery']}, "
        f"Frechet {row['frechet relative']:.2f}"
        for row in now.to_dict("records")
    )
    lost = f"loss {now['loss'].iloc[0]:.4f}, held out {now['held-out loss'].iloc[0]:.4f}"
    tell(f"step {seen.step}: {lost}; {ranks}")
    if tracker is not None:
        _track(tracker, seen.step, losses, fidelity)


def _staged(folder: Path, tell: Callable[[str], None], stage: Stage) -> None:
    """Show, and tell, what was found after a stage of an adaptation."""
    number = stage.table["stage"].nunique()
    name = stage.name.replace(":", "").replace(" ", "-")
    write_samples(folder / "samples" / f"{number}-{name}.png", stage.originals, stage.samples)
    write_stages(folder / "stages.png", stage.table)
    now = stage.table[stage.table["stage"] == stage.name].to_dict("records")
    of_levels = "; ".join(
        f"{row['level']}: held-out loss {row['held-out loss']:.4f}, MRR {row['MRR']:.3f}, mean rank "
        f"{row['mean rank']:.1f} of {row['gallery']}, variance within {row['variance within']:.2f}"
        for row in now
    )
    tell(f"{stage.name}: {of_levels}")


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
