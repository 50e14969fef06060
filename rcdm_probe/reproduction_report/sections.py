"""The sections of the report of the reproduction: what its figures and tables show, and how they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probes.adversarial import PROBE as ADVERSARIAL
from probes.interpolate import PROBE as INTERPOLATE
from probes.invariance import PROBE as INVARIANCE
from probes.manipulate import PROBE as MANIPULATE
from rcdm_probe.reproduction_report.borrowing import borrowed, figure_name
from rcdm_probe.reproduction_report.claims import CLAIMS
from reports import blocks

if TYPE_CHECKING:
    from rcdm_probe.reproduction_report.content import Content
    from reports.blocks import Block

BORROWED = {
    1: (("invariance", INVARIANCE.shown_in[1], ()),),
    3: (("adversarial", ADVERSARIAL.shown_in[3], ("transfers",)),),
    4: (("interpolate", INTERPOLATE.shown_in[4], ()), ("manipulate", MANIPULATE.shown_in[4], ())),
}
"""What each finding's section takes from the runs of single probes: probe, figures, tables."""


def kept_figure() -> Block:
    """The figure of the first page."""
    return blocks.figure(
        "kept",
        "What each representation keeps.",
        "First column: the image. The others: one sample from each representation of it, drawn by the RCDM from h "
        "alone; all samples of a row start from equal noise, so that a difference between two of them comes from h (an "
        "RCDM that draws at another size has noise of its own).",
        "What samples from h have in common with the image, h told them. What a sample has of its own, h left open or "
        "the decoder did not draw; chance alone makes some of one sample alike.",
    )


def lacking(content: Content) -> list[Block]:
    """What could not be measured."""
    return [blocks.missing(what, why) for what, why in content.lacking.items()]


def finding_section(content: Content, finding: int) -> list[Block]:
    """One finding, over all encoders."""
    _, claim, tested = CLAIMS[finding]
    out = [blocks.text(f"The paper: {claim} Tested here: {tested}")]
    name = f"finding-{finding}"
    if name not in content.printed:
        return [*out, blocks.missing("This finding was not tested.", "The reason stands in short above.")]
    out.append(blocks.table(content.printed[name]))
    paths = content.findings[content.findings["aspect"].isin(INTERPOLATE.finding)]
    if finding == 4 and len(paths):
        out += [blocks.text("What the words on paths rest on, all three criteria:"), blocks.points(paths["sentence"])]
    if finding == 2 and content.of("invariance"):
        out.append(_by_encoder_figure())
    for probe, wanted, tables in BORROWED.get(finding, ()):
        for part in content.of(probe):
            out += borrowed(part, wanted, tables)
    return out


def _by_encoder_figure() -> Block:
    return blocks.figure(
        "by-encoder",
        "How far each transformation moves h, encoder by encoder.",
        "Distance from h(x) to h(T(x)) over the median distance between two different images at that level, each "
        "transformation at its reference dose: medians over images with 95% bootstrap intervals. Filled where the "
        "encoder was trained with the transformation. The grey band is what a verdict calls negligible, the dashed "
        "line the distance of another image.",
        "A level that is invariant to a transformation has its mark in the grey band. Finding 2 is that, over the "
        "filled marks together, orange lies left of blue.",
    )


def trust(content: Content) -> list[Block]:
    """How far the decoder can be trusted."""
    parts = content.of("fidelity")
    if not parts:
        return [blocks.missing("The decoder was not measured.", "The reason stands in short above.")]
    out = [
        blocks.text(
            "A sample shows what h holds only as far as the decoder can draw it. Here one sample of each image is "
            "encoded again, and the place of the h it was drawn from is sought among those of many images."
        )
    ]
    for part in parts:
        names = [figure_name(block) for block in part.blocks() if block["kind"] == "figure"]
        tables = [block["name"] for block in part.blocks() if block["kind"] == "table"]
        out += borrowed(part, names, tables)
    return out
