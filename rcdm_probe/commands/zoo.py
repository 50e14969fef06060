"""``rcdm-probe zoo``: train the networks that ship with the package, and measure them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from rcdm_core.rcdm.choices import DEFAULT_SOLVER, DEFAULT_STEPS
from rcdm_probe.commands import options
from rcdm_probe.commands.running import new_console

app = typer.Typer(no_args_is_help=True, help="Train the embedded networks anew, or measure them.")

Folder = Annotated[
    Path,
    typer.Option("--folder", parser=options.place, help="Where checkpoints, weights and cards are.", metavar="FOLDER"),
]


Parts = Annotated[
    list[str] | None,
    typer.Argument(help="supervised, simclr, vicreg, barlow, dino, judge or rcdm; all if none.", metavar="[PART]..."),
]


@app.command("train")
def train(
    parts: Parts = None,
    folder: Folder = Path(".zoo"),
    garments: Annotated[
        Path | None, typer.Option(help="Folder with Fashion-MNIST's gzipped files; by default found or downloaded.")
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(help="Folder with weights to begin with, as rcdm_core/zoo/weights; by default fresh ones."),
    ] = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    threads: options.Threads = None,
) -> None:
    r"""Train everything that ships: five encoders, the judge, the shared RCDM.

    That takes two processor cores most of a day, a GPU less.

    It needs lightly, which [cyan]pip install -e '.\[train]'[/] installs.

    Stop it at any time: the same command goes on from the last checkpoint, to the same losses. Another seed is another
    zoo by the same recipe, and needs a folder of its own.

    [bold]Example[/]: rcdm-probe zoo train --folder .zoo
    """
    from rcdm_core.zoo.files import Workshop
    from rcdm_core.zoo.recipes import PARTS
    from rcdm_core.zoo.train import train_zoo
    from rcdm_probe.device import choose_device
    from rcdm_probe.progress import progress_bars

    place = choose_device(device)
    with progress_bars(), _alone(folder, place):
        workshop = Workshop(folder=folder, start=start, garments=garments, seed=seed, device=place)
        train_zoo(workshop, parts or PARTS)


@app.command("evaluate")
def evaluate(
    parts: Parts = None,
    folder: Folder = Path(".zoo"),
    images: Annotated[int, typer.Option("--images", "-n", min=100, max=10_000, help="Test scenes.")] = 10_000,
    samples: Annotated[int, typer.Option(help="Of these, scenes sampled once for each condition.", min=2)] = 1_000,
    steps: options.Steps = DEFAULT_STEPS,
    solver: options.Solver = DEFAULT_SOLVER,
    seed: options.Seed = 0,
    garments: Annotated[
        Path | None,
        typer.Option(
            help="Folder with Fashion-MNIST's gzipped training files, for the linear evaluation; by default looked for."
        ),
    ] = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
) -> None:
    """Measure the networks on test scenes, print what they reach and write it into their cards.

    [bold]Example[/]: rcdm-probe zoo evaluate --folder .zoo
    """
    from rcdm_core.zoo.evaluate import Evaluation, evaluate_zoo
    from rcdm_core.zoo.recipes import PARTS
    from rcdm_probe.device import choose_device
    from rcdm_probe.progress import progress_bars

    place = choose_device(device)
    with progress_bars():
        how = Evaluation(images=images, samples=min(samples, images), steps=steps, solver=solver, seed=seed)
        scores = evaluate_zoo(folder, how, parts=parts or PARTS, garments=garments, device=place)
    wide = scores.pivot_table(index=["network", "level"], columns="score", values="value", sort=False)
    new_console().print(wide.to_string(float_format="{:.3f}".format, na_rep=""))


@contextmanager
def _alone(folder: Path, device: str) -> Iterator[None]:
    """Let the processes of this command alone write in a folder of the zoo.

    Raises:
        UserError: Others do, it cannot be written, or it holds what is no part of the zoo, and no part.
    """
    from rcdm_core.errors import UserError
    from rcdm_core.training import join_processes
    from rcdm_core.zoo.recipes import PARTS
    from rcdm_probe import runs

    if not join_processes(device).is_main_process:
        yield
        return
    with runs.locked(folder):
        known = {name for part in PARTS for name in (part, f"{part}.safetensors", f"{part}.json")}
        found = {path.name for path in folder.iterdir()}
        if not known & found and (strangers := runs.strangers(folder)):
            raise UserError(f"{folder} holds {strangers[0]} and no part of the zoo", "choose another with --folder")
        yield
