"""Handing on what was found: into a folder, and a finished run to the Hugging Face hub, its records as a dataset."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rcdm_core import hub
from rcdm_core.data.layout import RUN
from rcdm_core.errors import UserError
from rcdm_core.paths import user_path
from rcdm_probe import runs
from reports.blocks import figure_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pandas as pd

_HEAD = """---
tags: [rcdm-probe, representation-learning, interpretability]
configs:
- config_name: records
  data_files: records.parquet
---
"""


@dataclass(frozen=True, kw_only=True, repr=False)
class Savable:
    """What a study found, which can be saved.

    Attributes:
        saved: Folders in which it was saved.
    """

    saved: list[Path] = field(default_factory=list, compare=False)

    def save(self, folder: str | Path) -> Path:
        """Write report, figures, tables, records and ``run.json``.

        Args:
            folder: Where; made if it is not there.

        Returns:
            Path of the PDF report.

        Raises:
            UserError: The folder cannot be written.
        """
        report = runs.save(Path(folder), *self._left())
        self.saved.append(report.parent)
        return report

    def push_to_hub(self, name: str, *, private: bool = False) -> str:
        """Hand it on as a dataset of the Hugging Face hub, as `rcdm_probe.push_run` does; gives the address."""
        with TemporaryDirectory() as folder:
            return push_run(replace(self, saved=[]).save(folder).parent, name, private=private)

    def _left(self) -> tuple[pd.DataFrame, runs.Facts, Callable[[Path], Path]]:
        """Records, the content of ``run.json``, and what writes the report into a folder."""
        raise NotImplementedError


def push_run(folder: str | Path, name: str, *, private: bool = False) -> str:
    """Hand a finished run on to a dataset of the Hugging Face hub; gives its address.

    Everything that the run left behind goes there, ``run.json`` with paths and command line, too.

    Args:
        folder: Of the run.
        name: ``ORG/NAME``; made if it is not there.
        private: Whether a new dataset is for its owner's eyes alone.

    Raises:
        UserError: The folder holds no finished run with a report; there is no network, or the hub refuses.
    """
    folder = user_path(folder, "the folder of the run")
    facts, files = runs.read_facts(folder), runs.left_behind(folder)
    if facts is None or not facts["finished"] or not {"records.parquet", "report.json"} <= set(files):
        raise UserError(f"{folder} holds no finished run with its report", "name the folder that a probe has made")
    runs.require_whole(folder)
    told = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    page = _HEAD + "\n\n".join(_page(told, facts)) + "\n"
    return hub.handed_on(folder, [*files, RUN], name, readme=page, kind="dataset", private=private)


def _page(told: Mapping[str, Any], facts: runs.Facts) -> Iterator[str]:
    """The paragraphs of the dataset's page: what the report's first page says."""
    yield f"# {told['title']}"
    yield f"{told['subtitle']}. Everything is in [report.pdf](report.pdf)."
    for verdict in told["verdicts"]:
        yield f"**{verdict['claim']}** {verdict['word'].capitalize()}. {verdict['sentence']}"
    if told["figure"]:
        name = figure_name(told["figure"])
        yield f"![{told['figure']['lead']}](figures/{name}.png)\n\n*{told['figure']['lead']}*"
    yield f"`{facts['command']}`, rcdm-probe {facts['versions']['rcdm-probe']}, seed {facts['seed']}."
