"""The report of the invariance probe in a few sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyses.findings import ERROR_RATE
from reports.factors import factor_label
from reports.tables import cell

if TYPE_CHECKING:
    import pandas as pd

    from reports.invariance.content import Content


def in_short(content: Content) -> list[str]:
    """The outcome in sentences."""
    sentences = (
        _short_displacement(content),
        _short_comparison(content.comparison),
        _short_factors(content),
        _short_variance(content.variance),
    )
    return [sentence for sentence in sentences if sentence]


def _short_displacement(content: Content) -> str:
    moved = content.at_reference.dropna(subset=["relative_displacement"])
    clauses = []
    for level in content.levels:
        rows = moved[moved["level"] == level].sort_values("relative_displacement")
        if len(rows) == 1:
            only = rows.iloc[0]
            clauses.append(f"{_label(content, only)} moves the {level} by {cell(only, 'relative_displacement')}")
        elif len(rows):
            least, most = rows.iloc[0], rows.iloc[-1]
            clauses.append(
                f"{_label(content, most)} moves the {level} most ({cell(most, 'relative_displacement')}) and "
                f"{_label(content, least)} least ({cell(least, 'relative_displacement')})"
            )
    count = len(content.labels)
    which = f"Of {count} transformations at their reference dose, " if count > 1 else "At its reference dose, "
    return f"{which}{'; '.join(clauses)}. 1 is as far as another image." if clauses else ""


def _short_comparison(comparison: pd.DataFrame) -> str:
    sure = comparison[comparison["p_holm"] < ERROR_RATE]
    less, more = (sure["difference"] > 0).sum(), (sure["difference"] < 0).sum()
    return (
        f"The projector moves less than the backbone under {less} of {len(comparison)} transformations and more under "
        f"{more} (Wilcoxon signed-rank, Holm-corrected p < {ERROR_RATE})."
        if len(comparison)
        else ""
    )


def _short_factors(content: Content) -> str:
    clauses = []
    for level in content.levels:
        rows = content.factors[content.factors["level"] == level].dropna(subset=["present"])
        if len(rows):
            linear = rows[rows["factor"] != "class"].sort_values("present")
            accuracy = [f"class {cell(row, 'present')}" for _, row in rows[rows["factor"] == "class"].iterrows()]
            ends = [linear.iloc[-1], linear.iloc[0]] if len(linear) > 1 else []
            named = [f"{factor_label(row['factor'])} R² {cell(row, 'present')}" for row in ends]
            clauses.append(f"from the {level}, " + ", ".join([*accuracy, *named]))
    what = "Read linearly (the class, then the best and the worst of the other factors): "
    return f"{what}{'; '.join(clauses)}." if clauses else ""


def _short_variance(variance: pd.DataFrame) -> str:
    clauses = [f"{cell(row, 'ratio')} for the {row['level']}" for _, row in variance.iterrows()]
    what = "What h leaves open, as the variance of samples from one h over that between the h of different images: "
    return f"{what}{'; '.join(clauses)}." if clauses else ""


def _label(content: Content, row: pd.Series) -> str:
    return content.labels[row["condition"]].lower()
