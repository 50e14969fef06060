"""The report of the adversarial probe in a few sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probes.adversarial.robustness import NOISE
from reports.tables import cell, number, rows_where

if TYPE_CHECKING:
    from reports.adversarial.content import Content


def in_short(content: Content) -> list[str]:
    """The outcome in sentences."""
    first = content.attacks[0]
    rows = content.robustness[content.robustness["condition"] == first.name]
    middle = sorted(rows["strength"].unique())[(rows["strength"].nunique() - 1) // 2]
    at = rows[rows["strength"] == middle].set_index("encoder")
    moved = ", ".join(f"{name} {cell(at.loc[name], 'relative_displacement')}" for name in content.encoders)
    out = [f"{first.name} within {first.told(middle)} moves h this far on the way to another image: {moved}."]
    clean = content.robustness[content.robustness["strength"] == 0].set_index("encoder")
    if len(clean):
        kept = ", ".join(
            f"{name} {number(clean.loc[name, 'accuracy'])} to {number(at.loc[name, 'accuracy'])}"
            for name in content.encoders
        )
        out.append(f"Accuracy, untouched and then under that attack: {kept}.")
    noise = content.robustness[content.robustness["condition"] == NOISE[first.norm]].dropna(
        subset=["relative_displacement"]
    )
    if len(noise):
        worst = noise.loc[noise["relative_displacement"].idxmax()]
        attacked = rows_where(rows[rows["strength"] == worst["strength"]], encoder=worst["encoder"]).iloc[0]
        out.append(
            f"Random noise of the same budgets moves h by at most {number(worst['relative_displacement'])} "
            f"({worst['encoder']}, {first.told(worst['strength'])}), where {first.name} moves it by "
            f"{cell(attacked, 'relative_displacement')}."
        )
    words = [verdict.word for verdict in content.verdicts]
    if words:
        counts = [f"{words.count(word)} {word}" for word in dict.fromkeys(words)]
        out.append(f"Of {len(words)} verdicts on finding 3: {', '.join(counts)}.")
    return out
