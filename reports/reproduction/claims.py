"""What the paper claims, finding by finding."""

from __future__ import annotations

CLAIMS = {
    1: (
        "The backbone is not invariant",
        "Self-supervised backbones are not invariant to the augmentations they were trained with: samples from h(T(x)) "
        "show what T did to x.",
    ),
    2: (
        "The projector is invariant",
        "Embeddings behind the projector are invariant to the training augmentations, and to many other symmetries of "
        "the data: what T did to x is gone from the samples.",
    ),
    3: (
        "Robustness",
        "Self-supervised representations move less under small adversarial perturbations of the input than supervised "
        "ones: samples from an attacked h still show the original class.",
    ),
    4: (
        "Structure",
        "Self-supervised representations have a structure that can be explored: between two images, and along single "
        "dimensions, samples change as one would expect.",
    ),
}
"""Title and claim of each finding (Bordes, Balestriero and Vincent 2022)."""
