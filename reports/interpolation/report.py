"""The report of the interpolation probe as a whole: its first page and the order of its sections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyses.wording import listed
from reports import blocks
from reports.first_page import head, verdict_box
from reports.interpolation.figures import figures
from reports.interpolation.in_short import in_short
from reports.interpolation.protocol import limits, measured
from reports.interpolation.sections import approach_figure, controls, distances, factors, orders_figure
from reports.names import data_name
from reports.provenance import provenance
from reports.writing import write_report

if TYPE_CHECKING:
    from pathlib import Path

    from reports.interpolation.content import Content

NUMBERS = ("orders", "factors", "trajectories", "classes", "distances", "approach", "comparison")
"""The tables of a run, as files of numbers."""


def write(folder: Path, content: Content) -> Path:
    """Write the report into a run folder (see `reports.writing`); gives the path of the PDF."""
    return write_report(
        folder, content, NUMBERS, figures=figures(content), document=document(content), verdicts=content.verdicts
    )


def document(content: Content) -> dict[str, Any]:
    """The report as plain data, for ``templates/report.typ``."""
    run, encoder = content.run, content.run["arguments"]["encoder"]
    ends = listed(content.given) if content.given else "two images"
    on = f"distances in units of {data_name(run)}" if content.given else f"on pairs of {data_name(run)}"
    strips = list(blocks.panel_figures(content.panels))
    return {
        **head(
            run,
            title=f"What {encoder} draws between {ends}",
            subtitle=f"Interpolation of its representations, {on}",
            keywords=["interpolation", "representation", encoder],
        ),
        "verdicts": [verdict_box(verdict, counted="pairs") for verdict in content.verdicts],
        "no-verdict": "No verdict. One pair of images says nothing about others: leave out the two images, and random "
        "pairs of the data set are measured.",
        "figure": orders_figure(content) if len(content.orders) else approach_figure(),
        "sections": [
            blocks.section("In short", [blocks.points(in_short(content))]),
            blocks.section("What is drawn along the paths", strips),
            blocks.section("Do factors follow the path?", factors(content)),
            blocks.section("Do samples lie where they were drawn from?", distances(content)),
            *([blocks.section("Against the controls", controls(content))] if content.verdicts else []),
            blocks.section("What this report cannot tell", [blocks.points(limits(content))]),
            blocks.section("How it was measured", [blocks.points(measured(content))]),
            blocks.section("Provenance", provenance(run), new_page=True),
        ],
    }
