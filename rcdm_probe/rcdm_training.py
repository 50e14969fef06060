"""Training an RCDM, from arguments to its folder.

``run.json`` in the folder says, before anything is computed, with what it is trained. The same arguments go on from
there; others are refused, with the name of the one that differs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from rcdm_core.data.layout import RUN
from rcdm_core.errors import UserError
from rcdm_core.progress import Progress, silent
from rcdm_core.rcdm_training import Observation, RCDMTraining, train_rcdm
from rcdm_core.rcdm_training.split import LEAST_IMAGES
from rcdm_core.training import LOSSES, join_processes
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
    from rcdm_core.rcdm import RCDM

_NO_NUMBERS = ("accumulate", "checkpoint_every")  # settings that change nothing but rounding and the time lost


@dataclass(frozen=True)
class Training:
    """A training, ready to begin or to go on.

    Attributes:
        encoder: The encoder, on the CPU.
        levels: Its levels to train for.
        images: What to train on.
        settings: How.
        folder: Where everything goes.
        start: RCDM whose U-Net to begin with, or None.
        device: Kind of device that computes.
        facts: The content of ``run.json``.
        is_main: Whether this process is the one that writes and speaks.
    """

    encoder: Encoder
    levels: tuple[str, ...]
    images: ImageSet
    settings: RCDMTraining
    folder: Path
    start: RCDM | None
    device: str
    facts: runs.Facts
    is_main: bool

    @property
    def resumed(self) -> bool:
        """Whether an interrupted training goes on."""
        return bool(self.facts["resumed"])


def prepare(
    encoder: str | Encoder,
    data: str | Path,
    settings: RCDMTraining,
    *,
    out: Path,
    level: str | Sequence[str] | None = None,
    images: int | None = None,
    weights: str | Path | None = None,
    start: RCDM | None = None,
    device: str = "auto",
    command: str = "",
    progress: Progress = silent,
) -> Training:
    """Load and check all that a training needs, and write ``run.json``.

    Args:
        encoder: Name or encoder.
        data: A folder of images, or a data set by name.
        settings: How to train.
        out: Folder of the RCDM.
        level: Level or levels to train for; None for all that the encoder has of itself.
        images: How many are taken at most, a seeded random choice; None takes all.
        weights: Weights to use instead of the encoder's own.
        start: RCDM whose U-Net to begin with.
        device: Where to compute.
        command: The command line, for the record.
        progress: Told of every long loop, in the main process.

    Raises:
        UserError: An argument is mistaken, or ``out`` holds something else.
    """
    kind = choose_device(device)
    processes = join_processes(kind)
    progress = progress if processes.is_main_process else silent
    network, levels = open_encoder(encoder, level=level, weights=weights, device="cpu", progress=progress)
    found = open_images(
        data,
        seen_by=(network, settings.network),
        least=LEAST_IMAGES,
        limit=images,
        seed=settings.loop.seed,
        progress=progress,
    )
    runs.keep_apart(out, found)
    loop = {name: value for name, value in asdict(settings.loop).items() if name not in _NO_NUMBERS}
    arguments = {
        "encoder": network.name,
        "levels": levels,
        "weights": None if weights is None else str(weights),
        "data": str(data),
        "images": images,
        **{f"network.{name}": value for name, value in settings.network.to_dict().items()},
        **loop,
        "every": settings.every,
        "looked_at": settings.looked_at,
        "start": fingerprint_of(start),
    }
    facts = runs.collect_facts(
        "train",
        command=command,
        arguments=arguments,
        hashes={"encoder": network.network_fingerprint, "data": found.fingerprint},
        device=kind,
        encoder_card=encoder_card(network, levels),
        data_card=data_card(found),
    )
    facts = _continued(facts, out)
    if processes.is_main_process:
        _write_facts(facts, out)
    return Training(network, levels, found, settings, out, start, kind, facts, processes.is_main_process)


def conduct(
    training: Training, *, tell: Callable[[str], None] = lambda line: None, progress: Progress = silent
) -> pd.DataFrame:
    """Train, with pictures along the way.

    Args:
        training: From `prepare`.
        tell: Told in one line what each look at held-out images found.
        progress: Told of every long loop.

    Returns:
        ``fidelity.csv``: what each look found.
    """
    folder = training.folder

    def report(seen: Observation, fidelity: pd.DataFrame) -> None:
        losses = pd.read_csv(folder / "training" / LOSSES)
        write_samples(folder / "samples" / f"step-{seen.step:07d}.png", seen.originals, seen.samples)
        write_curves(folder / "progress.png", losses, fidelity)
        tell(_sentence(seen, fidelity))

    train_rcdm(
        training.encoder,
        training.levels,
        training.images,
        training.settings,
        folder=folder,
        start=training.start,
        device=training.device,
        card={"command": training.facts["command"]},
        report=report,
        progress=progress,
    )
    if training.is_main:
        seconds = pd.read_csv(folder / "training" / LOSSES)["seconds"].sum()
        runs.close(training.facts, seconds=seconds)
        _write_facts(training.facts, folder)
    return pd.read_csv(folder / "fidelity.csv")


def _continued(facts: runs.Facts, out: Path) -> runs.Facts:
    """The facts of a training that begins, or of one that goes on in its folder."""
    known = runs.read_facts(out)
    if known is None:
        if (out / "rcdm.json").is_file():
            raise UserError(f"{out} holds an RCDM already", "choose another folder with --out")
        return facts
    if known.get("probe") != "train":
        raise UserError(f"{out} holds a run of another kind", "choose another folder with --out")
    for name, ours in facts["arguments"].items():
        theirs = known["arguments"].get(name)
        if theirs != ours:
            longer = name == "steps" and known["finished"]
            raise UserError(
                f"{out} holds a training with {_words(name)} {_value(theirs)}, not {_value(ours)}",
                f"to train longer, begin with it: --start {out}, and another folder with --out"
                if longer
                else "give what it began with to go on, or another folder with --out",
            )
    for name, what in (("encoder", "other weights of the encoder"), ("data", "other images")):
        if known["hashes"].get(name) != facts["hashes"][name]:
            raise UserError(f"{out} holds a training with {what}", "choose another folder with --out")
    return {**facts, "started": known["started"], "resumed": [*known["resumed"], facts["started"]]}


def _write_facts(facts: runs.Facts, out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        runs.write_json(out / RUN, facts)
    except OSError as error:
        raise UserError(f"cannot write in {out} ({error.strerror})", "choose another folder with --out") from error


def _words(name: str) -> str:
    return name.removeprefix("network.").replace("_", " ")


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
