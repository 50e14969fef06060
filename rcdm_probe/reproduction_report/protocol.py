"""How the numbers of the report of the reproduction were made, and what they cannot tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import blocks, phrases

if TYPE_CHECKING:
    from rcdm_probe.reproduction_report.content import Content
    from reports.blocks import Block


def limits(content: Content) -> list[str]:
    """What the numbers do not show."""
    return [
        phrases.OF_SAMPLES,
        phrases.OF_READOUTS,
        *phrases.of_images(content.run),
        *phrases.of_scenes(content.run),
        f"{phrases.OF_INTERVALS} An agreement or a disagreement with the paper is that of these weights.",
    ]


def measured(content: Content) -> list[Block]:
    """How each number was made."""
    return [
        blocks.text(
            "Every run of a probe has a folder of its own, with a report that gives the protocol in full; this report "
            "gathers them. Where a run with the same arguments, weights, data and code was there already, it was taken "
            "and not run again."
        ),
        blocks.table(content.printed["parts"]),
    ]
