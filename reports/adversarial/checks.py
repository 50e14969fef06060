"""The tables that tell whether the attacker of the adversarial probe can be trusted, as they are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyses.adversarial import doubts
from probes.adversarial.attacks import ATTACKS
from reports.tables import Table, cell, interval, number

if TYPE_CHECKING:
    from reports.adversarial.content import Content


def effort_table(content: Content) -> Table:
    """What more work finds."""
    wide = content.effort.pivot(index="encoder", columns="condition", values=["found", "images"])
    order = list(dict.fromkeys(content.effort["condition"]))
    attack = order[0].partition(":")[0]
    what = "share of decisions flipped" if ATTACKS[attack].needs_labels else "median relative displacement"
    budget = ATTACKS[attack].told(content.effort["strength"].iloc[0])
    return Table(
        name="effort",
        caption=(
            f"Convergence of {attack}. {what.capitalize()} within {budget}, after more and more work; the strongest "
            "adversary so far is kept, so that no column can be below the one before. Where the columns are alike, "
            "more work would change little."
        ),
        columns=("encoder", *(condition.partition(": ")[2] for condition in order), "images"),
        rows=tuple(
            (
                name,
                *(number(wide["found"].get(condition, {}).get(name)) for condition in order),
                str(int(wide["images"].max(axis=1).get(name, 0))),
            )
            for name in content.encoders
        ),
    )


def transfer_table(content: Content) -> Table:
    """What adversaries of other encoders do."""
    first = content.attacks[0]
    rows = []
    for name, found in content.transfers.groupby("encoder", sort=False):
        best = found.loc[found["difference"].idxmin()]
        rows.append(
            (
                str(name),
                cell(best, "own"),
                f"{best['source']}: {cell(best, 'transferred')}",
                cell(best, "difference"),
                str(best["images"]),
                "yes" if best["difference_high"] < 0 else "no",
            )
        )
    budget = first.told(content.transfers["strength"].iloc[0])
    return Table(
        name="transfers",
        caption=(
            f"Adversaries from one encoder to another. Accuracy under the encoder's own adversaries ({first.name}, "
            f"{budget}) and under those made for another encoder, on the images that both get right; of the other "
            "encoders, the one whose adversaries do best. If they did better than its own (a difference below 0), the "
            "encoder would only look robust, because its gradients hide the way."
        ),
        columns=("encoder", "own adversaries", "best of the others", "difference", "images", "masked?"),
        rows=tuple(rows),
    )


def gradient_table(content: Content) -> Table:
    """Whether the attack could see its way."""
    reasons = doubts(content.gradients, content.transfers)
    return Table(
        name="gradients",
        caption=(
            f"Whether {content.attacks[0].name} could see its way. Share of images without a gradient; how far its "
            "gradients are off when they foretell how the loss changes between two points nearby (median of the error "
            "over the sum of both sizes: 0 perfect, 1 blind); how much farther it moves h than random noise of the "
            "same budgets (median, 95% bootstrap interval); and whether a verdict that calls the encoder the more "
            "robust can rest on it."
        ),
        columns=("encoder", "without gradient", "error of gradients", "beyond noise", "images", "trusted?"),
        rows=tuple(
            (
                row["encoder"],
                number(row["without"]),
                number(row["error"]),
                cell(row, "beyond_noise"),
                str(row["images"]),
                "no" if row["encoder"] in reasons else "yes" if row["images"] else "–",
            )
            for _, row in content.gradients.iterrows()
        ),
    )


def controls_table(content: Content) -> Table:
    """Whether the attacks kept to their rules."""
    return Table(
        name="controls",
        caption=(
            "Rules that the attacks kept. The largest perturbation over its budget (1 but for rounding), how "
            "far any pixel left [0, 1], and the share of decisions that an attack with a budget of 0 left as they were."
        ),
        columns=("encoder", "attack", "perturbation / budget", "outside [0, 1]", "unchanged at 0"),
        rows=tuple(
            (
                row["encoder"],
                row["condition"],
                number(row["perturbation"], 4),
                number(row["out_of_range"], 4),
                number(row["unchanged"]),
            )
            for _, row in content.controls.iterrows()
        ),
    )


def classifier_table(content: Content) -> Table:
    """The classifiers under attack."""
    clean = content.robustness[content.robustness["strength"] == 0].set_index("encoder")
    return Table(
        name="classifiers",
        caption=(
            "The linear classifiers. Accuracy on the attacked images, untouched (95% bootstrap interval), and on the "
            "held-out images that chose the penalty."
        ),
        columns=("encoder", "accuracy, untouched", "held-out accuracy", "penalty", "training images"),
        rows=tuple(
            (
                name,
                interval(*(clean.loc[name, f"accuracy{end}"] for end in ("", "_low", "_high"))),
                number(classifier.held_out_accuracy),
                f"{classifier.penalty:g}",
                f"{classifier.images:,}",
            )
            for name, classifier in content.classifiers.items()
        ),
    )
