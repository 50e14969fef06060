"""The sections of the report of the fidelity probe: what its figures and tables show, and how they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import blocks
from reports.tables import cell, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reports.blocks import Block
    from reports.fidelity.content import Content


def levels_figure(content: Content) -> Block:
    """The figure of the first page."""
    return blocks.figure(
        "levels",
        "How near samples come to real images, level by level.",
        f"MRR of the image that a sample was drawn of among {content.gallery:,} images, seen from the sample's "
        f"representation; {content.distance} between samples and other real images; precision, the share of samples "
        "that look like these; recall, the share of these that look like samples. Bars are 95% bootstrap intervals "
        "over images; the dashed line and its band (not for the MRR) are real images in the place of samples.",
        f"Right is better, but for {content.distance}. A perfect decoder of an h that keeps everything has an MRR of "
        "1. Samples that no one could tell from images come to the dashed lines. Precision above them is no merit: "
        "such samples are more alike than images are, and recall tells what they leave out.",
    )


def levels(content: Content) -> list[Block]:
    """Samples from every level."""
    printed = content.printed
    out = [*_panels(content, "samples"), blocks.table(printed["ranks"]), blocks.table(printed["sets"])]
    if not content.score:
        out.append(
            blocks.missing(
                "There is no Inception score.",
                f"It needs classes, and the feature space {content.arguments['features']} has none; --features judge "
                "(on scenes) or --features inception have.",
            )
        )
    return out


def solvers(content: Content) -> list[Block]:
    """What more steps buy."""
    if content.solvers.empty:
        return [blocks.missing("Solvers were not compared.", "--swept-images says on how many images to compare them.")]
    return [
        blocks.text(_evidence(content)),
        blocks.figure(
            "solvers",
            "What more steps buy, and what they cost.",
            f"Samples from {content.swept} of the same {content.floor.n} images from equal noise, by solver and "
            f"number of steps: MRR, {content.distance}, and time of a picture on the machine of this run, drawn "
            f"{min(content.floor.n, content.arguments['batch_size'])} at once. Bars are 95% bootstrap intervals over "
            "images; dashed, equally many real images.",
            "Where a curve is flat, further steps are wasted. Intervals are of each point alone; points are compared "
            "in the table, image by image.",
        ),
        blocks.table(content.printed["solvers"]),
        *_panels(content, "drawn_by_solvers"),
    ]


def _evidence(content: Content) -> str:
    """What the comparison says of the setting that was used."""
    chosen, others = content.solvers.iloc[0], content.solvers.iloc[1:]
    better, worse = others[others["gain_low"] > 0], others[others["gain_high"] < 0]
    said = (
        f"The setting used in this report, {chosen['solver']} with {chosen['steps']} steps, has an MRR of "
        f"{cell(chosen, 'mrr')} on these images. Of {len(others)} others, {len(better)} do better and {len(worse)} "
        "worse (the interval of the paired difference leaves out 0)"
    )
    if len(better):
        best = better.loc[better["gain"].idxmax()]
        dearer = best["seconds"] / chosen["seconds"]
        return (
            f"{said}; the best, {best['solver']} with {best['steps']} steps, gains {cell(best, 'gain')} for "
            f"{number(dearer, 1)} times the time."
        )
    cheaper = others[(others["gain_high"] >= 0) & (others["seconds"] < chosen["seconds"])]
    if cheaper.empty:
        return f"{said}: none that is not worse takes less time."
    fastest = cheaper.loc[cheaper["seconds"].idxmin()]
    return (
        f"{said}. Of those that take less time and are not found to be worse, the fastest is {fastest['solver']} with "
        f"{fastest['steps']} steps, in {fastest['seconds'] / chosen['seconds']:.0%} of the time."
    )


def copies(content: Content) -> list[Block]:
    """Whether samples are copies of training images."""
    if content.copies.empty:
        return [
            blocks.missing(
                "Samples were not held beside training images.",
                content.run["training_card"].get("missing", "") or "--compared says among how many to look.",
            )
        ]
    card = content.run["training_card"]
    return [
        blocks.text(
            f"Every picture is compared with {card['compared']:,} of the {card['total']:,} images that the decoder "
            f"was trained on ({card['name']}), and with as many that it never saw. A decoder that recalls draws "
            "pictures that are nearer to the former."
        ),
        blocks.figure(
            "copies",
            "Are samples copies of training images?",
            "Left: root mean square difference of pixels (0 to 1) from the nearest training image, as the share of "
            "pictures at or below each difference, one line for each encoder and level; dashed, real images that were "
            "not trained on. Right: how often a picture's nearest image is one that was trained on rather than one "
            "that was not, of equally many; 95% bootstrap intervals over images.",
            "Copies would lie at the left edge of the left plot, and right of one half in the right one. A curve left "
            "of the dashed one is no sign of copies by itself: soft pictures are near to everything.",
        ),
        blocks.table(content.printed["copies"]),
        *_panels(content, "nearest_training"),
    ]


def _panels(content: Content, name: str) -> Iterator[Block]:
    return blocks.panel_figures(panel for panel in content.panels if panel.name == name)
