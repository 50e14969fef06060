"""What every report leaves in a run folder.

``figures/`` (PNG at 300 dpi, SVG), ``tables/`` (CSV, LaTeX), ``report.json`` (the document as plain data, for programs
that gather reports) and ``report.pdf``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from rcdm_core.atomic import atomic_path
from reports import style, tables
from reports.pdf import compile_pdf

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from analyses.findings import Verdict
    from reports.tables import Table


def write_report(
    folder: Path,
    *,
    figures: Iterable[tuple[str, Figure]],
    data: Mapping[str, pd.DataFrame],
    verdicts: Sequence[Verdict],
    printed: Iterable[Table],
    document: Mapping[str, Any],
) -> Path:
    """Write a report into a run folder.

    Args:
        folder: The run folder.
        figures: File names with figures; taken one by one, so that they need not exist together.
        data: Tables as numbers, by file name; those without rows are left out.
        verdicts: The findings tested; written as the table ``verdicts``.
        printed: Tables as a reader sees them.
        document: The report as plain data, for ``templates/report.typ``.

    Returns:
        Path of the PDF.
    """
    for name in ("figures", "tables"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, figure in figures:
        style.save(figure, folder / "figures", name)
    for name, numbers in data.items():
        if len(numbers):
            tables.save_csv(folder / "tables", name, numbers)
    if verdicts:
        tables.save_csv(folder / "tables", "verdicts", pd.DataFrame([vars(verdict) for verdict in verdicts]))
    for table in printed:
        tables.save_latex(folder / "tables", table)
    with atomic_path(folder / "report.json") as temporary:
        temporary.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return compile_pdf(document, template="report", folder=folder)
