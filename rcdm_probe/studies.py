"""What all studies have in common: what their results are, and how they are carried out.

A study is prepared (everything is loaded and checked, nothing is computed), conducted (probe, then statistics) and
saved (report, figures, tables). A call from Python does the first two; in a run folder, all three are done.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pandas as pd

from probes.records import number_images
from rcdm_probe import runs
from reports.tables import save_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from analyses.findings import Verdict
    from probes.panels import Panel
    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.progress import Progress


class Result(Protocol):
    """What a study found: it knows its run, and can be saved."""

    @property
    def run(self) -> runs.Facts:
        """The content of ``run.json``."""

    def save(self, folder: str | Path) -> Path:
        """Write it into a folder; gives the path of the PDF report."""


Found = TypeVar("Found", bound=Result)


@dataclass(frozen=True)
class ProbeResult(ABC):
    """What a study of one probe found.

    Attributes:
        records: Every measurement, one a row; ``image`` is the index of the image in its data set.
        panels: Labelled grids of pictures.
        tables: Summaries with 95% intervals, by name.
        verdicts: The findings tested.
        run: Where the numbers come from: the content of ``run.json``.
        images: Which image each number of the records is: its ``file`` below a folder, or its index, and its ``class``.
    """

    records: pd.DataFrame
    panels: tuple[Panel, ...]
    tables: Mapping[str, pd.DataFrame]
    verdicts: tuple[Verdict, ...]
    run: runs.Facts
    images: pd.DataFrame = field(default_factory=pd.DataFrame, kw_only=True)

    def save(self, folder: str | Path) -> Path:
        """Write report, figures, tables, records and ``run.json``.

        Args:
            folder: Where; made if it is not there.

        Returns:
            Path of the PDF report.

        Raises:
            UserError: The folder cannot be written.
        """
        return runs.save(Path(folder), records=self.records, facts=self.run, write=self._write_all)

    def _write_all(self, folder: Path) -> Path:
        report = self._write(folder)
        save_csv(folder / "tables", "images", self.images)
        return report

    @abstractmethod
    def _write(self, folder: Path) -> Path:
        """Write the report with its figures and tables; gives the path of the PDF."""


def carry_out(
    prepare: Callable[..., Any],
    conduct: Callable[..., Found],
    *,
    workdir: str | Path | None = None,
    progress: Progress,
) -> Found:
    """Prepare and conduct a study, as a call from Python does.

    Args:
        prepare: Takes ``progress``; gives the study.
        conduct: Takes the study, ``workdir`` and ``progress``; gives the result.
        workdir: Folder in which finished parts are kept; None keeps nothing.
        progress: Told of every long loop.
    """
    begun = time.perf_counter()
    study = prepare(progress=progress)
    result = _numbered(
        conduct(study, workdir=None if workdir is None else Path(workdir), progress=progress), study.images
    )
    runs.close(result.run, seconds=time.perf_counter() - begun)
    return result


def carry_out_in(run: runs.Run, study: Any, conduct: Callable[..., Found], *, progress: Progress) -> tuple[Found, Path]:
    """Conduct a study in its run folder, and save there what it found.

    Args:
        run: From `runs.begin` of the study's facts.
        study: From its ``prepare``: a frozen dataclass with its ``facts`` and ``images``.
        conduct: As in `carry_out`.
        progress: Told of every long loop.

    Returns:
        The result, and the path of its report.

    Raises:
        UserError: Another process is about the same run.
    """
    with run.locked():
        result = _numbered(conduct(replace(study, facts=run.facts), workdir=run.parts, progress=progress), study.images)
        run.close()
        for _ in progress(range(1), "writing the report", 1):
            report = result.save(run.folder)
        run.finish()
    return result, report


def _numbered(result: Found, images: ImageSet) -> Found:
    """A result whose records name images by their index in the data set, where a probe names them by position.

    Records of several probes can so be joined, whichever images each of them was given.
    """
    if not isinstance(result, ProbeResult):
        return result
    records, images_of = number_images(result.records, images)
    return replace(result, records=records, images=images_of)
