"""The report of the manipulation probe in a few sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.tables import number

if TYPE_CHECKING:
    from reports.manipulation.content import Content


def in_short(content: Content) -> list[str]:
    """The outcome in sentences."""
    out = [verdict.sentence for verdict in content.verdicts]
    for _, row in content.levels.iterrows():
        size = content.run["encoder_card"].get("levels", {}).get(row["level"], "")
        how = (
            "so that the paper's rule applies: a dimension is active where it is not zero"
            if row["rule"] == "non-zero"
            else f"too few for the paper's rule: a dimension is active beyond the {content.quantile} quantile"
        )
        out.append(
            f"{row['zeros']:.0%} of the numbers of the {row['level']} are exact zeros, {how}. Of its {size} "
            f"dimensions, {number(row['own'], 0)} are common to an image and its neighbours (median)."
        )
    return out
