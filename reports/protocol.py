"""The protocol and the limits of the invariance probe, in words: what a reader needs to judge the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyses.bootstrap import LEVEL, RESAMPLES
from analyses.findings import ERROR_RATE, NEGLIGIBLE
from reports import blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reports.blocks import Block


OF_SAMPLES = (
    "The generator may miss what h has. A detail that is absent from the samples can be the decoder's "
    "fault; where factors are known, present beside rendered bounds how often that is so. A detail that is "
    "in all samples cannot be explained so: it came from h, or is common to all images."
)
OF_READOUTS = (
    "A linear readout finds what is linearly there. What h holds in a form that is not linear is not counted as "
    "present."
)
OF_SCENES = (
    "The embedded fashion scenes are not ImageNet: small pictures of garments with few factors, and small "
    "encoders trained on them. What holds there is a hypothesis about large encoders, and no more."
)
OF_DOSES = (
    "Reference doses are a choice. Whether one transformation moves h more than another depends on them; "
    "the dose-response curves show by how much."
)
OF_INTERVALS = (
    "Intervals are over images of one data set, for one training of the encoder. Another training, or "
    "other data, may differ by more."
)


def measured() -> list[Block]:
    """How each number was made."""
    return [
        blocks.points(
            [
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
                f"Uncertainty. {LEVEL:.0%} percentile bootstrap over images, {RESAMPLES:,} resamples. It covers the "
                "choice of images, not the training of the encoder, the readouts or the decoder.",
                "Comparisons. Paired over images: Wilcoxon signed-rank, two-sided, Holm-corrected over the "
                "transformations; effects as matched-pairs rank-biserial correlation.",
                f"Verdicts. One comparison for each finding, stated beforehand; negligible is a relative displacement "
                f"under {NEGLIGIBLE}, the error rate is {ERROR_RATE}. Findings 1 and 2 are those of Bordes, "
                "Balestriero and Vincent, High Fidelity Visualization of What Your Self-Supervised Representation "
                "Knows About, TMLR 2022 (arXiv 2112.09164).",
            ]
        )
    ]


def limits(of: Sequence[str]) -> list[Block]:
    """What the numbers do not show, of the limits below those that a report is subject to."""
    return [blocks.points(of)]
