"""The sections of the report of the invariance probe: what its figures and tables show, and how they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import blocks, decoder, phrases, style
from reports.invariance.panels import DOSES, beside, is_samples
from reports.names import file_name, sentence

if TYPE_CHECKING:
    from reports.blocks import Block
    from reports.invariance.content import Content


def displacement_figure(content: Content) -> Block:
    """The figure of the first page."""
    return blocks.figure(
        "displacement",
        "How far each transformation moves h, and whether h tells that it was applied.",
        "Left: distance from h(x) to h(T(x)) over the median distance between two different images, at the reference "
        "dose of each transformation; the grey band is what a verdict calls negligible. Right: area under the ROC "
        "curve of a linear readout that tells h(T(x)) from h(x) on images it was not fitted on. Dots are medians "
        f"(left) with 95% bootstrap intervals over images. {style.TRAINED} marks what the encoder was trained with.",
        "A level that is invariant to a transformation has its dot at the left edge of both plots: it neither moves "
        "nor tells.",
    )


def pictures(content: Content) -> list[Block]:
    """What samples show."""
    return [
        blocks.text(
            "An RCDM generates images from h alone. What all samples from one h have in common is what h holds; what "
            "varies among them is what h leaves open. Samples in one column start from equal noise wherever two "
            "representations are compared, so that a difference between them comes from h."
        ),
        *blocks.panel_figures(
            [*beside(content.panels), *(p for p in content.panels if not is_samples(p) and p.name != DOSES)]
        ),
        *decoder.undrawn(content.levels, content.drawn, content.run),
    ]


def transformations(content: Content) -> list[Block]:
    """How far each transformation moves h."""
    printed = content.printed
    first, *others = [blocks.table(printed[f"transformations-{file_name(level)}"]) for level in content.levels]
    out = [
        first,  # fills the page that the figure is too tall for
        blocks.figure(
            "dose-response",
            "Displacement of h against the strength of each transformation.",
            "Median over images of the relative displacement, with 95% bootstrap bands; each plot has its "
            "transformation's own unit along the bottom, all share the vertical axis. The dotted line is the reference "
            "dose, at which tables and verdicts are read; every curve starts at no transformation, where the "
            "displacement is 0 by definition.",
            "A flat curve is an invariance. A curve that reaches the dashed line has left the image behind: h(T(x)) is "
            "then as far from h(x) as the h of any other image.",
        ),
        *others,
    ]
    if "comparison" in printed:
        out.append(blocks.table(printed["comparison"]))
    else:
        out.append(
            blocks.missing(
                "Backbone and projector are not compared.",
                "That needs both levels of one encoder. A supervised encoder has no projector; where yours has one, "
                "measure it together with the backbone.",
            )
        )
    return out


def factors(content: Content) -> list[Block]:
    """Which factors are present in h, and which are rendered in the samples."""
    if content.factors.empty:
        return [blocks.missing("Factors were not measured.", phrases.NO_FACTORS)]
    return [
        blocks.text(
            "Each known factor of a scene is measured twice. It is present where a cross-validated linear readout "
            "finds it in h. It is rendered where a separate network, the judge, which never saw the encoder, reads it "
            "off the samples that the RCDM draws from h."
        ),
        blocks.figure(
            "factors",
            "Known factors: present in h, and rendered in the samples.",
            "Filled: R² of a ridge regression from h on held-out images (accuracy for the class; R² of cosine and sine "
            "together for hues and directions). Open: the same agreement between the scene and the judge's reading of "
            "the samples. Lines are 95% bootstrap intervals over images.",
            "1 is perfect, 0 as good as the best constant answer (a tick marks it, also for the class). A factor that "
            "h has dropped has its filled dot at the tick; the open one falls to about −1, the score of samples that "
            "vary as freely as scenes do, or below (an arrow at the edge). Present and not rendered is the generator's "
            "share: it missed what h has. Rendered and not present is there in a form that is not linear.",
        ),
        blocks.table(content.printed["factors"]),
    ]


def variance(content: Content) -> list[Block]:
    """What h leaves open."""
    return [
        blocks.table(content.printed["variance"]),
        *(blocks.figure(file_name(map_.name), sentence(map_.title), map_.caption, "") for map_ in content.maps),
    ]


def doses(content: Content) -> list[Block]:
    """The transformations, in numbers and in pictures."""
    return [
        blocks.table(content.printed["doses"]),
        *blocks.panel_figures(panel for panel in content.panels if panel.name == DOSES),
    ]
