"""How the numbers of the report of the fidelity probe were made, and what they cannot tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import phrases

if TYPE_CHECKING:
    from reports.fidelity.content import Content


def limits(content: Content) -> list[str]:
    """What the numbers do not show."""
    out = [
        "A rank is of encoder and decoder together. Where h holds little of what tells one image from the next, no "
        "decoder can rank it high: a low MRR is then a finding about h. On scenes, present beside rendered in the "
        "invariance report tells the two apart.",
        "The encoder that ranks is the one that was drawn from. Samples that please it can displease the eye; the "
        "numbers of the feature space are there for that.",
        f"{content.distance} depends on the number of images, the more the fewer there are, and is comparable only at "
        f"equal numbers: here {content.real['images']:,}. The value of equally many real images stands beside it for "
        "that reason.",
        f"Numbers are of the feature space {content.arguments['features']}, and of what it looks at. In another, sets "
        "may be nearer or farther."
        + (
            ""
            if content.distance == "FID"
            else f" {content.distance} is not FID, and no published FID compares with it."
        ),
        "Precision and recall hold the manifolds fixed, and a ball around an outlier takes in much; of noise without "
        "any variety, precision can be 1. It is to be read with recall.",
        phrases.OF_INTERVALS,
    ]
    if len(content.copies):
        out.append(
            "Copies of images that are not among those compared go unseen, and so do copies of a part. The intervals "
            "are over pictures, for one choice of the images that they are compared with; pictures that are alike "
            "share their nearest."
        )
    return [*out, *phrases.of_images(content.run), *phrases.of_scenes(content.run)]


def measured(content: Content) -> list[str]:
    """How each number was made."""
    arguments = content.arguments
    return [
        "Samples. One of each image, without guidance; starting noise belongs to the image, so that levels and "
        "solvers are compared from equal noise.",
        "Ranks. A sample is encoded again; the rank of h that it was drawn from is its place among the gallery, by "
        "distance from the sample's h; ties share the middle rank. MRR is the mean of 1 / rank.",
        f"Frechet distance. {content.distance} is the squared distance between Gaussians fitted to the features of "
        "samples and of as many other real images, from none of which a sample was drawn. Its interval rests on the "
        "influence of each image on it (infinitesimal jackknife): resampling the images themselves would count some of "
        "them twice, which raises the distance.",
        f"Precision and recall. Balls around each image up to its neighbour number {arguments['neighbours']} in the "
        "feature space (Kynkäänniemi et al. 2019).",
        *([_inception(content.score)] if content.score else []),
        "Real images. The images that samples were drawn of, in the place of those samples: what no decoder can "
        "be expected to beat.",
        f"{phrases.uncertainty()}. Solvers are compared "
        "image by image: Wilcoxon signed-rank on reciprocal ranks, two-sided, Holm-corrected over all of them; "
        "effects as matched-pairs rank-biserial correlation.",
        f"The ranks are those of {phrases.PAPER}, table 1.",
    ]


def _inception(score: str) -> str:
    return (
        f"Inception score. {score} is the exponential of the mean divergence of the class probabilities of a picture "
        "from those of all (Salimans et al. 2016)."
    )
