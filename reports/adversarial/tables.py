"""The tables of the report of the adversarial probe, as they are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probes.adversarial.robustness import NOISE
from reports.adversarial.checks import (
    classifier_table,
    controls_table,
    effort_table,
    gradient_table,
    transfer_table,
)
from reports.tables import Table, cell, decisive, number, p_value

if TYPE_CHECKING:
    import pandas as pd

    from probes.adversarial.attacks import Entry
    from reports.adversarial.content import Content


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
        made.append(effort_table(content))
    if len(content.transfers):
        made.append(transfer_table(content))
    made += [gradient_table(content), controls_table(content)]
    if content.classifiers:
        made.append(classifier_table(content))
    return {table.name: table for table in made}


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
                cell(row, "gain", decisive(row["gain_low"], row["gain_high"])),
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
