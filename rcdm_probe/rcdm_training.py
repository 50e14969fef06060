"""Training an RCDM, from arguments to its folder.

The folder is one of a run (`rcdm_probe.runs`): ``run.json`` says, before anything is computed, with what it is trained.
The same arguments go on from there; others are refused, with the name of the one that differs.
"""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from rcdm_core.errors import UserError
from rcdm_core.rcdm_training import Observation, RCDMTraining, train_rcdm
from rcdm_core.rcdm_training.training import numbers
from rcdm_core.training import LOSSES, join_processes
from rcdm_core.training_images import LEAST_IMAGES
from rcdm_probe import runs
from rcdm_probe.device import choose_device
from rcdm_probe.facts import data_card, encoder_card, fingerprint_of
from rcdm_probe.opening import open_encoder, open_images
from reports.training import write_curves, write_samples

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders import Encoder


@dataclass(frozen=True)
class Training:
    """A training, ready to begin or to go on.

    Attributes:
        encoder: The encoder, where this process computes.
        levels: Its levels to train for.
        images: What to train on.
        settings: How.
        run: The run: its folder is where everything goes.
        is_main: Whether this process is the one that writes and speaks.
    """

    encoder: Encoder
    levels: tuple[str, ...]
    images: ImageSet
    settings: RCDMTraining
    run: runs.Run
    is_main: bool


def prepare(
    encoder: str | Encoder,
    data: str | Path,
    settings: RCDMTraining,
    *,
    out: Path,
    level: str | Sequence[str] | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
) -> Training:
    """Load and check all that a training needs, and write ``run.json``; this process was begun with its command.

    Args:
        encoder: Name or encoder.
        data: A folder of images, or a data set by name.
        settings: How to train.
        out: Folder of the RCDM.
        level: Level or levels to train for; None for all that the encoder has of itself.
        weights: Weights to use instead of the encoder's own.
        device: Where to compute.

    Raises:
        UserError: An argument is mistaken, or ``out`` holds something else.
    """
    kind = choose_device(device)
    processes = join_processes(kind)
    network, levels = open_encoder(encoder, level=level, weights=weights, device=str(processes.device))
    found = open_images(
        data, seen_by=(network, settings.network), least=LEAST_IMAGES, limit=settings.images, seed=settings.loop.seed
    )
    runs.keep_apart(out, found)
    arguments = {
        "encoder": network.name,
        "levels": levels,
        "weights": None if weights is None else str(weights),
        "data": str(data),
        "images": settings.images,
        **{f"network.{name}": value for name, value in settings.network.to_dict().items()},
        **numbers(settings.loop),
        "every": settings.every,
        "looked_at": settings.looked_at,
        "start": fingerprint_of(settings.start),
    }
    facts = runs.collect_facts(
        "train",
        command=shlex.join(["rcdm-probe", *sys.argv[1:]]),
        arguments=arguments,
        hashes={"encoder": network.network_fingerprint, "data": found.fingerprint},
        device=kind,
        encoder_card=encoder_card(network, levels),
        data_card=data_card(found),
    )
    is_main = processes.is_main_process
    run = runs.begin(facts, out=out, refuse=_refuse_different) if is_main else runs.Run(out, facts)
    return Training(network, levels, found, settings, run, is_main)


def conduct(training: Training, *, tell: Callable[[str], None] = lambda line: None) -> pd.DataFrame:
    """Train, with pictures along the way; ``tell`` is told in one line what each look at held-out images found.

    Returns:
        ``fidelity.csv``: what each look found.

    Raises:
        UserError: Another process trains in the folder.
    """
    folder = training.run.folder

    def report(seen: Observation, fidelity: pd.DataFrame) -> None:
        losses = pd.read_csv(folder / "training" / LOSSES)
        write_samples(folder / "samples" / f"step-{seen.step:07d}.png", seen.originals, seen.samples)
        write_curves(folder / "progress.png", losses, fidelity)
        tell(_sentence(seen, fidelity))

    with training.run.locked() if training.is_main else nullcontext():
        train_rcdm(
            training.encoder,
            training.levels,
            training.images,
            training.settings,
            folder=folder,
            card={"command": training.run.facts["command"]},
            report=report,
        )
        if training.is_main:
            seconds = pd.read_csv(folder / "training" / LOSSES)["seconds"].sum()
            runs.close(training.run.facts, seconds=seconds)
            training.run.finish()
    return pd.read_csv(folder / "fidelity.csv")


def _refuse_different(out: Path, known: runs.Facts, facts: runs.Facts) -> None:
    """Raise a `UserError` where the facts of a folder are not of this training; code and versions may have changed."""
    if known["probe"] != "train":
        raise UserError(f"{out} holds a run of another kind", "choose another folder with --out")
    for name, ours in facts["arguments"].items():
        theirs = known["arguments"].get(name)
        if theirs != ours:
            longer, what = name == "steps" and known["finished"], name.removeprefix("network.").replace("_", " ")
            raise UserError(
                f"{out} holds a training with {what} {_value(theirs)}, not {_value(ours)}",
                f"to train longer, begin with it: --start {out}, and another folder with --out"
                if longer
                else "give what it began with to go on, or another folder with --out",
            )
    for name, what in (("encoder", "other weights of the encoder"), ("data", "other images")):
        if known["hashes"].get(name) != facts["hashes"][name]:
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
