"""The report of the invariance probe as a whole: its first page and the order of its sections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reports import blocks, decoder
from reports.first_page import head, verdict_box
from reports.invariance.figures import figures
from reports.invariance.in_short import in_short
from reports.invariance.protocol import limits, measured
from reports.invariance.sections import displacement_figure, doses, factors, pictures, transformations, variance
from reports.names import data_name
from reports.provenance import provenance
from reports.writing import write_report

if TYPE_CHECKING:
    from pathlib import Path

    from reports.invariance.content import Content

NUMBERS = ("displacement", "readability", "factors", "variance", "comparison")
"""The tables of a run, as files of numbers."""

LACKING = "samples from each level, the factors that are rendered in them, and what h leaves open (variance)"

NO_VERDICT = (
    "No verdict. The findings are about the backbone, alone and beside the projector, under the augmentations of "
    "training; they were not measured together in this run."
)


def write(folder: Path, content: Content) -> Path:
    """Write the report into a run folder (see `reports.writing`); gives the path of the PDF."""
    return write_report(
        folder, content, NUMBERS, figures=figures(content), document=document(content), verdicts=content.verdicts
    )


def document(content: Content) -> dict[str, Any]:
    """The report as plain data, for ``templates/report.typ``."""
    run = content.run
    encoder = run["arguments"]["encoder"]
    return {
        **head(
            run,
            title=f"What {encoder} keeps, and what it drops",
            subtitle=f"Invariance of its representations, measured on {data_name(run)}",
            keywords=["invariance", "representation", encoder],
        ),
        "verdicts": [verdict_box(verdict) for verdict in content.verdicts],
        "no-verdict": NO_VERDICT,
        "figure": displacement_figure(content),
        "sections": [
            blocks.section("In short", [blocks.points(in_short(content))]),
            *([blocks.section("What the samples show", pictures(content))] if content.drawn else []),
            blocks.section("How far each transformation moves h", transformations(content)),
            blocks.section("What is present, and what is rendered", factors(content)),
            blocks.section("What h leaves open", variance(content))
            if content.drawn
            else blocks.section("No decoder", decoder.no_decoder(run, LACKING)),
            blocks.section("What this report cannot tell", [blocks.points(limits(content))]),
            blocks.section("How it was measured", [blocks.points(measured()), *doses(content)]),
            blocks.section("Provenance", provenance(run), new_page=True),
        ],
    }
