"""How the numbers of the report of the interpolation probe were made, and what they cannot tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyses.interpolation import ORDERED, PLACED
from analyses.interpolation.paths import DIFFERENT
from reports import phrases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reports.interpolation.content import Content


def limits(content: Content) -> Iterator[str]:
    """What the numbers do not show."""
    yield (
        "A smooth path of pictures does not show that the points between two representations are like representations "
        "of real images: the decoder draws something from every h. Distances say how far off the samples are."
    )
    yield (
        "Order is not amount. A factor that creeps a tenth of the way follows its path perfectly; the trajectories say "
        "how far it gets."
    )
    yield phrases.OF_SAMPLES
    yield from phrases.of_memory(content.run)
    yield from phrases.of_images(content.run)
    if len(content.orders):
        yield (
            "The judge reads scenes. Off a picture between two garments it reads some class all the same, and a factor "
            "that is hard to read (an angle of a bag) has noisy readings that lower its correlation."
        )
        yield phrases.OF_SCENES
    yield phrases.OF_INTERVALS


def measured(content: Content) -> list[str]:
    """How each number was made."""
    arguments = content.run["arguments"]
    pairs = (
        "Pairs. The two given images; the data set gives the unit of distance only."
        if content.given
        else "Pairs. Random pairs of the data set, no image in two of them, so that pairs are independent."
    )
    return [
        pairs,
        f"Paths. {arguments['points']} equally spaced points from h(A) to h(B), both ends among them. Linear: "
        "the straight line. Spherical: the direction turns along the great circle about the origin (slerp), "
        "the norm goes linearly; equal directions give the straight line, opposite ones are joined through "
        "the coordinate axis most nearly at a right angle. Cross-fade, the control: the representations of "
        "linear mixtures of the two images.",
        f"Samples. One of each point, {arguments['steps']} steps of {arguments['solver']}, without guidance; "
        "all points of all paths and levels of a pair start from equal noise, that of its first image.",
        f"Differing factors. A and B differ in a factor from {DIFFERENT:.0%} of the largest possible "
        "difference on; of a circular factor that is half a turn, and the way goes along the shorter arc, "
        "readings being unwrapped around its middle.",
        "Spearman. The correlation of the ranks of the readings along a path with the position, 0 where the "
        "reading is constant; the mean over the differing factors (without the class) is one number a pair.",
        "Own point. Whether a sample, encoded again, is nearer to the point it was drawn from than to both "
        "ends. As the middle of a line is nearer to anything than its ends are, the same points are put to the "
        "samples of all other positions of the same path: what these reach is chance, and what counts is the "
        "share of the way from chance to always.",
        "Order in h. Spearman's correlation, with the position, of the samples' projection on the line from "
        "h(A) to h(B).",
        "Relative distance. Euclidean, divided by the median distance between the representations of two "
        "different images of the data set at that level.",
        f"{phrases.uncertainty('pairs')}. Comparisons are "
        "paired over pairs of images: Wilcoxon signed-rank, two-sided, Holm-corrected over the table; effects "
        "as matched-pairs rank-biserial correlation.",
        f"Verdicts. Stated beforehand: on the {content.paths[0]} path, a mean Spearman correlation above "
        f"{ORDERED} and above that of the wrong end, and samples nearer to their own points than to both ends by more "
        f"than {PLACED:.0%} of the way from chance to always, all by the whole interval; against it, one of the three "
        "that falls short by an interval corrected for three (Bonferroni). Levels are judged one by one. Finding 4 is "
        f"that of {phrases.PAPER}.",
    ]
