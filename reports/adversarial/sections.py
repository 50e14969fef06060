"""The sections of the report of the adversarial probe: what its figures and tables show, and how they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probes.remedies import training_command
from reports import blocks

if TYPE_CHECKING:
    from reports.adversarial.content import Content
    from reports.blocks import Block


def gains_figure(content: Content) -> Block:
    """The figure of the first page."""
    compared = " on images that both classify rightly" if content.decided else ""
    papers = ", as the paper has it of SSL encoders" if content.beside_supervised else ""
    saved = {
        "displacement": "how much less h moves (median)",
        "accuracy": "how many more decisions hold (mean)",
        "rendered": "how many fewer rendered classes are lost (mean, on images that all classify rightly)",
    }
    drawn = [words for aspect, words in saved.items() if aspect in set(content.comparison["aspect"])]
    return blocks.figure(
        "gains",
        f"What each encoder saves beside {content.reference}.",
        f"Paired differences under {content.attacks[0].name}, mean over the budgets,{compared}: {', '.join(drawn)}, "
        "with 95% bootstrap intervals over images.",
        f"Right of the line the encoder is more robust than {content.reference}{papers}; left, less.",
    )


def robustness(content: Content) -> list[Block]:
    """What grows and falls with the budget."""
    printed = content.printed
    out = [
        blocks.figure(
            "robustness",
            "What is left of the decision, and how far h moves, as the budget grows.",
            f"{_curves(content)}; solid under attack, dotted under random noise of the same budget; bands are 95% "
            "bootstrap intervals over images.",
            "A displacement of 1 is as far as another image. A robust encoder keeps its accuracy high and its "
            "displacement low.",
        ),
        *(blocks.table(printed[f"robustness-{entry.name}"]) for entry in content.attacks),
    ]
    if "comparison" in printed:
        out.append(blocks.table(printed["comparison"]))
    if not content.classifiers:
        out.append(
            blocks.missing(
                "There are no decisions in this report.",
                "The images have no labels, so that only the displacement of h was attacked. Sort them into a "
                "subfolder for each class, and a linear classifier is trained and attacked too.",
            )
        )
    return out


def _curves(content: Content) -> str:
    """What is drawn against the budget, in words."""
    if not content.decided:
        return "Median relative displacement of h"
    return (
        "Accuracy of the linear classifier over all images, and median relative displacement of h over those that it "
        "gets right untouched"
    )


def smallest(content: Content) -> list[Block]:
    """The smallest budget that flips a decision."""
    if content.budgets.empty:
        return [
            blocks.missing("Smallest budgets were not measured.", "That needs labels and an attack on the decision.")
        ]
    return [
        blocks.figure(
            "smallest-budget",
            "How many decisions each budget flips.",
            "For each image that the classifier gets right, the smallest budget known to flip its decision: along the "
            "line to the first adversary that was found, bisection finds where the decision turns. Drawn is the share "
            "of images flipped at or below each budget.",
            "The further right a curve, the more robust the decision; it crosses the dashed line at the median.",
        ),
        blocks.table(content.printed["budgets"]),
    ]


def pictures(content: Content) -> list[Block]:
    """What samples show."""
    drawn = [panel for panel in content.panels if panel.name != "perturbations"]
    rest = [panel for panel in content.panels if panel.name == "perturbations"]
    out: list[Block] = []
    if drawn:
        out.append(
            blocks.text(
                "An RCDM generates images from h alone. Drawn from an attacked h, they show what the attack made the "
                "encoder see. All samples of one image start from equal noise."
            )
        )
    elif content.run["arguments"]["rendered"] == 0:
        out.append(blocks.missing("Nothing was drawn from h.", "It was not asked for: --rendered is 0."))
    else:
        out.append(
            blocks.missing(
                "Nothing was drawn from h.",
                "That needs an RCDM, a diffusion model trained on this encoder's representations, and images that "
                f"every encoder classifies rightly. Train one with {training_command('NAME')} and give it with --rcdm "
                "DIR.",
            )
        )
    if drawn and content.undrawn:
        out.append(
            blocks.missing(
                f"Nothing was drawn from {', '.join(content.undrawn)}.",
                f"The RCDM draws from the other encoders only. Train one with {training_command(content.undrawn[0])} "
                "and give both with --rcdm.",
            )
        )
    out += blocks.panel_figures((*drawn, *rest))
    if len(content.rendered):
        out += [
            blocks.figure(
                "rendered",
                "How often the class is still seen in what is drawn.",
                "Share of images in whose sample the judge sees the true class, with 95% bootstrap intervals; lines "
                f"for {content.attacks[0].name}, open markers for random noise of the largest budget. Only images that "
                "every encoder classifies rightly.",
                "The height at 0 is what the decoder draws of the class at all; what counts is how much is lost from "
                "there.",
            ),
            blocks.table(content.printed["rendered"]),
        ]
    elif drawn:
        out.append(
            blocks.missing(
                "No one judged the class of the samples.",
                "The judge reads the embedded scenes only: name an encoder that is not under attack with --judge, and "
                "a linear classifier on it does, where the images have labels.",
            )
        )
    return out


def checks(content: Content) -> list[Block]:
    """Whether the attacker can be trusted."""
    printed = content.printed
    out = [
        blocks.text(
            "An attack that is too weak makes any encoder look robust. These are the signs to look for: more work "
            "finds much more, adversaries made for another encoder do better than an encoder's own, gradients vanish "
            "or mislead, or random noise does as well. By the last three the attack on an encoder is blind, "
            "and no verdict calls that encoder the more robust."
        )
    ]
    out += [
        blocks.table(printed[name])
        for name in ("effort", "transfers", "gradients", "controls", "classifiers")
        if name in printed
    ]
    return out
