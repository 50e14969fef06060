"""What every report leaves in a run folder, and the words and blocks that reports share.

``figures/`` (PNG at 300 dpi, SVG), ``tables/`` (CSV, LaTeX), ``report.json`` (the document as plain data, for programs
that gather reports) and ``report.pdf``.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from rcdm_core.atomic import atomic_path
from reports import blocks, style, tables
from reports.pdf import compile_pdf
from reports.provenance import front_cards
from reports.tables import number, p_equals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from analyses.findings import Verdict
    from probes.panels import Panel
    from reports.blocks import Block
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


def head(run: Mapping[str, Any], *, title: str, subtitle: str, keywords: Iterable[str]) -> dict[str, Any]:
    """How a document begins: title, what made it and when, and the cards of the first page.

    Args:
        run: The content of ``run.json``.
        title: What the report is about.
        subtitle: What was measured, and on what.
        keywords: Of the PDF, beside the probe and its encoders.
    """
    return {
        "title": title,
        "subtitle": subtitle,
        "made-by": f"rcdm-probe {run.get('versions', {}).get('rcdm-probe', '')}".strip(),
        "keywords": ["rcdm-probe", *keywords],
        "started": run.get("started"),
        "cards": [card for card in front_cards(run) if card["rows"]],
    }


def verdict_box(verdict: Verdict, *, counted: str = "images") -> dict[str, str]:
    """A verdict as the box of the first page shows it.

    Args:
        verdict: The finding tested.
        counted: What its ``n`` are.
    """
    finding = f"Finding {verdict.finding}" + (f", {verdict.aspect}" if verdict.aspect else "")
    return {
        "word": verdict.word,
        "claim": f"{finding}. {verdict.claim}",
        "sentence": verdict.sentence,
        "value": number(verdict.value),
        "interval": f"[{number(verdict.low)}, {number(verdict.high)}]",
        "test": f"p {p_equals(verdict.p_value)}" if math.isfinite(verdict.p_value) else "by its interval",
        "images": f"{verdict.n} {counted}",
        "rule": verdict.rule,
    }


def panel_figures(panels: Iterable[Panel]) -> Iterator[Block]:
    """Panels as figures; a caption that came before is not repeated."""
    told: set[str] = set()
    for panel in panels:
        caption = "To be read as the figure before." if panel.caption in told else panel.caption
        told.add(panel.caption)
        yield blocks.figure(file_name(panel.name), sentence(panel.title), caption, "")


def file_name(name: str) -> str:
    """A name as a file's, without ending."""
    return name.replace("_", "-").replace("/", "-")


def sentence(title: str) -> str:
    """A title with a full stop."""
    return title if title.endswith((".", "?")) else f"{title}."


def listed(names: Sequence[str]) -> str:
    """Names as in a sentence: ``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def data_name(run: Mapping[str, Any]) -> str:
    """What the images of a run are called."""
    card = run.get("data_card", {})
    return str(card.get("name") or run["arguments"].get("data", "images"))
