"""The report of the reproduction as a whole: its first page and the order of its sections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rcdm_probe.reproduction_report.borrowing import copy_borrowed
from rcdm_probe.reproduction_report.claims import CLAIMS
from rcdm_probe.reproduction_report.figures import figures
from rcdm_probe.reproduction_report.grid import verdict_grid
from rcdm_probe.reproduction_report.in_short import in_short
from rcdm_probe.reproduction_report.protocol import limits, measured
from rcdm_probe.reproduction_report.sections import finding_section, kept_figure, lacking, trust
from reports import blocks
from reports.html import compile_html
from reports.names import data_name, listed
from reports.provenance import head, provenance
from reports.writing import write_report

if TYPE_CHECKING:
    from pathlib import Path

    from rcdm_probe.reproduction_report.content import Content


def write(folder: Path, content: Content) -> Path:
    """Write the report into a run folder as PDF and as a page (see `reports.writing`); gives the path of the PDF."""
    told = document(content)
    for part in content.parts:
        copy_borrowed(part, folder, told)
    path = write_report(
        folder,
        {"findings": content.findings, "tally": content.tally},
        content.printed,
        figures=figures(content),
        document=told,
    )
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
            keywords=["reproduction", "invariance", "adversarial", "interpolate", "manipulate", *names],
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
