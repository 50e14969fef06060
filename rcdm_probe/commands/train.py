"""What leaves an RCDM: ``train`` for any encoder on any images, ``distill`` one, ``adapt`` one to another encoder."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rcdm_core.errors import UserError, legible
from rcdm_probe.commands import options
from rcdm_probe.commands.options import option
from rcdm_probe.commands.running import new_console, tell, unread

if TYPE_CHECKING:
    import pandas as pd

    from rcdm_probe.opening import Asked

OUT = partial(options.option, ..., help="Folder of the new RCDM.", names="-o", parser=options.place, metavar="FOLDER")
STEPS = partial(options.option, help="Optimiser steps.", min=1, metavar="K")
BATCH_SIZE = partial(options.option, help="Images a step, over all processes.", min=1, metavar="B")
EVERY = partial(options.option, help="Steps between looks at held-out images.", min=1)
_NUMBERS = {"MRR": ".3f", "mean rank": ".1f", "Frechet, relative": ".2f", "variance within": ".2f"}
_NUMBERS |= dict.fromkeys(("loss", "held-out loss"), ".4f")
"""How the numbers of a table are written, by its headings."""


@dataclass(frozen=True, kw_only=True)
class Trained(options.Asking):
    """For whom is trained, and on what."""

    encoder: list[str] = options.TO_DRAW()
    data: str = options.DATA(...)
    out: Path = OUT()
    level: list[str] | None = options.LEVELS()
    weights: list[str] | None = options.WEIGHTS_OF()


@dataclass(frozen=True, kw_only=True)
class Loop:
    """How all of these train, in the words of the functions in `rcdm_core.rcdm_training` that make settings of it."""

    images: int | None = option(None, "Take at most so many images, at random.", "-n", min=1, metavar="N")
    accumulate: int = option(1, "Parts in which a process takes its share of a batch, to save memory.", min=1)
    precision: str = option("auto", "bf16, no (float32), or auto: the faster one.", metavar="NAME")
    looked_at: int = option(100, "Held-out images sampled at each look, for each level.", min=2)
    seed: int = options.SEED()


@dataclass(frozen=True, kw_only=True)
class Training(Loop):
    """How an RCDM is trained."""

    image_size: int = option(32, "Side in pixels at which the RCDM draws.", "-s", min=4, max=1024, metavar="S")
    network: str | None = option(
        None,
        "Size of the U-Net: embedded (7 M parameters, a laptop), small (one GPU), base, or published (that of the "
        "paper, with its objective; many GPUs). By default embedded, or that of --start.",
        metavar="NAME",
    )
    steps: int = STEPS(1000)
    batch_size: int = BATCH_SIZE(32)
    learning_rate: float | None = option(
        None, "Learning rate; by default 8e-4 for embedded, less for larger ones.", "--lr"
    )
    ema_decay: float = option(0.999, "Decay of the moving average of the weights, which is what is kept.", "--ema")
    every: int = EVERY(250)


@dataclass(frozen=True, kw_only=True)
class Beside:
    """Where a training begins, what it sees how often, and where it is followed."""

    start: str | None = option(
        None,
        "RCDM to begin with: a folder, or embedded. Heads begin by what its U-Net reads already.",
        metavar="FOLDER",
    )
    share: list[str] | None = option(
        None,
        "Images of a batch for one encoder and level, for each one of those that are not named; may be repeated. By "
        "default all have as many.",
        metavar="ENCODER/LEVEL=N",
    )
    log: str | None = option(
        None, "Follow it elsewhere, too: tensorboard (into FOLDER/log) or wandb; off by default.", metavar="NAME"
    )


@options.command
def run(what: Trained, how: Training, beside: Beside) -> None:
    """Train the diffusion model that draws images from encoders' representations, on your own images.

    Representations are computed once and kept on disk. A tenth of the images is held out; samples/ and progress.png
    show along the way what is drawn from those, fidelity.csv says how well: MRR (1 is perfect), mean rank, Frechet
    distance.

    The defaults suit a few hundred images: minutes on a GPU, 20 on two processor cores, four times that at 64 pixels.
    For thousands of images take more steps (10,000 and up), a larger batch and a larger network; for some tens, expect
    blurred pictures. To train longer, begin another with --start. To draw from one more encoder with what is trained
    already, take rcdm-probe adapt: minutes instead of hours.

    Several encoders and levels share one network, each with a head of its own, so that a difference between two of
    their pictures comes from the representations and not from two trainings. The batch is shared out among them.

    Stop it at any time, or let it be killed: the same command goes on from where it was, to the same weights.

    Many processes, GPUs or machines: start the same command with torchrun or accelerate. The batch is shared out.

    [bold]Examples[/]

    rcdm-probe train --encoder timm/resnet18 --level backbone --data photos/ --image-size 64 --out my-rcdm

    rcdm-probe invariance --encoder timm/resnet18 --data photos/ --rcdm my-rcdm

    rcdm-probe train -e timm/resnet18 -e timm/vit_small_patch16_dinov3 --data photos/ --steps 4000 --out both

    torchrun --nproc-per-node 8 --no-python rcdm-probe train --encoder vicreg --data photos/ --network base
    --image-size 128 --batch-size 256 --steps 200000 --out big-rcdm
    """
    console = new_console()
    with new_console(stderr=True).status("loading"):
        from rcdm_core.rcdm_training import default_settings
        from rcdm_probe.opening import open_one
        from rcdm_probe.rcdm_training import check_tracker

    if beside.log is not None:
        check_tracker(beside.log)
    beginning = None if beside.start is None else open_one(beside.start)
    settings = default_settings(start=beginning, shares=_shares(beside.share), **asdict(how))
    found = _trained(console, what.asked(), settings, what.out, log=beside.log)
    if found is not None:
        _tell_last(console, found, f"held-out images after {how.steps} steps", what.out)
        _tell_next(console, what)


@dataclass(frozen=True, kw_only=True)
class Distill(options.Asking):
    """What learns to draw in few steps, on what, and from whom."""

    rcdm: str = options.argument(
        ..., "A folder, embedded, or a published one such as imagenet/vicreg/backbone.", metavar="RCDM"
    )
    out: Path = OUT()
    data: str | None = option(
        None,
        "Images to go by: those of its training, or of their kind; of the embedded RCDM, scenes-train.",
        "-d",
        metavar="FOLDER",
    )
    encoder: list[str] | None = option(
        None, "Draw from this one of the RCDM's encoders; may be repeated. By default from all.", "-e", metavar="NAME"
    )
    weights: list[str] | None = options.WEIGHTS_OF()


@dataclass(frozen=True, kw_only=True)
class Distillation(Loop):
    """How an RCDM is distilled."""

    calls: int = option(4, "Steps in which it is to draw.", min=1, max=64, metavar="K")
    steps: int = STEPS(2000)
    batch_size: int = BATCH_SIZE(64)
    learning_rate: float = option(2e-4, "Learning rate.", "--lr")
    every: int = EVERY(500)


@options.command
def distill(what: Distill, how: Distillation) -> None:
    """Teach an RCDM to draw in few steps what it draws in many.

    Multistep consistency (Heek, Hoogeboom and Salimans 2024): the network learns to cross in one step what it crossed
    in many. The result is an RCDM like any other, which draws in its own steps and by no others; probes do so by
    themselves.

    fidelity.csv and progress.png show along the way how faithful its samples are.

    Stop it at any time: the same command goes on. Many processes: start it with torchrun or accelerate.

    [bold]Examples[/]

    rcdm-probe distill my-rcdm --data photos/ --out my-quick-rcdm

    rcdm-probe invariance --encoder timm/resnet18 --data photos/ --rcdm my-quick-rcdm
    """
    console = new_console()
    with new_console(stderr=True).status("loading"):
        from rcdm_core.rcdm_training import distillation_settings
        from rcdm_probe.opening import open_one
        from rcdm_probe.rcdm_training import levels_of

    begun_with = open_one(what.rcdm)
    settings, asked = distillation_settings(begun_with, **asdict(how)), what.asked(unnamed=list(levels_of(begun_with)))
    if what.data is None:
        if what.rcdm != "embedded":
            problem = f"it was not said on which images {what.rcdm} is to learn"
            raise UserError(problem, "name those of its training with --data")
        asked = replace(asked, data="scenes-train")
    found = _trained(console, asked, settings, what.out)
    if found is not None:
        _tell_last(console, found, f"held-out images, drawn in {how.calls} steps", what.out)


@dataclass(frozen=True, kw_only=True)
class Adapting(Loop):
    """How heads are put on a denoiser."""

    steps: int = option(600, "Steps of the second stage at most; it ends when heads no longer get better.", min=1)
    whole: int = option(0, "Steps of a third stage, in which the denoiser is trained, too.", min=0)
    batch_size: int = BATCH_SIZE(64)
    learning_rate: float = option(1e-3, "Learning rate of the second stage.", "--lr")
    whole_rate: float = option(2e-4, "Learning rate of the third stage.", "--whole-lr")
    every: int = option(50, "Steps between looks at the loss on held-out images.", min=1)
    looked_at: int = option(100, "Held-out images sampled after each stage, for each level.", min=2)


@dataclass(frozen=True, kw_only=True)
class Adapt(Trained):
    """From what is drawn."""

    rcdm: str = option(
        "embedded",
        "RCDM to draw with: a folder, embedded, or a published one such as imagenet/vicreg/backbone.",
        metavar="FOLDER",
    )


@options.command
def adapt(what: Adapt, how: Adapting) -> None:
    """Draw from a new encoder with an RCDM that was trained for others: minutes, where a training takes hours.

    First in closed form: a regression from the new encoder's representations to what the denoiser was given of the
    same images, from an encoder that it knows (the best one is chosen on held-out images), or from the images
    themselves. Then the new heads alone are trained, until they get no better on held-out images. With --whole the
    denoiser is trained, too.

    stages.csv and stages.png say what each stage bought, beside what is drawn from the h of other images and from the
    mean h: held-out loss, MRR (1 is perfect), mean rank, and the share of the samples' variance that h leaves open.
    samples/ shows it.

    What the denoiser never saw vary it cannot draw: what is missing in a picture may be the denoiser's lack and not the
    encoder's. What is there is the encoder's. Without --whole, the result draws from the RCDM's own encoders as before.

    Stop it at any time: the same command goes on. Many processes: start it with torchrun or accelerate.

    [bold]Examples[/]

    rcdm-probe adapt --encoder timm/resnet18 --data photos/ --rcdm my-rcdm --out with-resnet

    rcdm-probe adapt --encoder timm/resnet18 --data scenes --images 3000 --rcdm embedded --out scenes-resnet

    rcdm-probe invariance --encoder timm/resnet18 --data photos/ --rcdm with-resnet
    """
    console = new_console()
    with new_console(stderr=True).status("loading"):
        from rcdm_core.rcdm_training import adaptation_settings
        from rcdm_core.rcdm_training.adaptation import HEADS, WHOLE
        from rcdm_probe.opening import open_one

    out = what.out
    found = _trained(console, what.asked(), adaptation_settings(open_one(what.rcdm), **asdict(how)), out)
    if found is None:
        return
    told = ("stage", "level", "held-out loss", "MRR", "mean rank", "of", "variance within")
    console.print(_table("held-out images after each stage", found, told))
    by_level = found.pivot(index="level", columns="stage", values="MRR")
    last = by_level[WHOLE if how.whole else HEADS]
    reached = ", ".join(f"{name} {value:.3f}" if len(last) > 1 else f"{value:.3f}" for name, value in last.items())
    console.print(
        f"RCDM: [bold]{escape(legible(str(out)))}[/] (stages.csv, stages.png, samples/), MRR {reached}: "
        "what its pictures lack may be the denoiser's lack"
    )
    if how.whole and (last < by_level[HEADS]).all():
        console.print("[yellow]its heads alone drew better: leave out --whole, or give it more steps[/]")
    _tell_next(console, what)


def _trained(
    console: Console, asked: Asked, settings: Any, out: Path, *, log: str | None = None
) -> pd.DataFrame | None:
    """Train: what each look found, or None in a process that does not speak."""
    from rcdm_probe.progress import progress_bars
    from rcdm_probe.rcdm_training import conduct, prepare

    with progress_bars():
        training = prepare(asked, settings, out)
        if training.is_main:
            tell(training.images.remarks)
            if training.run.resumed:
                console.print(f"going on in {escape(legible(str(out)))}")
        # In a log no bar shows that it goes on.
        found = conduct(training, lambda line: None if console.is_terminal else console.print(escape(line)), log)
    if not training.is_main:
        return None
    if skipped := [str(path) for path in training.images.skipped]:
        console.print(f"[yellow]{escape(unread(len(skipped), skipped))}[/]")
    return found


def _table(title: str, found: pd.DataFrame, headings: Sequence[str]) -> Table:
    table = Table(title=title)
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("stage", "level") else "right", overflow="fold")
    named = found.rename(columns={"gallery": "of", "frechet relative": "Frechet, relative"})
    for row in named.to_dict("records"):
        table.add_row(*(format(row[heading], _NUMBERS.get(heading, "")) for heading in headings))
    return table


def _tell_last(console: Console, found: pd.DataFrame, title: str, out: Path) -> None:
    """What the last look found, and where the RCDM is."""
    told = ("level", "MRR", "mean rank", "of", "Frechet, relative", "loss", "held-out loss")
    console.print(_table(title, found[found["step"] == found["step"].max()], told))
    console.print(f"RCDM: [bold]{escape(legible(str(out)))}[/] (samples/, progress.png, fidelity.csv)")


def _tell_next(console: Console, what: Trained) -> None:
    """A probe of what was trained."""
    first, weights = what.encoder[0], options.weights_of(what.weights, what.encoder)
    words = ["rcdm-probe", "invariance", "--encoder", first, "--data", what.data, "--rcdm", str(what.out)]
    words += [word for name in what.level or () for word in ("--level", name)]
    words += ["--weights", weights[first]] if first in weights else []
    console.print(f"Next: {escape(legible(shlex.join(words)))}")


def _shares(texts: Sequence[str] | None) -> dict[str, int]:
    """Shares of the batch by condition, from words such as ``vicreg/backbone=4``."""
    shares = {}
    for text in texts or []:
        name, _, share = text.rpartition("=")
        if not name or not share.isdecimal() or not 0 < int(share) < 1000:
            raise UserError(f"--share {text!r} is no share", "write ENCODER/LEVEL=N, as vicreg/backbone=4")
        shares[name] = int(share)
    return shares
