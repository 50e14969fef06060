"""``rcdm-probe zoo``: train the networks that ship with the package, and measure them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import typer

from rcdm_core.rcdm.choices import DEFAULT_SOLVER, DEFAULT_STEPS
from rcdm_probe.commands import options
from rcdm_probe.commands.options import option
from rcdm_probe.commands.running import new_console

app = typer.Typer(no_args_is_help=True, help="Train the embedded networks anew, or measure them.")

FOLDER = partial(
    option, Path(".zoo"), help="Where checkpoints, weights and cards are.", parser=options.place, metavar="FOLDER"
)


@dataclass(frozen=True, kw_only=True)
class Which(options.Asking):
    """Which networks."""

    parts: list[str] | None = options.argument(
        None, "supervised, simclr, vicreg, barlow, dino, judge or rcdm; all if none.", metavar="[PART]..."
    )


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """From what is trained, in the words of `rcdm_core.zoo.files.Workshop`."""

    folder: Path = FOLDER()
    garments: Path | None = option(None, "Folder with Fashion-MNIST's gzipped files; by default found or downloaded.")
    start: Path | None = option(
        None, "Folder with weights to begin with, as rcdm_core/zoo/weights; by default fresh ones."
    )
    seed: int = options.SEED()


@app.command("train")
@options.command
def train(which: Which, beginning: Beginning) -> None:
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

    place = choose_device(which.device)
    with progress_bars(), _alone(beginning.folder, place):
        train_zoo(Workshop(**asdict(beginning), device=place), which.parts or PARTS)


@dataclass(frozen=True, kw_only=True)
class How:
    """How much is measured, in the words of `rcdm_core.zoo.evaluate.Evaluation`."""

    images: int = option(10_000, "Test scenes.", "-n", min=100, max=10_000)
    samples: int = option(1_000, "Of these, scenes sampled once for each condition.", min=2)
    steps: int = options.STEPS(DEFAULT_STEPS)
    solver: str = options.SOLVER(DEFAULT_SOLVER)
    seed: int = options.SEED()


@dataclass(frozen=True, kw_only=True)
class Measured(Which):
    """What is measured."""

    folder: Path = FOLDER()
    garments: Path | None = option(
        None, "Folder with Fashion-MNIST's gzipped training files, for the linear evaluation; by default looked for."
    )


@app.command("evaluate")
@options.command
def evaluate(what: Measured, how: How) -> None:
    """Measure the networks on test scenes, print what they reach and write it into their cards.

    [bold]Example[/]: rcdm-probe zoo evaluate --folder .zoo
    """
    from rcdm_core.zoo.evaluate import Evaluation, evaluate_zoo
    from rcdm_core.zoo.recipes import PARTS
    from rcdm_probe.device import choose_device
    from rcdm_probe.progress import progress_bars

    place = choose_device(what.device)
    with progress_bars():
        told = Evaluation(**asdict(replace(how, samples=min(how.samples, how.images))))
        scores = evaluate_zoo(what.folder, told, parts=what.parts or PARTS, garments=what.garments, device=place)
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
