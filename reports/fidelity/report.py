"""The report of the fidelity probe as a whole: its first page and the order of its sections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyses.wording import listed
from reports import blocks
from reports.fidelity.figures import figures
from reports.fidelity.in_short import trust
from reports.fidelity.protocol import limits, measured
from reports.fidelity.sections import copies, levels, levels_figure, solvers
from reports.first_page import head
from reports.names import data_name
from reports.provenance import several_encoders
from reports.writing import write_report

if TYPE_CHECKING:
    from pathlib import Path

    from reports.blocks import Block
    from reports.fidelity.content import Content

NUMBERS = ("ranks", "sets", "copies", "solvers")
"""The tables of a run, as files of numbers."""


def write(folder: Path, content: Content) -> Path:
    """Write the report into a run folder (see `reports.writing`); gives the path of the PDF."""
    return write_report(folder, content, NUMBERS, figures=figures(content), document=document(content))


def document(content: Content) -> dict[str, Any]:
    """The report as plain data, for ``templates/report.typ``."""
    encoders = tuple(dict.fromkeys(content.ranks["encoder"]))
    made = head(
        content.run,
        title=f"How far to trust what is drawn from {listed(encoders)}",
        subtitle=f"Fidelity of the decoder, on {data_name(content.run)}",
        keywords=["fidelity", *encoders],
    )
    return {
        **made,
        "verdicts": [],
        "no-verdict": trust(content),
        "figure": levels_figure(content),
        "cards": [*made["cards"], _decoder_card(content)],
        "sections": [
            blocks.section("Samples from every level", levels(content)),
            blocks.section("Solver and steps", solvers(content)),
            blocks.section("Recalling, or generating?", copies(content)),
            blocks.section("What this report cannot tell", [blocks.points(limits(content))]),
            blocks.section("How it was measured", [blocks.points(measured(content))]),
            blocks.section(
                "Provenance", several_encoders(content.run, ("method", "self_supervised", "levels")), new_page=True
            ),
        ],
    }


def _decoder_card(content: Content) -> Block:
    arguments, card = content.arguments, content.run["features_card"]
    return blocks.card(
        "The measurement",
        {
            "decoder": str(arguments["rcdm"]),
            "samples": f"one of each of {content.real['images']:,} images",
            "solver": f"{arguments['solver']}, {arguments['steps']} steps",
            "gallery of ranks": f"{content.gallery:,} images",
            "feature space": f"{card['name']}, {card['dimension']} dimensions",
        },
    )
