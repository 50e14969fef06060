"""The report of the interpolation probe in a few sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.factors import factor_label
from reports.tables import cell, number, rows_where

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reports.interpolation.content import Content


def in_short(content: Content) -> Iterator[str]:
    """The outcome in sentences."""
    path = content.paths[0]
    for level in content.levels:
        rows = rows_where(content.factors, level=level, path=path).sort_values("spearman")
        if len(rows):
            best, worst = rows.iloc[-1], rows.iloc[0]
            whole = rows_where(content.orders, level=level, path=path).iloc[0]
            yield (
                f"Along a {path} path of the {level}, readings follow the position with a mean Spearman correlation of "
                f"{cell(whole, 'spearman')}: best {factor_label(best['factor'])}, {cell(best, 'spearman')}, worst "
                f"{factor_label(worst['factor'])}, {cell(worst, 'spearman')}. Towards another image than B it is "
                f"{cell(whole, 'wrong_end')}."
            )
    changes = [f"{row['level']} {cell(row, 'once')}" for _, row in rows_where(content.classes, path=path).iterrows()]
    if changes:
        yield f"Share of pairs in which the class that is read goes from A's to B's in one step: {', '.join(changes)}."
    for _, row in rows_where(content.distances, path=path).iterrows():
        yield (
            f"Encoded again, the samples of the {row['level']} go from h(A) to h(B) with a Spearman correlation of "
            f"{cell(row, 'approach')}, at a median distance of {cell(row, 'own')} from their own points (1 is another "
            f"image). They are nearer to these than to both ends in {cell(row, 'own_point')} of cases; samples of "
            f"other positions of the path in {number(row['own_point_chance'])}."
        )
