"""How the numbers of the report of the invariance probe were made, and what they cannot tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyses.findings import ERROR_RATE
from analyses.invariance import NEGLIGIBLE
from rcdm_core.encoders.catalogue import EMBEDDED
from reports import phrases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reports.invariance.content import Content


def limits(content: Content) -> Iterator[str]:
    """What the numbers do not show."""
    if content.drawn:
        yield phrases.OF_SAMPLES
        yield from phrases.of_memory(content.run)
    yield from phrases.of_images(content.run)
    yield phrases.OF_READOUTS
    if len(content.factors) or content.run["arguments"]["encoder"] in EMBEDDED:
        yield phrases.OF_SCENES
    yield phrases.OF_DOSES
    yield phrases.OF_INTERVALS


def measured() -> list[str]:
    """How each number was made."""
    return [
        "Transformations. Each transformation T is computed with Kornia on images in [0, 1], at several doses "
        "of which one, the reference, stands for it in tables and verdicts. Doses are in the table below.",
        "Relative displacement. The distance from h(x) to h(T(x)), divided by the median distance between the "
        "representations of two different images at the same level. Raw distances of two levels or encoders "
        "cannot be compared; these can: 0 is unchanged, 1 is as far away as another image.",
        "Retrieval. The rank of the original among a gallery of images, by distance, seen from the transformed "
        "image; the mean of 1 / rank is the MRR.",
        "Readability. A logistic regression on h tells transformed from untouched images (AUC), a ridge "
        "regression tells the dose (R²). Every score is of an image that the readout was not fitted on, and "
        "the two versions of an image are never split between fitting and scoring.",
        "Samples. An RCDM generates images from h alone, without guidance. Where two representations are "
        "compared, sampling starts from equal noise.",
        "Present and rendered. Linear readouts of the known factors from h, cross-validated; and the judge, a "
        "network trained only to read factors off images, applied to the samples. The judge is never the "
        "encoder under study.",
        f"{phrases.uncertainty()}. It covers the "
        "choice of images, not the training of the encoder, the readouts or the decoder.",
        "Comparisons. Paired over images: Wilcoxon signed-rank, two-sided, Holm-corrected over the "
        "transformations; effects as matched-pairs rank-biserial correlation.",
        "Verdicts. One comparison for each finding, stated beforehand; negligible is a relative displacement "
        f"under {NEGLIGIBLE}, the error rate is {ERROR_RATE}. Findings 1 and 2 are those of "
        f"{phrases.PAPER}.",
    ]
