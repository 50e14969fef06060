"""The tables of the report of the invariance probe, as they are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probes.transformations import TRANSFORMATIONS
from reports import style
from reports.factors import FACTOR_LABELS
from reports.names import file_name
from reports.tables import Table, cell, interval, number, p_value

if TYPE_CHECKING:
    import pandas as pd

    from reports.invariance.content import Content


def printed_tables(content: Content) -> dict[str, Table]:
    """The tables of the report, by name."""
    made = [_level_table(content, level) for level in content.levels]
    if len(content.comparison):
        made.append(_comparison_table(content))
    if len(content.factors):
        made.append(_factor_table(content))
    if len(content.variance):
        made.append(_variance_table(content))
    made.append(_dose_table(content))
    return {table.name: table for table in made}


def _level_table(content: Content, level: str) -> Table:
    moved = content.at_reference[content.at_reference["level"] == level].set_index("condition")
    told = content.readability[content.readability["level"] == level].set_index("condition")
    rows = []
    for condition in content.labels:
        if condition not in moved.index:
            continue
        row = {**(told.loc[condition].to_dict() if condition in told.index else {}), **moved.loc[condition].to_dict()}
        measures = ("relative_displacement", "cosine", "mrr", "auc", "r2")
        rows.append((content.marked(condition), _dose(condition), *(cell(row, name) for name in measures)))
    return Table(
        name=f"transformations-{file_name(level)}",
        caption=(
            f"Each transformation at its reference dose, {level}. Median relative displacement (0 unchanged, 1 another "
            "image) and cosine of h(T(x)) with h(x); mean reciprocal rank (MRR) of the original among the gallery, "
            "seen from the transformed image (1: always the nearest); AUC of telling that the transformation was "
            "applied (0.5 is chance) and R² of telling how strongly (0 is chance; – where there is a single dose). In "
            f"brackets, 95% bootstrap intervals over images.{_legend(content)}"
        ),
        columns=("transformation", "dose", "displacement", "cosine", "MRR", "AUC", "R²"),
        rows=tuple(rows),
    )


def _comparison_table(content: Content) -> Table:
    return Table(
        name="comparison",
        caption=(
            "Backbone minus projector, image by image. Median paired difference of relative displacement at the "
            "reference dose, with its 95% bootstrap interval; above 0 the backbone moves more. p: two-sided Wilcoxon "
            f"signed-rank, Holm-corrected over the {len(content.comparison)} transformations. Effect: matched-pairs "
            "rank-biserial correlation, 1 where the backbone moves more on every image, −1 where the projector does."
            f"{_legend(content)}"
        ),
        columns=("transformation", "dose", "backbone − projector", "p (Holm)", "effect", "images"),
        rows=tuple(
            (
                content.marked(row["condition"]),
                _dose(row["condition"]),
                cell(row, "difference"),
                p_value(row["p_holm"]),
                number(row["effect"]),
                str(row["images"]),
            )
            for _, row in content.comparison.iterrows()
        ),
    )


def _factor_table(content: Content) -> Table:
    levels = style.ordered_levels(content.factors["level"])
    by_key = content.factors.set_index(["factor", "level"])
    rows = []
    for factor, label in FACTOR_LABELS.items():
        found = [level for level in levels if (factor, level) in by_key.index]
        if found:
            lines = [by_key.loc[(factor, level)].to_dict() if level in found else {} for level in levels]
            cells = [cell(line, name) if line else "–" for line in lines for name in ("present", "rendered")]
            rows.append((label, number(by_key.loc[(factor, found[0])]["chance"]), *cells))
    return Table(
        name="factors",
        caption=(
            "Known factors, present in h and rendered in the samples. Accuracy for the class, R² for the others, with "
            f"95% bootstrap intervals over images ({_counted(content.factors)}); guessing is the score of the best "
            "constant answer."
        ),
        columns=("factor", "guessing", *(f"{level}, {name}" for level in levels for name in ("present", "rendered"))),
        rows=tuple(rows),
    )


def _counted(factors: pd.DataFrame) -> str:
    """Number of images that the two readings of factors rest on."""
    present, rendered = factors["images"].max(), factors["rendered_images"].max()
    return f"present: {present}, rendered: {rendered}" if rendered else f"{present}"


def _variance_table(content: Content) -> Table:
    return Table(
        name="variance",
        caption=(
            "Variance of a pixel among samples from one h (within) and between the h of different images, in units of "
            "0.001 of the squared range of a pixel, and their ratio. Near 0, h fixes the image; the larger, the more h "
            "leaves open. In brackets, 95% bootstrap intervals over images, drawn for both variances together."
        ),
        columns=("level", "within h", "between h", "within / between", "images"),
        rows=tuple(
            (
                row["level"],
                interval(row["within"] * 1e3, row["within_low"] * 1e3, row["within_high"] * 1e3),
                interval(row["between"] * 1e3, row["between_low"] * 1e3, row["between_high"] * 1e3),
                cell(row, "ratio"),
                str(row["images"]),
            )
            for _, row in content.variance.iterrows()
        ),
    )


def _dose_table(content: Content) -> Table:
    """Every transformation with its doses."""
    chosen = [TRANSFORMATIONS[condition] for condition in content.labels]
    return Table(
        name="doses",
        caption=f"Transformations and their doses.{_legend(content)}",
        columns=("transformation", "unit", "doses", "reference"),
        rows=tuple(
            (content.marked(t.name), t.unit, ", ".join(f"{dose:.3g}" for dose in t.doses), f"{t.reference:.3g}")
            for t in chosen
        ),
    )


def _legend(content: Content) -> str:
    """What the mark of a transformation means, where one is marked."""
    return f" {style.TRAINED} used in training." if set(content.trained) & set(content.labels) else ""


def _dose(condition: str) -> str:
    return f"{TRANSFORMATIONS[condition].reference:.3g}"
