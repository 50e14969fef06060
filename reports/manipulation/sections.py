"""The sections of the report of the manipulation probe: what its figures and tables show, and how they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import blocks, decoder, phrases
from reports.names import file_name

if TYPE_CHECKING:
    from reports.blocks import Block
    from reports.manipulation.content import Content


def transplant_figure(content: Content) -> Block:
    """The figure of the first page."""
    return blocks.figure(
        "transplant",
        "How far on the way to the target the target's dimensions take what is drawn.",
        "Into the h of each image, dimensions of another image, the target, are put: those that the target has in "
        "common with its nearest neighbours (filled), as many random ones (open), and random ones until h has moved as "
        "far (crosses). Factors are read by the judge off samples from equal noise; in the last row the samples are "
        "encoded again. Lines are 95% bootstrap intervals over images.",
        "0 leaves the factor as it was in the sample of the image's h, 1 takes it to that of the target's h; a "
        "factor that no h holds goes some of the way by chance. Filled to the right of open is a "
        "representation that keeps what an image shares with its neighbours in dimensions of its own.",
    )


def edits(content: Content) -> list[Block]:
    """Common dimensions, taken out and put in."""
    printed = content.printed
    out: list[Block] = [
        *blocks.panel_figures(panel for panel in content.panels if panel.name.startswith("edits")),
        blocks.table(printed["levels"]),
        blocks.table(printed["edits"]),
        *(blocks.table(printed[f"transplant-{file_name(level)}"]) for level in content.drawn),
    ]
    undrawn = decoder.undrawn(content.run["encoder_card"].get("levels", ()), content.drawn, content.run)
    if content.removal.empty:
        return [
            *out,
            blocks.missing(
                "Factors were not read.",
                f"{phrases.NO_FACTORS} Here, what changes is measured on the samples encoded again.",
            ),
            *undrawn,
        ]
    return [
        *out,
        blocks.figure(
            "removal",
            "How much each factor changes where dimensions are removed.",
            "Mean absolute change of each factor, read off samples from equal noise, in standard deviations of the "
            "factor over images (of the class: share of images that show another one). Filled: the dimensions that an "
            "image has in common with its neighbours are removed; open: as many random ones. Lines are 95% bootstrap "
            "intervals over images.",
            "Far to the right and filled: what the neighbours share carries this factor.",
        ),
        *(blocks.table(printed[f"removal-{file_name(level)}"]) for level in content.drawn),
        *undrawn,
    ]


def directions(content: Content) -> list[Block]:
    """Moves along the directions of factors."""
    if content.directions.empty:
        return [
            blocks.missing(
                "No directions were sought.",
                "That needs known factors, to which a readout can be fitted: run the probe with --data scenes.",
            )
        ]
    printed = content.printed
    return [
        blocks.text(
            "A ridge regression reads a factor from h. Its direction is the way in which h changes, over images, where "
            "that readout does; a step of one is one standard deviation of the readout. Moved along it, h should be "
            "drawn with more of the factor, and with nothing else changed."
        ),
        *blocks.panel_figures(panel for panel in content.panels if panel.name.startswith("directions")),
        blocks.figure(
            "responses",
            "How each factor follows its own direction.",
            "Mean change of the factor that is read off the samples, in its standard deviations over images, against "
            "how far h was moved along the factor's direction; with 95% bootstrap bands over images. Circular factors "
            "are moved around their circle.",
            "A rising line is a knob: the factor turns with it. A flat one is a factor that the level does not hold, "
            "holds in another form, or that the decoder does not draw.",
        ),
        blocks.figure(
            "side-effects",
            "What each direction changes, itself and besides.",
            "Rows: the factor along whose direction h is moved. Columns: the factor that is read off the samples. "
            "Numbers: its change for each standard deviation, in its own standard deviations; red grows, blue falls. "
            "The last column is the share of images that show another class, for each standard deviation.",
            "A clean direction has its one dark cell on the diagonal, in bold; what is dark besides is a side effect.",
        ),
        *(blocks.table(printed[f"directions-{file_name(level)}"]) for level in content.drawn),
        *(blocks.table(printed[f"side-effects-{file_name(level)}"]) for level in content.drawn),
    ]
