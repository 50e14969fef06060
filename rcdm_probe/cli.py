"""The command line ``rcdm-probe``: commands by name, and one clear line for whatever goes wrong.

Nothing heavy is imported here; each command imports what it needs when it runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from rcdm_core.errors import UserError
from rcdm_probe.commands import (
    adversarial,
    bench,
    convert,
    encoders,
    fidelity,
    generate,
    interpolate,
    invariance,
    manipulate,
    reproduce,
    sample,
    train,
    zoo,
)

USER_ERROR, INTERRUPTED = 2, 130


class Commands(TyperGroup):
    """A group of commands that ends in one line where the user is mistaken or stops it."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a `UserError` gives exit code 2, Ctrl-C gives 130."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            _say(f"[bold red]rcdm-probe:[/] {escape(str(error))}")
            raise typer.Exit(USER_ERROR) from error
        except KeyboardInterrupt as interruption:
            _say("[yellow]rcdm-probe: stopped; what was finished is kept, the same command goes on from there[/]")
            raise typer.Exit(INTERRUPTED) from interruption


app = typer.Typer(
    cls=Commands,
    name="rcdm-probe",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "See what a frozen vision encoder keeps and what it throws away.\n\n"
        "A diffusion model draws images from a representation alone: what the draws share is what the encoder keeps. "
        "Numbers with confidence intervals stand beside every picture.\n\n"
        "[bold]Start here[/]: [cyan]rcdm-probe invariance --encoder vicreg[/] needs no network, no GPU, no data, and "
        "leaves a PDF report in runs/.\n\n"
        "[bold]Then[/]: [cyan]rcdm-probe encoders[/] lists the encoders, [cyan]rcdm-probe sample photo.jpg --encoder "
        "simclr[/] draws from your own image."
    ),
)
app.command("invariance")(invariance.run)
app.command("adversarial")(adversarial.run)
app.command("fidelity")(fidelity.run)
app.command("interpolate")(interpolate.run)
app.command("manipulate")(manipulate.run)
app.command("generate")(generate.run)
app.command("reproduce")(reproduce.run)
app.command("sample")(sample.run)
app.command("train")(train.run)
app.command("encoders")(encoders.run)
app.command("convert")(convert.run)
app.command("bench")(bench.run)
app.add_typer(zoo.app, name="zoo")


def main() -> None:
    """Entry point of the script ``rcdm-probe``."""
    app()


def _say(line: str) -> None:
    Console(file=sys.stderr, highlight=False).print(line, soft_wrap=True)
