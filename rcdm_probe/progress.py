"""Progress with the time left, in the form that the floors below take (`rcdm_core.progress.Progress`)."""

from __future__ import annotations

import operator
import os
import time
from contextlib import contextmanager, nullcontext
from html import escape
from typing import TYPE_CHECKING, Any

from rich import progress as rich_progress
from rich.console import Console

from rcdm_core.progress import current, showing, silent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from rcdm_core.progress import Progress

_LONG = 2.0  # seconds: what takes longer is worth a line in a log
_OFTEN = 0.2  # seconds between two looks of a bar in a notebook


@contextmanager
def progress_bars(console: Console | None = None) -> Iterator[None]:
    """Bars on the terminal, or below the cell of a notebook, while the block runs, each gone when its loop is done.

    In a log, a line for each long loop.

    Of many processes that compute together, the first shows them.

    Args:
        console: Where to draw; by default the standard error, so that a pipe gets results only.
    """
    if os.environ.get("RANK", "0") != "0":
        yield
        return
    console = console or Console(stderr=True, highlight=False, emoji=False)
    if console.is_jupyter:
        with _in_notebook() as progress, showing(progress):
            yield
        return
    if not console.is_terminal:
        with showing(_lines(console)):
            yield
        return
    columns = (
        rich_progress.SpinnerColumn(),
        rich_progress.TextColumn("{task.description}", markup=False),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TextColumn("time left"),
        rich_progress.TimeRemainingColumn(),
    )
    with rich_progress.Progress(*columns, console=console, transient=True) as display:

        def progress(items: Iterable[Any], description: str, total: int | None = None) -> Iterator[Any]:
            task = display.add_task(description, total=total or operator.length_hint(items) or None)
            try:
                for item in items:
                    yield item
                    display.advance(task)
            finally:
                display.remove_task(task)

        with showing(progress):
            yield


def asked_for() -> AbstractContextManager[None]:
    """What shows the loops of a call from Python: whatever was set; in a notebook, where nothing was, bars."""
    is_bare = current() is silent and Console().is_jupyter
    return progress_bars() if is_bare else nullcontext()


@contextmanager
def _in_notebook() -> Iterator[Progress]:
    """Bars in one place below the cell, which every front end shows without extensions."""
    from IPython.display import HTML, display

    area, bars, shown = display(HTML(""), display_id=True), list[str](), 0.0

    def progress(items: Iterable[Any], description: str, total: int | None = None) -> Iterator[Any]:
        nonlocal shown
        total, begun, place = total or operator.length_hint(items), time.monotonic(), len(bars)
        bars.append("")
        try:
            for done, item in enumerate(items):
                if (now := time.monotonic()) - shown > _OFTEN:
                    left = f", {(now - begun) / done * (total - done):.0f} s left" if done and total else ""
                    value = f'value="{done}" max="{total}"' if total else ""
                    counted = f"{done}/{total}" if total else str(done)
                    bars[place] = f"<div><progress {value}></progress> {escape(description)} {counted}{left}</div>"
                    area.update(HTML("".join(bars)))
                    shown = now
                yield item
        finally:
            del bars[place:]

    try:
        yield progress
    finally:
        area.update(HTML(""))


def _lines(console: Console) -> Progress:
    def progress(items: Iterable[Any], description: str, total: int | None = None) -> Iterator[Any]:
        begun = time.monotonic()
        yield from items
        seconds = time.monotonic() - begun
        if seconds > _LONG:
            console.print(f"{description}: {seconds:.0f} s", markup=False, soft_wrap=True)

    return progress
