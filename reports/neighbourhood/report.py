"""The report of neighbourhood sampling as a whole: its first page and the order of its sections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reports import blocks, decoder
from reports.first_page import head, verdict_box
from reports.names import data_name
from reports.neighbourhood.figures import figures
from reports.neighbourhood.protocol import limits, measured
from reports.provenance import provenance
from reports.writing import write_report

if TYPE_CHECKING:
    from pathlib import Path

    from reports.blocks import Block
    from reports.neighbourhood.content import Content

NUMBERS = ("kinds", "comparison")
"""The tables of a run, as files of numbers."""


def write(folder: Path, content: Content) -> Path:
    """Write the report into a run folder (see `reports.writing`); gives the path of the PDF."""
    return write_report(
        folder, content, NUMBERS, figures=figures(content), document=document(content), verdicts=content.verdicts
    )


def document(content: Content) -> dict[str, Any]:
    """The report as plain data, for ``templates/report.typ``."""
    run = content.run
    encoder = run["arguments"]["encoder"]
    undrawn = decoder.undrawn(run["encoder_card"].get("levels", ()), content.drawn, run)
    return {
        **head(
            run,
            title=f"Drawn by {encoder} without an image to start from",
            subtitle=f"Sampling between neighbouring representations, compared on {data_name(run)}",
            keywords=["neighbourhood", "generation", "representation", encoder],
        ),
        "verdicts": [verdict_box(verdict, counted="pictures") for verdict in content.verdicts],
        "no-verdict": "No verdict.",
        "figure": _kinds_figure(content),
        "sections": [
            blocks.section("What was drawn", list(blocks.panel_figures(content.panels))),
            blocks.section("In numbers", [blocks.table(table) for table in content.printed.values()]),
            *([blocks.section("What was not drawn", undrawn)] if undrawn else []),
            blocks.section("What this report cannot tell", [blocks.points(limits(content))]),
            blocks.section("How it was measured", [blocks.points(measured(content))]),
            blocks.section("Provenance", provenance(run), new_page=True),
        ],
    }


def _kinds_figure(content: Content) -> Block:
    return blocks.figure(
        "kinds",
        "How near to real images each kind of pictures comes, how varied it is, and how near to known images.",
        f"Left: {content.distance}, the squared Frechet distance from other real images; lower is nearer. Middle: "
        "mean distance of two pictures, over that of two real images. Right: median distance to the nearest image "
        "of the gallery, in the same unit. Dashed: real images themselves. Lines are 95% bootstrap intervals over "
        "pictures.",
        "Drawn from between neighbours as near and as varied as drawn from real images, and no nearer to known "
        "images, is generation.",
    )
