"""How the numbers of the report of the adversarial probe were made, and what they cannot tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import phrases

if TYPE_CHECKING:
    from reports.adversarial.content import Content


def limits(content: Content) -> list[str]:
    """What the numbers do not show."""
    return [
        "An attack gives an upper bound of robustness. A stronger one may find what this one missed; the checks say "
        "how likely that is, and --attack AutoAttack and --restarts look harder.",
        "A decision is that of a linear classifier on a frozen encoder. An encoder whose classes are hardly linear has "
        "small margins and flips easily, whatever becomes of the rest of its representation; that is why displacement, "
        "decision and drawing are kept apart.",
        "Relative displacement depends on the unit, the median distance between two images at that level. An encoder "
        "that spreads images unevenly can look calm or restless by it.",
        phrases.OF_SAMPLES,
        *phrases.of_memory(content.run),
        *phrases.of_scenes(content.run),
        "Intervals are over images of one data set, for one training of each encoder. Another training may differ by "
        "more.",
    ]


def measured(content: Content) -> list[str]:
    """How each number was made."""
    arguments = content.run["arguments"]
    return [
        "Attacks. Those of torchattacks, on images in [0, 1], through the encoder's own preprocessing; "
        f"{arguments['attack_steps']} steps of 2.5 budgets over their number, from a random start; the "
        "label-free one, Displacement, maximises the distance of h from where it was. Of each image the "
        "strongest adversary counts: over steps, restarts and smaller budgets.",
        "Precision. Gradients are computed in bfloat16 on processors made for it, else in float32; every "
        "number in this report is computed in float32 on the attacked image.",
        "Decisions. A linear classifier on the frozen encoder, trained on other images of the same data set, "
        "its penalty chosen on held-out ones. Attacks that need labels are run on the images that it gets "
        "right; the others count as lost at every budget.",
        "Relative displacement. The distance from h(x) to h of the perturbed image, divided by the median "
        "distance between the representations of two different images.",
        "Control. Uniform noise in the same ball (for L2, a random direction of the same length), the "
        "direction fixed for each image.",
        "Samples. One of each h, without guidance, all versions of an image from equal noise; the judge is "
        f"{_judge(arguments.get('judge'))}, and never an encoder under study.",
        f"{phrases.uncertainty()}. Comparisons are "
        "paired over images that both encoders classify rightly: Wilcoxon signed-rank, two-sided, "
        "Holm-corrected over the encoders of each aspect; effects as matched-pairs rank-biserial correlation.",
        f"Finding 3 is that of {phrases.PAPER}.",
    ]


def _judge(name: str | None) -> str:
    """Who told the class of samples, in words."""
    return f"a linear classifier on {name}" if name else "a network trained only to read scenes"
