"""The command line ``rcdm-probe``: commands by name, and one clear line for whatever goes wrong.

Nothing heavy is imported here; each command imports what it needs when it runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import errno
import gc
import inspect
import os
import re
import signal
import sys
from contextlib import contextmanager
from difflib import get_close_matches
from io import BufferedWriter, FileIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.main import get_command_from_info
from typer.models import CommandInfo

from rcdm_core.allocator import keep_memory
from rcdm_core.errors import UserError
from rcdm_core.interruption import interrupt, stop
from rcdm_core.kept import cache_folder
from rcdm_core.quick_import import import_diffusers_quickly
from rcdm_probe.commands import (
    bench,
    compare,
    convert,
    encoders,
    explore,
    reproduce,
    sample,
    train,
    zoo,
)
from rcdm_probe.commands.running import new_console
from rcdm_probe.known_probes import load_probe, places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USER_ERROR, INTERRUPTED = 2, 130
ALL_AT_ONCE = ("compare", "sample", "explore", "encoders", "convert", "bench", "evaluate")
"""Commands of which what they had done is lost with them."""
GARBAGE = 100_000  # new objects before a collection; with Python's own 700, importing PyTorch collects a second long
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE)
_LINE_END = re.compile(r"(?<=\S)\n(?=[^\s*-])")  # within a paragraph
_GIVEN = "rcdm_probe.given"  # what was given for each parameter, in the context of the parser
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
            if not _stands():
                raise UserError("the folder in which this was started is gone", "change into another")
            os.environ.setdefault("MPLCONFIGDIR", str(cache_folder() / "matplotlib"))  # nothing is left elsewhere
            return super().invoke(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command of a name, unless an option that takes one value is given several: the last would win untold."""
        if args and not args[0].startswith("-") and args[0] not in (known := self.list_commands(ctx)):
            near = " or ".join(map(repr, get_close_matches(args[0], known)))
            raise Misuse(f"No such command {args[0]!r}.{f' Did you mean {near}?' if near else ''}", ctx)
        name, command, rest = super().resolve_command(ctx, args)
        assert name is not None
        assert command is not None
        command = self.whole(name, command)
        command.help = _LINE_END.sub(" ", inspect.cleandoc(command.help or ""))  # typer keeps them, at any width
        own = command.context_class(command, info_name=name, parent=ctx)
        parser = command.make_parser(own)
        parser.ignore_unknown_options, parser.allow_interspersed_args = True, not isinstance(command, TyperGroup)
        ctx.meta[_GIVEN], _, given = parser.parse_args(args=list(rest))
        for option in (item for item in dict.fromkeys(given) if isinstance(item, TyperOption)):
            if given.count(option) > 1 and not (option.multiple or option.is_eager):
                names = " or ".join(name for name in (*option.opts, *option.secondary_opts) if name.startswith("--"))
                raise Misuse(f"{names} is given {given.count(option)} times: give it once", own)
        return name, command, rest

    def whole(self, name: str, command: Any) -> Any:
        """A command with all its options."""
        return command


@contextmanager
def one_line(command: Callable[[], str | None] = lambda: None) -> Iterator[None]:
    """Mistakes, and what a machine has too little of, end in a line and exit code 2, Ctrl-C in a line and 130.

    Args:
        command: Tells the command that runs, once it is known.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        if before is stop:
            signal.signal(signal.SIGINT, interrupt)
        yield
    except Misuse as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # it has shown the help
            raise
        raise _stop(_told(error)) from error
    except UserError as error:
        raise _stop(str(error)) from error
    except (MemoryError, RuntimeError) as error:
        raise _stop(_out_of_memory(error)) from error
    except OSError as error:
        if error.errno not in _FULL:
            raise
        where = f" ({error.filename})" if error.filename else ""
        raise _stop(f"{error.strerror}{where}: make room there; the same command goes on from what was done") from error
    except KeyboardInterrupt as interruption:
        goes_on = command() not in (None, *ALL_AT_ONCE)
        kept = "; what was finished is kept, the same command goes on from there" if goes_on else ""
        _say("yellow", f"rcdm-probe: stopped{kept}")
        raise typer.Exit(INTERRUPTED) from interruption
    finally:
        if before is stop:
            signal.signal(signal.SIGINT, stop)


class WithProbes(Commands):
    """The group of all commands: those of the probes are found, and made when they are called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Probes first."""
        return [*places(), *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command by name; of a probe its first line alone, which is all that a list of commands needs."""
        if cmd_name in places():
            return _made(cmd_name, lambda: None, help=places()[cmd_name].line)
        return super().get_command(ctx, cmd_name)

    def whole(self, name: str, command: Any) -> Any:
        """A command with all its options: those of a probe are read from its settings."""
        if name not in places():
            return command
        from rcdm_probe.commands.probing import command_of

        return _made(name, command_of(load_probe(name)))


