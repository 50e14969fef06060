"""What every report leaves in a run folder.

``figures/`` (PNG at 300 dpi, SVG), ``tables/`` (CSV, LaTeX), ``report.json`` (the document as plain data, for programs
that gather reports), ``report.pdf`` and ``report.html``. Every printed table is there in both formats: as CSV the
numbers in full precision where there are such of its name, else its cells as read.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from rcdm_core.kept import atomic_path
from reports import style, tables
from reports.html import compile_html
from reports.pdf import compile_pdf
from reports.verdicts import verdict_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from analyses.findings import Verdict
    from reports.tables import Table


FORMAT = 1
"""Of ``report.json`` (``docs/schemas/report.schema.json``); another number where who reads this one would fail."""


def write_report(
    folder: Path,
    numbers: Mapping[str, pd.DataFrame],
    printed: Mapping[str, Table],
    *,
    figures: Iterable[tuple[str, Figure]],
    document: Mapping[str, Any],
    verdicts: Sequence[Verdict] = (),
) -> Path:
    """Write a report into a run folder.

    Args:
        folder: The run folder.
        numbers: Tables as numbers, by file name; those without rows are left out.
        printed: Tables as a reader sees them, by name.
        figures: File names with figures; taken one by one, so that they need not exist together.
        document: The report as plain data, for the templates ``report.typ`` and ``report.html.jinja``.
        verdicts: The findings tested; written as the table ``verdicts``.

    Returns:
        Path of the PDF.
    """
    for name in ("figures", "tables"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, figure in figures:
        style.save(figure, folder / "figures", name)
    data = {name: found for name, found in numbers.items() if len(found)}
    readable = list(printed.values())
    if verdicts:
        data["verdicts"] = pd.DataFrame([vars(verdict) for verdict in verdicts])
        readable.append(verdict_table(verdicts))
    read = {table.name: pd.DataFrame(table.rows, columns=list(table.columns)) for table in readable}
    for name, cells in {**read, **data}.items():
        tables.save_csv(folder / "tables", name, cells)
    for table in readable:
        tables.save_latex(folder / "tables", table)
    with atomic_path(folder / "report.json") as temporary:
        whole = {"format": FORMAT, **document}
        temporary.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    compile_html(document, folder)
    return compile_pdf(document, folder)
