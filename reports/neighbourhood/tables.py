"""The tables of the report of neighbourhood sampling, as they are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.neighbourhood.kinds import KINDS
from reports.tables import Table, cell

if TYPE_CHECKING:
    from reports.neighbourhood.content import Content


def printed_tables(content: Content) -> dict[str, Table]:
    """The tables of the report, by name."""
    made = (_kind_table(content), _comparison_table(content))
    return {table.name: table for table in made}


def _kind_table(content: Content) -> Table:
    return Table(
        name="kinds",
        caption=(
            f"Every kind beside real images. {content.distance} from other real images; diversity, the mean distance "
            "of two pictures over that of two real images; median distance to the nearest image of the gallery, in the "
            "same unit. In brackets, 95% bootstrap intervals over pictures."
        ),
        columns=("level", "pictures", content.distance, "diversity", "nearest image", "number"),
        rows=tuple(
            (
                row["level"] or "–",
                KINDS[row["kind"]],
                *(cell(row, name) for name in ("frechet", "diversity", "nearest")),
                str(row["images"]),
            )
            for _, row in content.kinds.iterrows()
        ),
    )


def _comparison_table(content: Content) -> Table:
    return Table(
        name="comparison",
        caption=(
            "Kind against kind. First minus second, picture by picture from equal noise, with 95% bootstrap intervals; "
            f"above 0 in {content.distance}, the second is nearer to real images."
        ),
        columns=("level", "first", "second", content.distance, "diversity"),
        rows=tuple(
            (
                row["level"],
                KINDS[row["first"]],
                KINDS[row["second"]],
                cell(row, "frechet"),
                cell(row, "diversity"),
            )
            for _, row in content.comparison.iterrows()
        ),
    )
