"""The report of the reproduction as a whole: its first page and the order of its sections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyses.wording import listed
from reports import blocks
from reports.first_page import head
from reports.html import compile_html
from reports.names import data_name
from reports.provenance import provenance
from reports.reproduction.borrowing import copy_borrowed
from reports.reproduction.claims import CLAIMS
from reports.reproduction.figures import figures
from reports.reproduction.grid import verdict_grid
from reports.reproduction.in_short import in_short
from reports.reproduction.protocol import limits, measured
from reports.reproduction.sections import finding_section, kept_figure, lacking, trust
from reports.writing import write_report

if TYPE_CHECKING:
    from pathlib import Path

    from reports.reproduction.content import Content


def write(folder: Path, content: Content) -> Path:
    """Write the report into a run folder as PDF and as a page (see `reports.writing`); gives the path of the PDF."""
    told = document(content)
    for part in content.parts:
        copy_borrowed(part, folder, told)
    path = write_report(folder, content, ("findings", "tally"), figures=figures(content), document=told)
    compile_html(told, template="report", folder=folder)
    return path


def document(content: Content) -> dict[str, Any]:
    """The report as plain data, for PDF and page."""
    run, names = content.run, list(content.is_ssl)
    return {
        **head(
            run,
            title="Do the findings hold?",
            subtitle=f"The four findings of the RCDM paper on {listed(names)}, with {data_name(run)}",
            keywords=["reproduction", "invariance", "adversarial", "interpolation", "manipulation", *names],
        ),
        "verdicts": [],
        "verdict-grid": verdict_grid(content),
        "figure": kept_figure() if content.kept is not None else None,
        "sections": [
            blocks.section("In short", [blocks.points(in_short(content)), *lacking(content)]),
            *(blocks.section(f"{n}. {told.title}", finding_section(content, n)) for n, told in CLAIMS.items()),
            blocks.section("How far the decoder can be trusted", trust(content)),
            blocks.section("What this report cannot tell", [blocks.points(limits(content))]),
            blocks.section("How it was measured", measured(content)),
            blocks.section("Provenance", provenance(run), new_page=True),
        ],
    }
