"""How the numbers of the report of the manipulation probe were made, and what they cannot tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyses.findings import ERROR_RATE
from probes.manipulation.rule import SPARSE
from reports import phrases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reports.manipulation.content import Content


def limits(content: Content) -> Iterator[str]:
    """What the numbers do not show."""
    yield phrases.OF_SAMPLES
    yield (
        "Common dimensions are those in which a target stands out, so that putting them in moves h further than as "
        "many random ones do. The control that moves h as far tells how much of the gain that is; the verdict is about "
        "as many, as the protocol states."
    )
    yield (
        "A manipulated h may be one that no image has. What is drawn from it then also shows how the decoder answers "
        "to what it has not seen."
    )
    if len(content.directions):
        yield (
            "A direction is linear and the same for all images. Factors of the scenes are independent of each other; "
            "where factors of other data go together, so will their directions."
        )
    yield from phrases.of_memory(content.run)
    yield from phrases.of_images(content.run)
    yield from phrases.of_scenes(content.run)
    yield phrases.OF_INTERVALS


def measured(content: Content) -> list[str]:
    """How each number was made."""
    arguments = content.run["arguments"]
    pairs = (
        "Pairs. One image was given: its numbers are of that image alone, each the mean over its samples."
        if content.given
        else "Pairs. Images of the data, each with another one as its target; no image is in two pairs, as image or as "
        "target, so that pairs are independent."
    )
    return [
        pairs,
        f"Common dimensions. Of the {arguments['neighbours']} nearest neighbours of h among "
        f"{content.gallery:,} images (without the image itself), the dimensions that are active in more than "
        f"{arguments['shared']}. Where at least {SPARSE:.0%} of a level's numbers are exact zeros, active is what is "
        "not zero: the paper's rule. Where fewer are, that would be nearly every dimension whatever the image, and "
        f"active is what lies above the {content.quantile} quantile of the gallery or below its mirror image, in so "
        "many neighbours on the same side.",
        "Removal. The image's own common dimensions are set to zero where the level is sparse, else to the median of "
        "the gallery. Control: as many random dimensions.",
        "Transplant. The target's common dimensions take the target's values; all others stay. Controls: as many "
        "random dimensions, and random ones in the same order until h has moved as far.",
        "Samples. An RCDM generates images from h alone, without guidance; all versions of one image start from equal "
        "noise.",
        "Share of the way. Between the samples of h and of the target's h a factor differs by a vector g (circular "
        "ones as cosine and sine), an edit moves it by d: the share is the sum of d·g over that of g·g, over images. "
        "Of the class it is the share of images that show the target's class, among those that did not.",
        "Directions. A ridge regression on standardised h, its penalty chosen by leaving one out, is fitted on images "
        "of the gallery that are not moved. The direction is the regression of h on its readout (the pattern of Haufe "
        "et al. 2014), so that a move by one standard deviation of the readout changes it by just that. Circular "
        "factors, read as cosine and sine, are moved at right angles to the radius. The change for each standard "
        "deviation is the slope through the origin over all strengths, image by image.",
        f"{phrases.uncertainty()}. Comparisons are paired "
        "over images: Wilcoxon signed-rank, two-sided, Holm-corrected over the factors of a level; effects as "
        f"matched-pairs rank-biserial correlation. The error rate of a verdict is {ERROR_RATE}.",
        f"Finding 4 is that of {phrases.PAPER}.",
    ]
