"""Progress bars with the time left, in the form that the floors below take (`rcdm_core.progress.Progress`)."""

from __future__ import annotations

import operator
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich import progress as rich_progress
from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rcdm_core.progress import Progress


@contextmanager
def progress_bars(console: Console | None = None) -> Iterator[Progress]:
    """Bars on the terminal while the block runs; each goes when its loop is done.

    Args:
        console: Where to draw; by default the standard error, so that a pipe gets results only.

    Yields:
        A `Progress`. Loops may nest.
    """
    columns = (
        rich_progress.SpinnerColumn(),
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TextColumn("time left"),
        rich_progress.TimeRemainingColumn(elapsed_when_finished=True),
    )
    console = console or Console(file=sys.stderr)
    with rich_progress.Progress(*columns, console=console, transient=True) as display:

        def progress(items: Iterable[Any], description: str, total: int | None = None) -> Iterator[Any]:
            task = display.add_task(description, total=total or operator.length_hint(items) or None)
            try:
                for item in items:
                    yield item
                    display.advance(task)
            finally:
                display.remove_task(task)

        yield progress
