"""``rcdm-probe zoo``: train the networks that ship with the package, and measure them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rcdm_probe.commands.options import Device

app = typer.Typer(no_args_is_help=True, help="Train the embedded networks anew, or measure them.")

Folder = Annotated[Path, typer.Option("--folder", help="Where checkpoints and weights are kept.", file_okay=False)]


@app.command("train")
def train(
    folder: Folder = Path(".zoo"),
    garments: Annotated[
        Path | None,
        typer.Option(help="Folder with Fashion-MNIST's gzipped files; by default found or downloaded."),
    ] = None,
    device: Device = "auto",
) -> None:
    """Train everything that ships: five encoders, the judge, the shared RCDM.

    Stop it at any time: the same command goes on from the last checkpoint, to the same losses.

    [bold]Example[/]: rcdm-probe zoo train --folder .zoo
    """
    from rcdm_core.zoo.train import train_zoo
    from rcdm_probe.device import choose_device
    from rcdm_probe.progress import progress_bars

    with progress_bars() as progress:
        train_zoo(folder=folder, garments=garments, device=choose_device(device), progress=progress)


@app.command("evaluate")
def evaluate(
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Weights to measure; by default the embedded ones.", file_okay=False)
    ] = None,
    device: Device = "auto",
) -> None:
    """Measure the networks on the 10,000 test scenes and write what they reach into their cards.

    [bold]Example[/]: rcdm-probe zoo evaluate --folder .zoo
    """
    from rcdm_core.zoo.evaluate import evaluate_zoo
    from rcdm_probe.device import choose_device
    from rcdm_probe.progress import progress_bars

    with progress_bars() as progress:
        evaluate_zoo(folder=folder, device=choose_device(device), progress=progress)
