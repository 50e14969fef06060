"""``rcdm-probe train``: an RCDM for any encoder, on any images; ``distill``: the same in few steps."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from rcdm_core.errors import legible
from rcdm_probe.commands import options
from rcdm_probe.commands.running import new_console, tell, unread

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from rich.console import Console

    from rcdm_probe.rcdm_training import Training


def run(
    encoder: options.EncodersToDraw,
    data: options.Data,
    out: options.RcdmOut,
    level: options.Levels = None,
    images: options.AtMost = None,
    image_size: Annotated[
        int,
        typer.Option(
            "--image-size", "-s", help="Side in pixels at which the RCDM draws.", min=4, max=1024, metavar="S"
        ),
    ] = 32,
    network: Annotated[
        str | None,
        typer.Option(
            help="Size of the U-Net: embedded (7 M parameters, a laptop), small (one GPU), base, or published (that of "
            "the paper, with its objective; many GPUs). By default embedded, or that of --start.",
            metavar="NAME",
        ),
    ] = None,
    steps: options.OptimiserSteps = 1000,
    batch_size: options.BatchOfAll = 32,
    lr: Annotated[
        float | None, typer.Option(help="Learning rate; by default 8e-4 for embedded, less for larger ones.")
    ] = None,
    ema: Annotated[
        float, typer.Option(help="Decay of the moving average of the weights, which is what is kept.")
    ] = 0.999,
    accumulate: options.Accumulate = 1,
    precision: options.Precision = "auto",
    every: options.Every = 250,
    looked_at: options.LookedAt = 100,
    start: Annotated[
        str | None,
        typer.Option(
            help="RCDM to begin with: a folder, or embedded. Heads begin by what its U-Net reads already.",
            metavar="FOLDER",
        ),
    ] = None,
    share: Annotated[
        list[str] | None,
        typer.Option(
            help="Images of a batch for one encoder and level, for each one of those that are not named; may be "
            "repeated. By default all have as many.",
            metavar="ENCODER/LEVEL=N",
        ),
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(
            help="Follow it elsewhere, too: tensorboard (into FOLDER/log) or wandb; off by default.", metavar="NAME"
        ),
    ] = None,
    weights: options.WeightsOf = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    threads: options.Threads = None,
) -> None:
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
        from rcdm_probe.rcdm_training import check_tracker, prepare

    if log is not None:
        check_tracker(log)
    beginning = None if start is None else open_one(start)
    settings = default_settings(
        image_size=image_size,
        network=network,
        start=beginning,
        images=images,
        every=every,
        looked_at=looked_at,
        learning_rate=lr,
        steps=steps,
        batch_size=batch_size,
        ema_decay=ema,
        accumulate=accumulate,
        precision=precision,
        seed=seed,
        shares=options.shares_of(share),
    )
    own = options.weights_of(weights, encoder)
    begin = partial(prepare, encoder, data, settings, out=out, level=level or None, weights=own, device=device)
    found = _trained(begin, console, title=f"held-out images after {steps} steps", log=log)
    if found is None:
        return
    words = ["rcdm-probe", "invariance", "--encoder", encoder[0], "--data", data, "--rcdm", str(out)]
    words += [word for name in level or [] for word in ("--level", name)]
    words += ["--weights", str(own[encoder[0]])] if encoder[0] in own else []
    console.print(f"Next: {escape(legible(shlex.join(words)))}")


def distill(
    rcdm: Annotated[
        str,
        typer.Argument(help="A folder, embedded, or a published one such as imagenet/vicreg/backbone.", metavar="RCDM"),
    ],
    out: options.RcdmOut,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            "-d",
            help="Images to go by: those of its training, or of their kind; of the embedded RCDM, scenes-train.",
            metavar="FOLDER",
        ),
    ] = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            "--encoder",
            "-e",
            help="Draw from this one of the RCDM's encoders; may be repeated. By default from all.",
            metavar="NAME",
        ),
    ] = None,
    calls: Annotated[int, typer.Option(help="Steps in which it is to draw.", min=1, max=64, metavar="K")] = 4,
    images: options.AtMost = None,
    steps: options.OptimiserSteps = 2000,
    batch_size: options.BatchOfAll = 64,
    lr: Annotated[float, typer.Option(help="Learning rate.")] = 2e-4,
    accumulate: options.Accumulate = 1,
    precision: options.Precision = "auto",
    every: options.Every = 500,
    looked_at: options.LookedAt = 100,
    weights: options.WeightsOf = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    threads: options.Threads = None,
) -> None:
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
        from rcdm_core.errors import UserError
        from rcdm_core.rcdm_training import distillation_settings
        from rcdm_probe.opening import open_one
        from rcdm_probe.rcdm_training import levels_of, prepare

    start = open_one(rcdm)
    settings = distillation_settings(
        start,
        calls=calls,
        every=every,
        looked_at=looked_at,
        images=images,
        steps=steps,
        learning_rate=lr,
        batch_size=batch_size,
        accumulate=accumulate,
        precision=precision,
        seed=seed,
    )
    own = options.weights_of(weights, encoder or list(levels_of(start)))
    if data is None and rcdm != "embedded":
        raise UserError(f"it was not said on which images {rcdm} is to learn", "name those of its training with --data")
    begin = partial(prepare, encoder or (), data or "scenes-train", settings, out=out, weights=own, device=device)
    _trained(begin, console, title=f"held-out images, drawn in {calls} steps")


def _trained(
    begin: Callable[[], Training], console: Console, *, title: str, log: str | None = None
) -> pd.DataFrame | None:
    """Train, and say what was reached: what each look found, or None in a process that does not speak."""
    from rcdm_probe.progress import progress_bars
    from rcdm_probe.rcdm_training import conduct

    with progress_bars():
        training = begin()
        out = training.run.folder
        if training.is_main:
            tell(training.images.remarks)
        if training.is_main and training.run.resumed:
            console.print(f"going on in {escape(legible(str(out)))}")
        # In a log no bar shows that it goes on.
        found = conduct(
            training, tell=lambda line: None if console.is_terminal else console.print(escape(line)), log=log
        )
    if not training.is_main:
        return None
    last = found[found["step"] == found["step"].max()]
    table = Table(title=title)
    for heading in ("level", "MRR", "mean rank", "of", "Frechet, relative", "loss", "held-out loss"):
        table.add_column(heading, justify="left" if heading == "level" else "right", overflow="fold")
    for row in last.to_dict("records"):
        numbers = f"{row['MRR']:.3f}", f"{row['mean rank']:.1f}", str(row["gallery"]), f"{row['frechet relative']:.2f}"
        table.add_row(row["level"], *numbers, f"{row['loss']:.4f}", f"{row['held-out loss']:.4f}")
    console.print(table)
    if skipped := [str(path) for path in training.images.skipped]:
        console.print(f"[yellow]{escape(unread(len(skipped), skipped))}[/]")
    console.print(f"RCDM: [bold]{escape(legible(str(out)))}[/] (samples/, progress.png, fidelity.csv)")
    return found
