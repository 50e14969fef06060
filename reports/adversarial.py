"""The report of the adversarial probe: figures, tables and a PDF that says how encoders stand the same attacks.

`write` turns summary tables, pictures and verdicts into a run folder's ``figures/``, ``tables/`` and ``report.pdf``.
What a run could not measure (no labels, no RCDM, no judge) is named in the report, with the way to get it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from analyses.adversarial import ASPECTS
from analyses.bootstrap import LEVEL, RESAMPLES
from analyses.robustness import RULE
from probes.adversarial.attacks import ATTACKS
from probes.adversarial.robustness import NOISE
from reports import blocks, protocol
from reports.figures.grid import draw_panel
from reports.figures.robustness import draw_budgets, draw_gains, draw_rendered, draw_robustness
from reports.provenance import plain, provenance
from reports.tables import Table, cell, interval, number, p_equals, p_value
from reports.writing import data_name, file_name, head, listed, panel_figures, write_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure

    from analyses.findings import Verdict
    from probes.adversarial.attacks import Entry
    from probes.panels import Panel
    from rcdm_core.linear_classifier import LinearClassifier
    from reports.blocks import Block

NUMBERS = ("robustness", "budgets", "rendered", "effort", "transfers", "controls", "comparison")  # of `Content`

_AXES = {
    "displacement": "displacement saved",
    "accuracy": "decisions saved",
    "rendered": "rendered classes saved",
}


@dataclass(frozen=True)
class Content:
    """Everything that the report tells, as the floors below give it.

    Args:
        robustness: `analyses.adversarial.robustness_table`.
        budgets: `analyses.adversarial.budget_table`; no rows without labels.
        rendered: `analyses.adversarial.rendered_table`; no rows without an RCDM and a judge.
        effort: `analyses.adversarial.effort_table`; no rows without an iterated attack.
        transfers: `analyses.adversarial.transfer_table`; no rows without labels, or for a single encoder.
        controls: `analyses.adversarial.controls_table`.
        comparison: `analyses.adversarial.comparison_table`.
        smallest: The records ``smallest_budget``.
        panels: Grids of images.
        classifiers: The linear classifier on each encoder; none without labels.
        verdicts: From `analyses.robustness.robustness_verdicts`.
        run: The content of ``run.json``.
    """

    robustness: pd.DataFrame
    budgets: pd.DataFrame
    rendered: pd.DataFrame
    effort: pd.DataFrame
    transfers: pd.DataFrame
    controls: pd.DataFrame
    comparison: pd.DataFrame
    smallest: pd.DataFrame
    panels: Sequence[Panel]
    classifiers: Mapping[str, LinearClassifier]
    verdicts: Sequence[Verdict]
    run: Mapping[str, Any]

    @cached_property
    def printed(self) -> dict[str, Table]:
        """The tables of the report, by name."""
        return printed_tables(self)

    @property
    def reference(self) -> str:
        """Name of the encoder that the others are compared with."""
        return self.run["arguments"]["reference"]

    @property
    def attacks(self) -> tuple[Entry, ...]:
        """The attacks, that of the verdicts first."""
        return tuple(ATTACKS[name] for name in self.run["arguments"]["attacks"])

    @property
    def encoders(self) -> tuple[str, ...]:
        """Names of the encoders, the reference first."""
        return tuple(dict.fromkeys(self.robustness["encoder"]))


def write(folder: Path, content: Content) -> Path:
    """Write the report into a run folder (see `reports.writing`); gives the path of the PDF."""
    return write_report(
        folder,
        figures=figures(content),
        data={name: getattr(content, name) for name in NUMBERS},
        verdicts=content.verdicts,
        printed=content.printed.values(),
        document=document(content),
    )


def figures(content: Content) -> Iterator[tuple[str, Figure]]:
    """The figures of the report with their file names, drawn one by one."""
    first, reference = content.attacks[0], content.reference
    if len(content.comparison):
        yield "gains", draw_gains(content.comparison, aspects=_AXES, reference=reference)
    yield (
        "robustness",
        draw_robustness(
            content.robustness,
            attacks=[entry.name for entry in content.attacks],
            noise={entry.name: NOISE[entry.norm] for entry in content.attacks},
            units={entry.name: entry.unit for entry in content.attacks},
            reference=reference,
        ),
    )
    smallest = content.smallest[content.smallest["condition"] == first.name]
    if len(smallest):
        largest = float(content.budgets["largest"].max())
        yield (
            "smallest-budget",
            draw_budgets(smallest, attack=first.name, unit=first.unit, largest=largest, reference=reference),
        )
    if len(content.rendered):
        yield (
            "rendered",
            draw_rendered(
                content.rendered, attack=first.name, noise=NOISE[first.norm], unit=first.unit, reference=reference
            ),
        )
    for panel in content.panels:
        yield file_name(panel.name), draw_panel(panel)


def printed_tables(content: Content) -> dict[str, Table]:
    """The tables of the report, by name."""
    made = [_robustness_table(content, entry) for entry in content.attacks]
    if len(content.comparison):
        made.append(_comparison_table(content))
    if len(content.budgets):
        made.append(_budget_table(content))
    if len(content.rendered):
        made.append(_rendered_table(content))
    if len(content.effort):
        made.append(_effort_table(content))
    if len(content.transfers):
        made.append(_transfer_table(content))
    made.append(_controls_table(content))
    if content.classifiers:
        made.append(_classifier_table(content))
    return {table.name: table for table in made}


def document(content: Content) -> dict[str, Any]:
    """The report as plain data, for ``templates/report.typ``."""
    run = content.run
    begins = head(
        run,
        title=f"How {listed(content.encoders)} stand attacks",
        subtitle=f"Adversarial robustness of their level {run['arguments']['level']}, on {data_name(run)}",
        keywords=["adversarial", "robustness", *content.encoders],
    )
    return {
        **begins,
        "cards": [*begins["cards"], _attack_card(content)],
        "verdicts": [],
        "verdict-grid": _verdict_grid(content),
        "figure": _gains_figure(content) if len(content.comparison) else None,
        "sections": [
            blocks.section("In short", [blocks.points(_in_short(content))]),
            blocks.section("Accuracy and displacement against the budget", _robustness(content)),
            blocks.section("The smallest budget that flips a decision", _smallest(content)),
            blocks.section("What is drawn from an attacked h", _pictures(content)),
            blocks.section("Can the attacker be trusted?", _checks(content)),
            blocks.section("What this report cannot tell", [blocks.points(_limits())]),
            blocks.section("How it was measured", _protocol(content)),
            blocks.section("Provenance", _provenance(content), new_page=True),
        ],
    }


# Parts of the document


def _verdict_grid(content: Content) -> dict[str, Any]:
    by_place = {(verdict.encoder, verdict.aspect): verdict for verdict in content.verdicts}
    rows = [
        {"name": name, "cells": [_verdict_cell(by_place.get((name, aspect))) for aspect in ASPECTS]}
        for name in content.encoders
        if name != content.reference
    ]
    return {
        "claim": (
            "Finding 3. Under small adversarial perturbations of the input, self-supervised representations are more "
            f"robust than supervised ones. Here: each encoder beside {content.reference}, under "
            f"{content.attacks[0].name}."
        ),
        "columns": ["h moves less", "the decision holds more often", "the rendered class holds more often"],
        "rows": rows,
        "rule": f"Paired gain over {content.reference}, mean over budgets. {RULE}",
    }


def _verdict_cell(verdict: Verdict | None) -> dict[str, str] | str:
    if verdict is None:
        return "not measured"
    return {
        "word": verdict.word,
        "value": number(verdict.value),
        "interval": f"[{number(verdict.low)}, {number(verdict.high)}]",
        "test": f"p {p_equals(verdict.p_value)}, {verdict.n} images",
    }


def _gains_figure(content: Content) -> Block:
    return blocks.figure(
        "gains",
        f"What each encoder saves beside {content.reference}.",
        f"Paired differences under {content.attacks[0].name}, mean over the budgets, on images that both classify "
        "rightly: how much less h moves (median), how many more decisions hold (mean), how many fewer rendered classes "
        "are lost (mean), with 95% bootstrap intervals over images.",
        f"Right of the line the encoder is more robust than {content.reference}, as the paper has it; left, less.",
    )


def _attack_card(content: Content) -> Block:
    arguments = content.run["arguments"]
    rows = {"level": arguments["level"], "reference": content.reference}
    for entry in content.attacks:
        budgets = arguments["eps"] if entry.norm == "Linf" else arguments["eps_l2"]
        rows[entry.name] = f"{entry.about}; {', '.join(f'{budget:g}' for budget in budgets)} {entry.unit}"
    rows |= {"steps": f"{arguments['attack_steps']}", "restarts": f"{arguments['restarts']}"}
    return blocks.card("The attacks", rows)


def _in_short(content: Content) -> list[str]:
    first = content.attacks[0]
    rows = content.robustness[content.robustness["condition"] == first.name]
    middle = sorted(rows["strength"].unique())[(rows["strength"].nunique() - 1) // 2]
    at = rows[rows["strength"] == middle].set_index("encoder")
    moved = ", ".join(f"{name} {cell(at.loc[name], 'relative_displacement')}" for name in content.encoders)
    out = [f"{first.name} with {middle:g} {first.unit} moves h this far on the way to another image: {moved}."]
    clean = content.robustness[content.robustness["strength"] == 0].set_index("encoder")
    if len(clean):
        kept = ", ".join(
            f"{name} {number(clean.loc[name, 'accuracy'])} to {number(at.loc[name, 'accuracy'])}"
            for name in content.encoders
        )
        out.append(f"Accuracy, untouched and then under that attack: {kept}.")
    noise = content.robustness[content.robustness["condition"] == NOISE[first.norm]]
    if len(noise):
        worst = noise.loc[noise["relative_displacement"].idxmax()]
        out.append(
            f"Random noise of the same budgets moves h by at most {number(worst['relative_displacement'])} "
            f"({worst['encoder']}, {worst['strength']:g} {first.unit}): the direction does it, not the size."
        )
    words = [verdict.word for verdict in content.verdicts]
    if words:
        counts = [f"{words.count(word)} {word}" for word in dict.fromkeys(words)]
        out.append(f"Of {len(words)} verdicts on finding 3: {', '.join(counts)}.")
    return out


def _robustness(content: Content) -> list[Block]:
    printed = content.printed
    out = [
        blocks.figure(
            "robustness",
            "What is left of the decision, and how far h moves, as the budget grows.",
            "Accuracy of the linear classifier over all images, and median relative displacement of h over those that "
            "it gets right untouched; solid under attack, dotted under random noise of the same budget; bands are 95% "
            "bootstrap intervals over images.",
            "A displacement of 1 is as far as another image. A robust encoder stays high on the left and low on the "
            "right.",
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


def _smallest(content: Content) -> list[Block]:
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


def _pictures(content: Content) -> list[Block]:
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
    else:
        out.append(
            blocks.missing(
                "Nothing was drawn from h.",
                "That needs an RCDM, a diffusion model trained on this encoder's representations, and images that "
                "every encoder classifies rightly. Train one with rcdm-probe train --encoder NAME --data FOLDER --out "
                "DIR and give it with --rcdm DIR.",
            )
        )
    out += panel_figures((*drawn, *rest))
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


def _checks(content: Content) -> list[Block]:
    printed = content.printed
    out = [
        blocks.text(
            "An attack that is too weak makes any encoder look robust. These are the signs to look for: more work "
            "finds much more, or adversaries made for another encoder do better than an encoder's own."
        )
    ]
    out += [
        blocks.table(printed[name]) for name in ("effort", "transfers", "controls", "classifiers") if name in printed
    ]
    return out


def _limits() -> list[str]:
    return [
        "An attack gives an upper bound of robustness. A stronger one may find what this one missed; the checks say "
        "how likely that is, and --attack AutoAttack and --restarts look harder.",
        "A decision is that of a linear classifier on a frozen encoder. An encoder whose classes are hardly linear has "
        "small margins and flips easily, whatever becomes of the rest of its representation; that is why displacement, "
        "decision and drawing are kept apart.",
        "Relative displacement depends on the unit, the median distance between two images at that level. An encoder "
        "that spreads images unevenly can look calm or restless by it.",
        protocol.OF_SAMPLES,
        protocol.OF_SCENES,
        "Intervals are over images of one data set, for one training of each encoder. Another training may differ by "
        "more.",
    ]


def _protocol(content: Content) -> list[Block]:
    arguments = content.run["arguments"]
    return [
        blocks.points(
            [
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
                f"Uncertainty. {LEVEL:.0%} percentile bootstrap over images, {RESAMPLES:,} resamples. Comparisons are "
                "paired over images that both encoders classify rightly: Wilcoxon signed-rank, two-sided, "
                "Holm-corrected over the encoders of each aspect; effects as matched-pairs rank-biserial correlation.",
                "Finding 3 is that of Bordes, Balestriero and Vincent, High Fidelity Visualization of What Your "
                "Self-Supervised Representation Knows About, TMLR 2022 (arXiv 2112.09164).",
            ]
        )
    ]


def _provenance(content: Content) -> list[Block]:
    shown = ("method", "self_supervised", "training_augmentations", "levels")
    encoders = [
        blocks.card(name, {key.replace("_", " "): plain(card_[key]) for key in shown if key in card_})
        for name, card_ in content.run.get("encoder_cards", {}).items()
    ]
    return [*provenance(content.run), blocks.cards(encoders)]


# Tables


def _robustness_table(content: Content, entry: Entry) -> Table:
    chosen = content.robustness["condition"].isin(["", NOISE[entry.norm], entry.name])
    by_key = content.robustness[chosen].set_index(["encoder", "condition", "strength"])
    budgets = sorted({s for _, condition, s in by_key.index if condition == entry.name})
    rows: list[tuple[str, ...]] = []
    for name in content.encoders:
        if (name, "", 0.0) in by_key.index:
            rows.append((name, "0", cell(by_key.loc[(name, "", 0.0)], "accuracy"), "–", "–", "–", "–"))
        for budget in budgets:
            attacked, random = (by_key.loc[(name, c, budget)] for c in (entry.name, NOISE[entry.norm]))
            rows.append(
                (
                    name,
                    f"{budget:g}",
                    *(cell(attacked, measure) for measure in ("accuracy", "relative_displacement", "cosine")),
                    *(number(random[measure]) for measure in ("accuracy", "relative_displacement")),
                )
            )
    return Table(
        name=f"robustness-{entry.name}",
        caption=(
            f"{entry.name}, budget by budget. Budgets in {entry.unit}. Accuracy over all images; median relative "
            "displacement (0 unmoved, 1 another image) and cosine over those classified rightly untouched; beside them "
            "random noise of the same budget. In brackets, 95% bootstrap intervals over images."
        ),
        columns=("encoder", "budget", "accuracy", "displacement", "cosine", "noise: accuracy", "noise: displ."),
        rows=tuple(rows),
    )


def _comparison_table(content: Content) -> Table:
    return Table(
        name="comparison",
        caption=(
            f"Each encoder beside {content.reference}, image by image. Gain in robustness under "
            f"{content.attacks[0].name}, mean over budgets, with its 95% bootstrap interval; above 0 the encoder is "
            "more robust. p: two-sided Wilcoxon signed-rank, Holm-corrected over the encoders of an aspect. Effect: "
            "matched-pairs rank-biserial correlation."
        ),
        columns=("encoder", "aspect", "gain", "p (Holm)", "effect", "images"),
        rows=tuple(
            (
                row["encoder"],
                row["aspect"],
                cell(row, "gain"),
                p_value(row["p_holm"]),
                number(row["effect"]),
                str(row["images"]),
            )
            for _, row in content.comparison.iterrows()
        ),
    )


def _budget_table(content: Content) -> Table:
    def median(row: pd.Series) -> str:
        beyond = "≥ " if row["budget"] >= row["largest"] else ""
        return beyond + cell(row, "budget")

    return Table(
        name="budgets",
        caption=(
            "The smallest budget that flips a decision. Median over images that the classifier gets right untouched, "
            "in the unit of the attack, and the share that some budget of the grid flips; 95% bootstrap intervals."
        ),
        columns=("encoder", "attack", "median budget", "flipped", "images"),
        rows=tuple(
            (row["encoder"], row["condition"], median(row), cell(row, "flipped"), str(row["images"]))
            for _, row in content.budgets.iterrows()
        ),
    )


def _rendered_table(content: Content) -> Table:
    first = content.attacks[0]
    by_key = content.rendered.set_index(["encoder", "condition", "strength"])
    states = list(dict.fromkeys((condition, strength) for _, condition, strength in by_key.index))
    names = {"": "h(x)", NOISE[first.norm]: "noise"}
    return Table(
        name="rendered",
        caption=(
            "How often the judge sees the true class in a sample. From h untouched, under random noise of the largest "
            f"budget, and under {first.name} ({first.unit}); 95% bootstrap intervals over images."
        ),
        columns=("encoder", *(names.get(condition) or f"{condition} {strength:g}" for condition, strength in states)),
        rows=tuple(
            (name, *(cell(by_key.loc[(name, *state)], "class_seen") for state in states))
            for name in content.encoders
            if name in by_key.index.get_level_values("encoder")
        ),
    )


def _judge(name: str | None) -> str:
    """Who told the class of samples, in words."""
    return f"a linear classifier on {name}" if name else "a network trained only to read scenes"


def _effort_table(content: Content) -> Table:
    wide = content.effort.pivot(index="encoder", columns="condition", values="found")
    order = list(dict.fromkeys(content.effort["condition"]))
    attack = order[0].partition(":")[0]
    what = "share of decisions flipped" if ATTACKS[attack].needs_labels else "median relative displacement"
    budget = f"{content.effort['strength'].iloc[0]:g} {ATTACKS[attack].unit}"
    return Table(
        name="effort",
        caption=(
            f"Convergence of {attack}. {what.capitalize()} at {budget}, after more and more work; the strongest "
            "adversary so far is kept, so that no column can be below the one before. Where the columns are alike, "
            "more work would change little."
        ),
        columns=("encoder", *(condition.partition(": ")[2] for condition in order), "images"),
        rows=tuple(
            (
                name,
                *(number(wide.loc[name, condition]) for condition in order),
                str(content.effort.loc[content.effort["encoder"] == name, "images"].iloc[0]),
            )
            for name in content.encoders
        ),
    )


def _transfer_table(content: Content) -> Table:
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
    budget = f"{content.transfers['strength'].iloc[0]:g} {first.unit}"
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


def _controls_table(content: Content) -> Table:
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


def _classifier_table(content: Content) -> Table:
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
