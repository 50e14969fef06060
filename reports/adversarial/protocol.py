"""How the numbers of the report of the adversarial probe were made, and what they cannot tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyses.adversarial import ERRING, VANISHING
from probes.adversarial.attacks import AUTO_STEPS, STRIDE
from reports import phrases

if TYPE_CHECKING:
    from reports.adversarial.content import Content


_OF_DECISIONS = (
    "A decision is that of a linear classifier on a frozen encoder. An encoder whose classes are hardly linear has "
    "small margins and flips easily, whatever becomes of the rest of its representation; that is why displacement, "
    "decision and drawing are kept apart.",
)
_OF_AIMS = (
    "An attack on a decision moves h only as far as the decision asks. --attack Displacement, which needs no labels, "
    "pushes h itself, and as far as it can.",
)


def limits(content: Content) -> list[str]:
    """What the numbers do not show."""
    harder = "--attack AutoAttack and --restarts look harder" if content.decided else "--restarts looks harder"
    return [
        "An attack gives an upper bound of robustness. A stronger one may find what this one missed; the checks say "
        f"how likely that is, and {harder}.",
        *(_OF_DECISIONS if content.decided else ()),
        *(_OF_AIMS if content.attacks[0].needs_labels else ()),
        "Relative displacement depends on the unit, the median distance between two images at that level. An encoder "
        "that spreads images unevenly can look calm or restless by it.",
        phrases.OF_SAMPLES,
        *phrases.of_memory(content.run),
        *phrases.of_images(content.run),
        *phrases.of_scenes(content.run),
        "Intervals are over images of one data set, for one training of each encoder. Another training may differ by "
        "more.",
    ]


def measured(content: Content) -> list[str]:
    """How each number was made."""
    arguments = content.run["arguments"]
    decisions = (
        "Decisions. A linear classifier on the frozen encoder, trained on other images of the same data set, "
        "its penalty chosen on held-out ones. Attacks that need labels are run on the images that it gets "
        "right; the others count as lost at every budget.",
    )
    samples = (
        f"Samples. One of each h, without guidance, all versions of an image from equal noise{_judge(content)}.",
    )
    paired = " that both encoders classify rightly (what is rendered: that all do)" if content.decided else ""
    return [
        "Attacks. Those of torchattacks, on images in [0, 1], through the encoder's own preprocessing. Those that take "
        f"steps take {arguments['attack_steps']} of {STRIDE} budgets over their number, from a random start; the "
        "label-free one, Displacement, maximises the distance of h from where it was; AutoAttack's parts take "
        f"{AUTO_STEPS} steps, as in its paper. Of each image the strongest adversary counts: over steps, restarts and "
        "smaller budgets.",
        "Precision. Steps are computed in bfloat16 on processors made for it, else in float32; every "
        "number in this report is computed in float32 on the attacked image.",
        *(decisions if content.decided else ()),
        "Relative displacement. The distance from h(x) to h of the perturbed image, divided by the median "
        "distance between the representations of two different images.",
        "Control. Uniform noise in the same ball (for L2, a random direction of the same length), the "
        "direction fixed for each image.",
        "Blindness. The gradient of the attack's loss (cross-entropy, or the squared distance of h from where it was) "
        "is taken near the first attacked images, and followed for a sixteenth of a 255th to both sides in a random "
        f"direction. An attack is blind where gradients vanish on more than {VANISHING:.0%} of them, where the median "
        f"of |change - foretold| / (|change| + |foretold|) is above {ERRING}, where adversaries of another encoder "
        "leave less accuracy than its own (95% interval), or where the attack moves h no farther than noise does (95% "
        "interval, mean over budgets). Then a comparison that comes out for the encoder is inconclusive; one that "
        "comes out against it stands, for a better attack would only say so more strongly.",
        *(samples if arguments["rendered"] and len(content.undrawn) < len(content.encoders) else ()),
        f"{phrases.uncertainty()}. Comparisons are paired over images{paired}: Wilcoxon signed-rank, two-sided, "
        "Holm-corrected over the encoders of each aspect; effects as matched-pairs rank-biserial correlation.",
        f"Finding 3 is that of {phrases.PAPER}.",
    ]


def _judge(content: Content) -> str:
    """Who told the class of samples, in words; nothing where no one did."""
    if content.rendered.empty:
        return ""
    name = content.run["arguments"].get("judge")
    judge = f"a linear classifier on {name}" if name else "a network trained only to read scenes"
    return f"; the judge is {judge}, and never an encoder under study"
