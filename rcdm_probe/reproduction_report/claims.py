"""What the paper claims, finding by finding, and what of it is tested."""

from __future__ import annotations

from typing import NamedTuple


class Claim(NamedTuple):
    """A finding of the paper.

    Attributes:
        title: Its name.
        claim: What the paper says.
        tested: What the verdicts are about, where that is less.
    """

    title: str
    claim: str
    tested: str


CLAIMS = {
    1: Claim(
        "The backbone is not invariant",
        "Self-supervised backbones are not invariant to the augmentations they were trained with: samples from h(T(x)) "
        "show what T did to x.",
        "whether every single one of these augmentations moves the backbone by more than what counts as negligible. "
        "An untrained encoder stands beside each, and what other bounds would make of the word.",
    ),
    2: Claim(
        "The projector is closer to invariant",
        "Embeddings behind the projector are invariant to the training augmentations, and to many other symmetries of "
        "the data: what T did to x is gone from the samples.",
        "closer, whether the projector moves less than the backbone, on average over the training augmentations; and "
        "invariant, whether it moves by less than what counts as negligible under each of them. To what else it is "
        "invariant is for the figure to show.",
    ),
    3: Claim(
        "Robustness",
        "Self-supervised representations move less under small adversarial perturbations of the input than supervised "
        "ones: samples from an attacked h still show the original class.",
        "how far h moves, how often the decision holds and how often samples keep their class, each apart, beside the "
        "reference.",
    ),
    4: Claim(
        "Structure",
        "Self-supervised representations have a structure that can be explored: between two images, and along single "
        "dimensions, samples change as one would expect.",
        "paths between two images; and, over enough images, dimensions that are put into another image, and "
        "directions of known factors.",
    ),
}
"""Each finding (Bordes, Balestriero and Vincent 2022)."""