def _made(name: str, function: Callable[..., None], **about: Any) -> Any:
    told = CommandInfo(name, callback=function, cls=TyperCommand, context_settings=HELP, **about)
    return get_command_from_info(told, pretty_exceptions_short=False, rich_markup_mode="rich")


HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    cls=WithProbes,
    name="rcdm-probe",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings=HELP,
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
app.command("reproduce")(reproduce.run)
app.command("compare")(compare.run)
app.command("sample")(sample.run)
app.command("explore")(explore.run)
app.command("train")(train.run)
app.command("adapt")(train.adapt)
app.command("distill")(train.distill)
app.command("encoders")(encoders.run)
app.command("convert")(convert.run)
app.command("bench")(bench.run)
app.add_typer(zoo.app, name="zoo", cls=Commands)


def main() -> None:
    """The command line."""
    gc.set_threshold(GARBAGE)
    keep_memory()
    import_diffusers_quickly()
    _open_streams()
    try:
        app()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
        try:
            sys.stdout.flush()
        except UserError as error:
            if not code:
                _say("bold red", "rcdm-probe:", str(error))
            code = code or USER_ERROR
        sys.stderr.flush()
        os._exit(code)  # taking the libraries down would last two seconds


class _Output(FileIO):
    """A standard stream that nobody need hear: a run is not lost for a reader who has gone."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if isinstance(error, BrokenPipeError) or self.fileno() == 2:  # and who would hear of errors?
                return len(data)
            raise UserError(f"the output cannot be written ({error.strerror})", "send it elsewhere") from error


def _open_streams() -> None:
    """Standard streams that take any character, closed ones and those whose reader goes."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:  # closed: a file that is opened later would get its number, and be written into
            setattr(sys, name, Path(os.devnull).open("w" if number else "r"))  # noqa: SIM115
        elif number:
            raw = _Output(number, "w", closefd=False)
            at_once = raw.isatty() or name == "stderr"
            setattr(sys, name, TextIOWrapper(BufferedWriter(raw), stream.encoding, "replace", line_buffering=at_once))


def _stands() -> bool:
    """Whether there is a current folder: without one, libraries do not even load."""
    try:
        return bool(Path.cwd())
    except FileNotFoundError:
        return False


def _told(misuse: Any) -> str:
    """What is wrong with the arguments, and where to look it up."""
    command = misuse.ctx.command_path if misuse.ctx else "rcdm-probe"
    message, parameter = misuse.format_message().rstrip("."), getattr(misuse, "param", None)
    given = misuse.ctx.meta.get(_GIVEN, {}).get(parameter.name) if misuse.ctx and parameter else None
    if given is not None and not re.search(rf"(?<!\w){re.escape(str(given))}(?!\w)", message):  # bounds are named alone
        message = f"{message}, not {given}"
    return f"{message} (see `{command} --help`)"


def _out_of_memory(error: MemoryError | RuntimeError) -> str:
    """What there is too little of; any other error goes on."""
    if type(error).__name__ == "OutOfMemoryError":  # PyTorch's, which is not imported here
        return "the GPU has too little memory: take a smaller --batch-size, or --device cpu"
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return "there is too little memory: take fewer --images or a smaller --batch-size"
    raise error


def _stop(problem: str) -> typer.Exit:
    """Say what is wrong; gives what ends the command."""
    _say("bold red", "rcdm-probe:", problem)
    return typer.Exit(USER_ERROR)


def _say(style: str, *words: str) -> None:
    """Print a line on the standard error, the first word in a style; a line break in a name does not break it."""
    first, *others = ("".join(c if c.isprintable() else repr(c)[1:-1] for c in word) for word in words)
    new_console(stderr=True).print(Text.assemble((first, style), *(f" {other}" for other in others)))
