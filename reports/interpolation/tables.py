"""The tables of the report of the interpolation probe, as they are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyses.interpolation import ORDER, PLACED, WRONG_END
from reports.factors import FACTOR_LABELS, SHORT_LABELS
from reports.names import file_name
from reports.tables import Table, cell, number, p_value, rows_where

if TYPE_CHECKING:
    from reports.interpolation.content import Content


def printed_tables(content: Content) -> dict[str, Table]:
    """The tables of the report, by name."""
    made = []
    if len(content.orders):
        made += [_factor_table(content, level) for level in content.levels]
    if len(content.classes):
        made.append(_class_table(content))
    made.append(_distance_table(content))
    if len(content.verdicts):
        made.append(_comparison_table(content))
    return {table.name: table for table in made}


def _factor_table(content: Content, level: str) -> Table:
    by_path = {path: rows_where(content.factors, level=level, path=path).set_index("factor") for path in content.paths}
    whole = rows_where(content.orders, level=level).set_index("path")
    first = by_path[content.paths[0]]
    lines = []
    for factor in (name for name in FACTOR_LABELS if name in first.index):
        orders = [cell(by_path[path].loc[factor], "spearman") for path in content.paths]
        numbers = [number(first.loc[factor, name]) for name in ("wrong_end", "at_first", "at_second")]
        lines.append((SHORT_LABELS[factor], *orders, *numbers, str(first.loc[factor, "pairs"])))
    wrong, pairs = (number(whole.loc[content.paths[0], "wrong_end"]), str(whole.loc[content.paths[0], "pairs"]))
    lines.append(("all", *(cell(whole.loc[path], "spearman") for path in content.paths), wrong, "–", "–", pairs))
    return Table(
        name=f"factors-{file_name(level)}",
        caption=(
            f"Factors along the paths of the {level}. Mean Spearman correlation of the reading with the position, "
            f"along each path towards B, and along the {content.paths[0]} one towards another image (wrong end); mean "
            "way from A's value to B's that the samples of h(A) and h(B) show (0 and 1 are ideal); pairs that differ "
            "in the factor. In brackets, 95% bootstrap intervals over pairs."
        ),
        columns=("factor", *content.paths, "wrong end", "way at A", "way at B", "pairs"),
        rows=tuple(lines),
    )


def _class_table(content: Content) -> Table:
    return Table(
        name="classes",
        caption=(
            "The class along the paths. Share of pairs of two classes in which the judge reads A's class, then from "
            "some point on B's, and never another (once); and in which it reads A's at A and B's at B, whatever lies "
            "between: no path can reach more than that. 95% bootstrap intervals over pairs."
        ),
        columns=("level", "path", "once from A's to B's", "right at both ends", "pairs"),
        rows=tuple(
            (row["level"], row["path"], cell(row, "once"), cell(row, "ends"), str(row["pairs"]))
            for _, row in content.classes.iterrows()
        ),
    )


def _distance_table(content: Content) -> Table:
    points = content.run["arguments"]["points"]
    return Table(
        name="distances",
        caption=(
            "Samples and the points they were drawn from. Own point: share of samples nearer to their own point than "
            "to both ends; by chance: what samples of other positions reach; beyond chance: share of the way from "
            f"there to always, which the verdict asks to exceed {PLACED}. Rank: mean place of the own point among the "
            f"{points} of the path, and by chance. Order in h: Spearman's correlation of the way from h(A) to h(B) "
            "with the position. Distance: median relative distance to the own point. Offset: of the path from the "
            "straight line. In brackets, 95% bootstrap intervals over pairs."
        ),
        columns=(
            "level",
            "path",
            "own point",
            "by chance",
            "beyond chance",
            "rank",
            "order in h",
            "distance",
            "offset",
        ),
        rows=tuple(
            (
                row["level"],
                row["path"],
                number(row["own_point"]),
                number(row["own_point_chance"]),
                cell(row, "beyond_chance"),
                f"{number(row['rank'], 1)} ({number(row['rank_chance'], 1)})",
                cell(row, "approach"),
                number(row["own"]),
                number(row["offset"]),
            )
            for _, row in content.distances.iterrows()
        ),
    )


def _comparison_table(content: Content) -> Table:
    what = {ORDER: "Spearman"}
    return Table(
        name="comparison",
        caption=(
            f"The {content.paths[0]} path beside the others and beside the controls, pair by pair. Median paired "
            "difference with its 95% bootstrap interval; above 0 the path does better. Spearman: mean over differing "
            "factors; own point: share of samples nearer to their own point than to both ends, less that by chance. p: "
            f"two-sided Wilcoxon signed-rank, Holm-corrected over the {len(content.comparison)} rows. Effect: "
            "matched-pairs rank-biserial correlation."
        ),
        columns=("level", "measure", "beside", "difference", "p (Holm)", "effect", "pairs"),
        rows=tuple(
            (
                row["level"],
                what.get(row["measure"], row["measure"]),
                row["versus"] if row["versus"] == WRONG_END else f"{row['versus']} path",
                cell(row, "difference"),
                p_value(row["p_holm"]),
                number(row["effect"]),
                str(row["pairs"]),
            )
            for _, row in content.comparison.iterrows()
        ),
    )
