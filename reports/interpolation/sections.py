"""The sections of the report of the interpolation probe: what its figures and tables show, and how they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyses.interpolation import ORDERED
from reports import blocks, decoder, phrases
from reports.names import file_name

if TYPE_CHECKING:
    from reports.blocks import Block
    from reports.interpolation.content import Content


def orders_figure(content: Content) -> Block:
    """The figure of the first page, where factors are known."""
    return blocks.figure(
        "orders",
        "How well each factor follows the path.",
        f"Mean over pairs of Spearman's correlation of the reading with the position along the {content.paths[0]} "
        "path, so signed that 1 is from A to B all the way. Filled: the path between representations; open: the "
        "representations of the cross-faded images; tick: the readings of the path against another image than B. "
        "Lines are 95% bootstrap intervals over pairs. Bottom row: the mean over the differing factors of each "
        f"pair, which the verdict asks to exceed {ORDERED}.",
        "0 is no relation with the position. A dot to the right of its tick says that the path leads to B, and not "
        "only away from A. A factor that the level has dropped stays near 0: nothing of it can be interpolated.",
    )


def approach_figure() -> Block:
    """How far samples lie from their points."""
    return blocks.figure(
        "approach",
        "How far a sample lies from the point it was drawn from, and from both ends.",
        "Each sample is encoded again. Median over pairs of its distance to its own point of the path (green), to "
        "h(A) and to h(B), over the median distance of two different images; bands are 95% bootstrap intervals "
        "over pairs.",
        "Where green lies lowest all along, samples follow the path. At A and at B the own point is the end. The "
        "height of green is what decoder and encoder lose on the way to an image and back.",
    )


def factors(content: Content) -> list[Block]:
    """Which factors are there."""
    if content.orders.empty:
        return [blocks.missing("Factors were not measured.", phrases.NO_FACTORS)]
    how_known = (
        " Those of the two given images are not known, and are what the judge reads off them: where they are no "
        "scenes, these readings mean nothing."
        if content.given and not all(name.startswith("scenes:") for name in content.given)
        else ""
    )
    printed = content.printed
    out = [
        blocks.text(
            "A separate network, the judge, which never saw the encoder, reads the factors of a scene off every "
            "sample. For each factor in which A and B differ, the reading is turned into the share of the way from A's "
            f"value to B's.{how_known}"
        ),
        blocks.figure(
            "trajectories",
            "How far each factor gets.",
            "Mean reading at each position, as a share of the way from A's value (0) to B's (1), over the pairs that "
            "differ in the factor; for the class, the share of pairs in which B's class is read. Bands are 95% "
            f"bootstrap intervals over pairs, of the {content.paths[0]} path.",
            "The grey line is a change at constant speed all the way. A flatter line starts or ends short of what A "
            "and B show: the level holds, or the decoder draws, only part of the factor. An S is a switch between the "
            "two.",
        ),
        *(blocks.table(printed[f"factors-{file_name(level)}"]) for level in content.levels),
    ]
    if "classes" in printed:
        out.append(blocks.table(printed["classes"]))
    return out


def distances(content: Content) -> list[Block]:
    """Where samples lie."""
    return [
        *([approach_figure()] if len(content.orders) else []),  # else on the first page
        blocks.table(content.printed["distances"]),
        *decoder.undrawn(content.run["encoder_card"]["levels"], content.levels, content.run),
    ]


def controls(content: Content) -> list[Block]:
    """Paths beside their controls."""
    return [
        blocks.text(
            "Two controls bound what a path proves. The cross-fade encodes mixtures of the two images: if it did as "
            "well, the order would be in the pixels and the path through h would add nothing. The wrong end scores the "
            "same readings against the second image of another pair: any path away from an extreme A moves towards "
            "most other images."
        ),
        blocks.table(content.printed["comparison"]),
    ]
