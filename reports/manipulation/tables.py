"""The tables of the report of the manipulation probe, as they are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyses.findings import ERROR_RATE
from reports.factors import FACTOR_LABELS, short_label
from reports.manipulation.labels import EDIT_LABELS, LABELS
from reports.names import file_name
from reports.tables import Table, cell, number, p_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from reports.manipulation.content import Content


def printed_tables(content: Content) -> dict[str, Table]:
    """The tables of the report, by name."""
    made = [_level_table(content), _edit_table(content)]
    made += [_transplant_table(content, level) for level in content.drawn]
    if len(content.removal):
        made += [_removal_table(content, level) for level in content.drawn]
    if len(content.directions):
        made += [_direction_table(content, level) for level in content.drawn]
        made += [_side_table(content, level) for level in content.drawn]
    return {table.name: table for table in made}


def _level_table(content: Content) -> Table:
    return Table(
        name="levels",
        caption=(
            "Which dimensions are common. Share of exact zeros, the rule that follows from it, and how many dimensions "
            "an image, and its target, have in common with their neighbours (median over images)."
        ),
        columns=("level", "dimensions", "exact zeros", "rule", "common, image", "common, target", "images"),
        rows=tuple(
            (
                row["level"],
                str(content.run["encoder_card"].get("levels", {}).get(row["level"], "–")),
                f"{row['zeros']:.0%}",
                "not zero" if row["rule"] == "non-zero" else f"{content.quantile} quantile",
                number(row["own"], 0),
                number(row["target"], 0),
                str(row["images"]),
            )
            for _, row in content.levels.iterrows()
        ),
    )


def _edit_table(content: Content) -> Table:
    return Table(
        name="edits",
        caption=(
            "How far each edit moves h, and what is drawn. Median distance from h, over the typical distance of two "
            "images (0 unchanged, 1 another image), and the same of the samples encoded again, with 95% bootstrap "
            "intervals over images."
        ),
        columns=("level", "edit", "h moves", "samples move"),
        rows=tuple(
            (row["level"], EDIT_LABELS[row["edit"]], cell(row, "moved"), cell(row, "drawn"))
            for _, row in content.edits.iterrows()
        ),
    )


def _transplant_table(content: Content, level: str) -> Table:
    return Table(
        name=f"transplant-{file_name(level)}",
        caption=(
            f"Share of the way to the target, {level}. By the target's common dimensions, as many random ones, and "
            "random ones until h has moved as far; the gain is common minus as many random, with its two-sided "
            "Wilcoxon signed-rank p, Holm-corrected over the rows but the mean (uncorrected there). Effect: "
            "rank-biserial correlation. In brackets, 95% bootstrap intervals over images."
        ),
        columns=("factor", "common", "random", "as far", "gain", "p (Holm)", "effect"),
        rows=tuple(
            (
                label,
                *(cell(row, name) for name in ("common", "random", "far", "gain")),
                p_value(row["p_holm"]),
                number(row["effect"]),
            )
            for label, row in _of_level(content.transplant, level)
        ),
    )


def _removal_table(content: Content, level: str) -> Table:
    return Table(
        name=f"removal-{file_name(level)}",
        caption=(
            f"Change where dimensions are removed, {level}. Mean absolute change in standard deviations of the factor "
            "(class: share of images that show another one), by common and by as many random dimensions; two-sided "
            "Wilcoxon signed-rank p of the difference, Holm-corrected over the factors; effect: rank-biserial "
            "correlation. In brackets, 95% bootstrap intervals over images."
        ),
        columns=("factor", "common", "random", "difference", "p (Holm)", "effect"),
        rows=tuple(
            (
                label,
                *(cell(row, name) for name in ("common", "random", "difference")),
                p_value(row["p_holm"]),
                number(row["effect"]),
            )
            for label, row in _of_level(content.removal, level)
        ),
    )


def _direction_table(content: Content, level: str) -> Table:
    rows = content.directions[content.directions["level"] == level]
    lines = []
    for factor in FACTOR_LABELS:
        effects = rows[rows["moved"] == factor].set_index("read")
        if effects.empty:
            continue
        own = effects.loc[factor]
        others = effects.drop(index=[factor, "class"])
        most = others.loc[others["change"].abs().idxmax()]
        lines.append(
            (
                short_label(factor),
                number(own["readable"]),
                cell(own, "change"),
                p_value(own["p_holm"]),
                f"{short_label(str(most.name))} {cell(most, 'change')}{_star(most)}",
                cell(effects.loc["class"], "change"),
            )
        )
    return Table(
        name=f"directions-{file_name(level)}",
        caption=(
            f"Directions of factors, {level}. R² of the linear readout (leave one out); change of the factor for each "
            "standard deviation that h is moved, in its own standard deviations; the largest side effect; and the "
            "share of images that show another class. p: two-sided Wilcoxon signed-rank, Holm-corrected over all pairs "
            f"of factors; an asterisk marks a side effect with p below {ERROR_RATE}. In brackets, 95% bootstrap "
            "intervals over images."
        ),
        columns=("factor", "R²", "own change", "p (Holm)", "largest side effect", "class changes"),
        rows=tuple(lines),
    )


def _side_table(content: Content, level: str) -> Table:
    rows = content.directions[content.directions["level"] == level].set_index(["moved", "read"])
    moved = [factor for factor in FACTOR_LABELS if factor in set(rows.index.get_level_values("moved"))]
    read = [*moved, "class"]
    return Table(
        name=f"side-effects-{file_name(level)}",
        caption=(
            f"Side effects, {level}. Row: moved; column: read off the samples; change for each standard deviation, in "
            "standard deviations of the factor read (class: share of images that show another one). An asterisk marks "
            f"Holm-corrected p below {ERROR_RATE}; intervals are in tables/directions.csv."
        ),
        columns=("moved", *(short_label(factor) for factor in read)),
        rows=tuple(
            (
                short_label(factor),
                *(number(rows.loc[(factor, other), "change"]) + _star(rows.loc[(factor, other)]) for other in read),
            )
            for factor in moved
        ),
    )


def _of_level(table: pd.DataFrame, level: str) -> Iterator[tuple[str, pd.Series]]:
    """Rows of a level in the order in which factors are printed, with their labels."""
    rows = table[table["level"] == level].set_index("factor")
    for factor in LABELS:
        if factor in rows.index:
            yield short_label(factor), rows.loc[factor]


def _star(effect: pd.Series) -> str:
    return "*" if effect["p_holm"] < ERROR_RATE else ""
