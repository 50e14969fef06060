"""``rcdm-probe adapt``: a new encoder on an RCDM that exists, in minutes."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from rcdm_core.errors import legible
from rcdm_probe.commands import options
from rcdm_probe.commands.running import new_console, tell, unread


def run(
    encoder: options.EncodersToDraw,
    data: options.Data,
    out: options.RcdmOut,
    rcdm: Annotated[
        str,
        typer.Option(
            help="RCDM to draw with: a folder, embedded, or a published one such as imagenet/vicreg/backbone.",
            metavar="FOLDER",
        ),
    ] = "embedded",
    level: options.Levels = None,
    images: options.AtMost = None,
    steps: Annotated[
        int, typer.Option(help="Steps of the second stage at most; it ends when heads no longer get better.", min=1)
    ] = 600,
    whole: Annotated[
        int, typer.Option(help="Steps of a third stage, in which the denoiser is trained, too.", min=0)
    ] = 0,
    batch_size: options.BatchOfAll = 64,
    lr: Annotated[float, typer.Option(help="Learning rate of the second stage.")] = 1e-3,
    whole_lr: Annotated[float, typer.Option(help="Learning rate of the third stage.")] = 2e-4,
    accumulate: options.Accumulate = 1,
    precision: options.Precision = "auto",
    every: Annotated[int, typer.Option(help="Steps between looks at the loss on held-out images.", min=1)] = 50,
    looked_at: Annotated[
        int, typer.Option(help="Held-out images sampled after each stage, for each level.", min=2)
    ] = 100,
    weights: options.WeightsOf = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    threads: options.Threads = None,
) -> None:
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
        from rcdm_probe.adaptation import conduct, prepare
        from rcdm_probe.opening import open_one
        from rcdm_probe.progress import progress_bars

    settings = adaptation_settings(
        open_one(rcdm),
        steps=steps,
        whole=whole,
        learning_rate=lr,
        whole_rate=whole_lr,
        batch_size=batch_size,
        accumulate=accumulate,
        precision=precision,
        every=every,
        looked_at=looked_at,
        images=images,
        seed=seed,
    )
    with progress_bars():
        own = options.weights_of(weights, encoder)
        adapting = prepare(encoder, data, settings, out=out, level=level or None, weights=own, device=device)
        if adapting.is_main:
            tell(adapting.images.remarks)
            if adapting.run.resumed:
                console.print(f"going on in {escape(legible(str(out)))}")
        found = conduct(adapting, tell=lambda line: None if console.is_terminal else console.print(escape(line)))
    if not adapting.is_main:
        return
    table = Table(title="held-out images after each stage")
    for heading in ("stage", "level", "held-out loss", "MRR", "mean rank", "of", "variance within"):
        table.add_column(heading, justify="left" if heading in ("stage", "level") else "right")
    for row in found.to_dict("records"):
        told = f"{row['held-out loss']:.4f}", f"{row['MRR']:.3f}", f"{row['mean rank']:.1f}", str(row["gallery"])
        table.add_row(row["stage"], row["level"], *told, f"{row['variance within']:.2f}")
    console.print(table)
    if skipped := [str(path) for path in adapting.images.skipped]:
        console.print(f"[yellow]{escape(unread(len(skipped), skipped))}[/]")
    by_level = found.pivot(index="level", columns="stage", values="MRR")
    last = by_level[WHOLE if whole else HEADS]
    reached = ", ".join(f"{name} {value:.3f}" if len(last) > 1 else f"{value:.3f}" for name, value in last.items())
    console.print(
        f"RCDM: [bold]{escape(legible(str(out)))}[/] (stages.csv, stages.png, samples/), MRR {reached}: "
        "what its pictures lack may be the denoiser's lack"
    )
    if whole and (last < by_level[HEADS]).all():
        console.print("[yellow]its heads alone drew better: leave out --whole, or give it more steps[/]")
    words = ["rcdm-probe", "invariance", "--encoder", encoder[0], "--data", data, "--rcdm", str(out)]
    words += [word for name in level or [] for word in ("--level", name)]
    words += ["--weights", str(own[encoder[0]])] if encoder[0] in own else []
    console.print(f"Next: {escape(legible(shlex.join(words)))}")
