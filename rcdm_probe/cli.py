"""The command line ``rcdm-probe``: commands by name, and one clear line for whatever goes wrong.

Nothing heavy is imported here; each command imports what it needs when it runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from rcdm_core.allocator import keep_memory
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USER_ERROR, INTERRUPTED = 2, 130
ALL_AT_ONCE = ("sample", "encoders", "convert", "bench", "evaluate")  # what they had done is lost with them
GARBAGE = 100_000  # new objects before a collection; with Python's own 700, importing PyTorch collects a second long
Misuse: type[Exception] = typer.BadParameter.__mro__[1]  # the parser's UsageError, which typer does not export


class Commands(TyperGroup):
    """A group of commands that ends in one line where the user is mistaken or stops it."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Read what stands before the command."""
        with one_line():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Read what stands after the command, and run it."""
        with one_line(lambda: ctx.invoked_subcommand):
            return super().invoke(ctx)


@contextmanager
def one_line(command: Callable[[], str | None] = lambda: None) -> Iterator[None]:
    """Mistakes and a GPU that is too small end in a line and exit code 2, Ctrl-C in a line and 130.

    Args:
        command: Tells the command that runs, once it is known.
    """
    try:
        yield
    except Misuse as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # it has shown the help
            raise
        _say(f"[bold red]rcdm-probe:[/] {escape(_told(error))}")
        raise typer.Exit(USER_ERROR) from error
    except UserError as error:
        _say(f"[bold red]rcdm-probe:[/] {escape(str(error))}")
        raise typer.Exit(USER_ERROR) from error
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # PyTorch's, which is not imported here
            raise
        _say("[bold red]rcdm-probe:[/] the GPU has too little memory: take a smaller --batch-size, or --device cpu")
        raise typer.Exit(USER_ERROR) from error
    except KeyboardInterrupt as interruption:
        goes_on = command() not in (None, *ALL_AT_ONCE)
        kept = "; what was finished is kept, the same command goes on from there" if goes_on else ""
        _say(f"[yellow]rcdm-probe: stopped{kept}[/]")
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
app.add_typer(zoo.app, name="zoo", cls=Commands)


def main() -> None:
    """Entry point of the script ``rcdm-probe``."""
    gc.set_threshold(GARBAGE)
    keep_memory()
    try:
        app()
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 0)  # taking the libraries down would last two seconds


def _told(misuse: Any) -> str:
    """What is wrong with the arguments, and where to look it up."""
    command = misuse.ctx.command_path if misuse.ctx else "rcdm-probe"
    return f"{misuse.format_message().rstrip('.')} (see `{command} --help`)"


def _say(line: str) -> None:
    Console(file=sys.stderr, highlight=False).print(line, soft_wrap=True)
