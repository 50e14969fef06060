"""How the numbers of the report of neighbourhood sampling were made, and what they cannot tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import phrases

if TYPE_CHECKING:
    from reports.neighbourhood.content import Content


def limits(content: Content) -> list[str]:
    """What the numbers do not show."""
    return [
        f"{content.distance} falls with the number of pictures even between equal sets: compare it within this report, "
        "where all sets are of one size."
        + ("" if content.distance == "FID" else " It is a number of the feature space it is named after, and not FID."),
        "The other real images are taken as known: intervals cover the choice of the pictures and of the real images "
        "they are paired with, not the training of encoder and decoder.",
        "A decoder that is better at some representations than at others moves all three kinds.",
        *phrases.of_memory(content.run),
        *phrases.of_images(content.run),
        *phrases.of_scenes(content.run),
    ]


def measured(content: Content) -> list[str]:
    """How each number was made."""
    arguments = content.run["arguments"]
    return [
        f"Sources. For each of {arguments['count']} images of a gallery: its own h; a convex combination of it, with a "
        f"weight uniform in [0, 1), and one of its {arguments['neighbours']} nearest neighbours; and a draw of the "
        "Gaussian with mean and covariance of the gallery. The three are drawn from equal noise, without guidance.",
        f"Real images. {arguments['count']} other images, from which nothing is drawn, are what all sets are compared "
        "with; the images of the gallery themselves are the set that no picture can be better than.",
        f"Feature space: {arguments['features']}. Frechet distance of the Gaussians that fit two sets (Heusel et al. "
        "2017), squared; each picture contributes its influence on it (infinitesimal jackknife), and contributions are "
        "resampled.",
        f"{phrases.uncertainty('pictures')}; differences are taken picture by picture.",
        f"Finding 4 is that of {phrases.PAPER}.",
    ]
