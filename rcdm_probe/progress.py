"""Progress with the time left, in the form that the floors below take (`rcdm_core.progress.Progress`)."""

from __future__ import annotations

import operator
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich import progress as rich_progress
from rich.console import Console

from rcdm_core.progress import showing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rcdm_core.progress import Progress

_LONG = 2.0  # seconds: what takes longer is worth a line in a log


@contextmanager
def progress_bars(console: Console | None = None) -> Iterator[None]:
    """Bars on the terminal while the block runs, each gone when its loop is done; in a log, a line for each long loop.

    Of many processes that compute together, the first shows them.

    Args:
        console: Where to draw; by default the standard error, so that a pipe gets results only.
    """
    if os.environ.get("RANK", "0") != "0":
        yield
        return
    console = console or Console(stderr=True, highlight=False, emoji=False)
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


def _lines(console: Console) -> Progress:
    def progress(items: Iterable[Any], description: str, total: int | None = None) -> Iterator[Any]:
        begun = time.monotonic()
        yield from items
        seconds = time.monotonic() - begun
        if seconds > _LONG:
            console.print(f"{description}: {seconds:.0f} s", markup=False, soft_wrap=True)

    return progress
