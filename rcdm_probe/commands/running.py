"""How a command runs a study: load, measure, write the report into a run folder, say what was found."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape

from rcdm_core.errors import legible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

COLOURS = {"supported": "green", "not supported": "red", "inconclusive": "yellow", "too few": "yellow"}
NAMED = 3  # files that could not be read, of which the terminal gives the names


def new_console(*, stderr: bool = False) -> Console:
    """Where a command prints: plain numbers, names as they are (``:cat:`` too), and lines as long as they are."""
    return Console(highlight=False, soft_wrap=True, emoji=False, stderr=stderr)


def command_line(probe: str, **arguments: Any) -> str:
    """The command with every argument spelled out, so that it stays true when a default changes.

    Args:
        probe: Name of the command.
        **arguments: Options; a list is repeated, None is left out. ``positional``: a list of arguments without a name.
    """
    words = ["rcdm-probe", probe, *map(str, arguments.pop("positional", []))]
    for name, value in arguments.items():
        values = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
        for item in values:
            words += [f"--{name.replace('_', '-')}", str(item)]
    return shlex.join(words)


def carry_out(
    prepare: Callable[..., Any], conduct: Callable[..., Any], out: Path | None, console: Console
) -> tuple[Any, Path]:
    """Run a study in a run folder, a new one or that of an interrupted run of the same arguments.

    Args:
        prepare: Gives the study, a frozen dataclass with its ``facts`` and ``images``.
        conduct: Takes the study and ``workdir``; gives the result, which can ``save`` itself.
        out: The run folder; None for one by date.
        console: Told where a run goes on.

    Returns:
        The result, and the path of its report.
    """
    from rcdm_core import sharing
    from rcdm_core.progress import showing, silent
    from rcdm_probe import runs
    from rcdm_probe.progress import progress_bars

    if sharing.rank():  # the first process speaks for all
        with showing(silent):
            study = prepare()
            runs.begin(study.facts, out).carry_out(study, conduct)
        raise typer.Exit
    with progress_bars():
        study = prepare()
        tell(study.facts["data_card"].get("remarks", ()))
        # Settings of Matplotlib's that cannot be read are told before anything is measured, not minutes after.
        import reports.matplotlibrc  # noqa: F401

        if out is not None:
            runs.keep_apart(out, study.images)
        run = runs.begin(study.facts, out)
        if run.resumed:
            console.print(f"going on in {escape(legible(str(run.folder)))}")
        return run.carry_out(study, conduct)


def tell(remarks: Iterable[str]) -> None:
    """Print what has to be told of images on stderr, before anything is computed with them."""
    console = new_console(stderr=True)
    for remark in remarks:
        console.print(f"[yellow]rcdm-probe: {escape(legible(remark))}[/]")


def unread(count: int, files: Sequence[str]) -> str:
    """What is said of files that could not be read.

    Args:
        count: How many there are, at least one.
        files: The first of them at least, as many as are named here.
    """
    noun, were = ("file", "was") if count == 1 else ("files", "were")
    more = f" and {count - NAMED} more" if count > NAMED else ""
    return f"{count} {noun} could not be read and {were} left out: {legible(', '.join(files[:NAMED]))}{more}"


def conclude(console: Console, result: Any, report: Path) -> None:
    """Print the verdicts, what was left out, and where the report is."""
    for verdict in result.verdicts:
        word = f"[bold {COLOURS[verdict.word]}]{verdict.word}[/]"
        console.print(f"\n{verdict.heading}: {word}. {escape(verdict.sentence)}")
    card = result.run["data_card"]
    if card["skipped"]:
        console.print(f"\n[yellow]{escape(unread(card['skipped'], card['skipped_files']))}[/]")
    console.print(f"\nReport: [bold]{escape(legible(str(report)))}[/]")
