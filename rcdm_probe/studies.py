"""What all studies have in common: what their results are, and how they are carried out.

A study is prepared (everything is loaded and checked, nothing is computed), conducted (probe, then statistics) and
saved (report, figures, tables). A call from Python does the first two; in a run folder, all three are done.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from rcdm_core.progress import current, showing, track
from rcdm_probe import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from rcdm_core.progress import Progress


class Result(Protocol):
    """What a study found: it knows its run, and can be saved."""

    @property
    def run(self) -> runs.Facts:
        """The content of ``run.json``."""

    def save(self, folder: str | Path) -> Path:
        """Write it into a folder; gives the path of the PDF report."""


Found = TypeVar("Found", bound=Result)


def carry_out(
    prepare: Callable[..., Any],
    conduct: Callable[..., Found],
    *,
    workdir: str | Path | None = None,
    progress: Progress | None = None,
) -> Found:
    """Prepare and conduct a study, as a call from Python does.

    Args:
        prepare: Gives the study.
        conduct: Takes the study and ``workdir``; gives the result.
        workdir: Folder in which finished parts are kept; None keeps nothing.
        progress: Told of every long loop; None leaves that to whoever was set with `showing`.
    """
    begun = time.perf_counter()
    with showing(progress or current()):
        study = prepare()
        result = conduct(study, workdir=None if workdir is None else Path(workdir))
    runs.close(result.run, seconds=time.perf_counter() - begun)
    return result


def carry_out_in(run: runs.Run, study: Any, conduct: Callable[..., Found]) -> tuple[Found, Path]:
    """Conduct a study in its run folder, and save there what it found.

    Args:
        run: From `runs.begin` of the study's facts.
        study: From its ``prepare``: a frozen dataclass with its ``facts`` and ``images``.
        conduct: As in `carry_out`.

    Returns:
        The result, and the path of its report.

    Raises:
        UserError: Another process is about the same run.
    """
    with run.locked():
        result = conduct(replace(study, facts=run.facts), workdir=run.parts)
        run.close()
        for _ in track(range(1), "writing the report", 1):
            report = result.save(run.folder)
        run.finish()
    return result, report
