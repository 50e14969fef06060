"""Tables for three readers: CSV for a program, LaTeX for a paper, cells of text for the PDF.

A number with its confidence interval is three columns, ``x``, ``x_low`` and ``x_high``. The CSV keeps all three, in
full precision; for people they are folded into one cell, ``0.41 [0.38, 0.44]``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from analyses.digits import decisive, fixed, p_number
from rcdm_core.kept import atomic_path
from reports.names import file_name
from reports.style import ordered_levels
from reports.words import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from reports.words import Words

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "●": r"$\bullet$",
        "–": "--",
        "−": "$-$",
        "×": r"$\times$",
        "²": "$^2$",
        "°": r"$^\circ$",
        "σ": r"$\sigma$",
        "≤": r"$\le$",
        "≥": r"$\ge$",
    }
)
_SENTENCE = 40  # letters: a cell that is longer is wrapped
_WRAPPED = 0.6  # share of the line that wrapped columns take together


@dataclass(frozen=True)
class Table:
    """A table as a reader sees it.

    Args:
        name: File name without ending; also the LaTeX label.
        caption: What it shows and how to read it, in full sentences.
        columns: Headings.
        rows: Cells of text, each row as long as ``columns``.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        wrong = [row for row in self.rows if len(row) != len(self.columns)]
        if wrong:
            raise ValueError(f"table {self.name!r}: {len(self.columns)} headings, but a row of {len(wrong[0])} cells")


def number(value: Any, digits: int = 2) -> str:
    """A number with a true minus sign, without a minus before zero, and a dash where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    return fixed(float(value), digits).replace("-", "−")


def interval(value: Any, low: Any, high: Any, digits: int = 2, bound: float = 0.0) -> str:
    """``0.41 [0.38, 0.44]``; only the number where its interval is not known.

    Of more digits than asked for where these would hide on which side of 0, or of a bound, it lies.
    """
    if number(low) == "–" or number(high) == "–":
        return number(value, digits)
    digits = decisive(low, high, bound, digits=digits)
    return f"{number(value, digits)} [{number(low, digits)}, {number(high, digits)}]"


def p_value(p: Any) -> str:
    """A p-value as in a sentence, without the p, and a dash where there is none."""
    return "–" if number(p) == "–" else p_number(p)


def cell(row: Mapping[str, Any], column: str, digits: int = 2, bound: float = 0.0) -> str:
    """The cell of ``column`` in a row, folded with its ``_low`` and ``_high`` where the row has them."""
    return interval(row[column], row.get(f"{column}_low"), row.get(f"{column}_high"), digits, bound)


def rows_where(table: pd.DataFrame, **values: Any) -> pd.DataFrame:
    """The rows of a table that have these values in the columns of these names."""
    for name, value in values.items():
        table = table[table[name] == value]
    return table


def as_read(
    words: Words, kind: str, names: Mapping[str, Any], rows_of: Callable[[str], pd.DataFrame]
) -> Iterator[Table]:
    """Tables by the sections of the words that are of a kind and name columns; one a level, where that is said.

    The caption of one of several can tell what stands in its first row.

    Args:
        words: Of the report.
        kind: ``table``, or ``summary``: as a terminal shows it, numbers without their intervals.
        names: What the words are filled in with; ``labels`` of cells among them.
        rows_of: Gives the rows of a table by its name.
    """
    labels = names.get("labels", {})
    for section, columns in words.columns.items():
        prefix, _, named = section.partition(" ")
        name, _, by = named.partition(" by ")
        if prefix != kind:
            continue
        rows = rows_of(name)
        shown = list(_expanded([column for column in columns if column.heading.format_map(names)], rows, by))
        for part in ordered_levels(rows[by]) if by and len(rows) else [""] * bool(len(rows)):
            own = rows_where(rows, **{by: part}) if by else rows
            yield Table(
                name=f"{name}-{file_name(part)}" if by else name,
                caption=words.text(section, {**names, "rows": len(own), **(own.iloc[0] if by else {})}),
                columns=tuple(column.heading.format_map(names) for column in shown),
                rows=tuple(
                    tuple(_as_read(row, column, labels, brief=kind == "summary") for column in shown)
                    for _, row in own.iterrows()
                ),
            )


def _expanded(columns: Sequence[Column], rows: pd.DataFrame, by: str) -> Iterator[Column]:
    """The columns to be printed: for ``*`` all that are not named beside it, bounds apart."""
    named = {by, *(column.name for column in columns)}
    for column in columns:
        if column.name != "*":
            yield column
        else:
            others = (name for name in rows.columns if name not in named and not name.endswith(("_low", "_high")))
            yield from (Column(name, name) for name in others)


def _as_read(row: pd.Series, column: Column, labels: Mapping[str, str], *, brief: bool) -> str:
    value = row[column.name]
    if isinstance(value, str):
        return labels.get(value, value) or "–"
    if not isinstance(value, float):
        return number(value, 0)
    if column.name.startswith("p_"):
        return p_value(value)
    return number(value, column.digits) if brief else cell(row, column.name, column.digits)


def latex_escape(text: str) -> str:
    """Text such that LaTeX prints it as it is."""
    return text.translate(_LATEX)


def to_latex(table: Table) -> str:
    """A ``table`` environment with the rules of LaTeX's package booktabs.

    First column left, others centred; columns of sentences are wrapped, and share the same part of the line.
    """
    wide = {column for column, cells in enumerate(zip(*table.rows, strict=True)) if max(map(len, cells)) > _SENTENCE}
    wrapped = rf"p{{{_WRAPPED / max(len(wide), 1):.2f}\linewidth}}"
    places = "".join(wrapped if i in wide else "c" if i else "l" for i in range(len(table.columns)))
    cells = pd.DataFrame([map(latex_escape, row) for row in table.rows], columns=list(map(latex_escape, table.columns)))
    latex = cells.style.hide(axis="index").to_latex(
        hrules=True, position_float="centering", caption=latex_escape(table.caption), label=f"tab:{table.name}",
        column_format=places,
    )  # fmt: skip
    return "% needs \\usepackage{booktabs}\n" + latex


def save_csv(folder: Path, name: str, data: pd.DataFrame) -> None:
    """Write ``name.csv``: the numbers, in full precision."""
    with atomic_path(folder / f"{name}.csv") as temporary:
        data.to_csv(temporary, index=False)


def save_latex(folder: Path, table: Table) -> None:
    """Write ``name.tex``: the table as read."""
    with atomic_path(folder / f"{table.name}.tex") as temporary:
        temporary.write_text(to_latex(table), encoding="utf-8")
