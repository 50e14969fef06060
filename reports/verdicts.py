"""Verdicts as they are shown: in boxes, in the cells of a grid, and as a table for a paper."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analyses.digits import p_text
from reports.tables import Table, interval, p_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analyses.findings import Verdict


def verdict_box(verdict: Verdict, *, counted: str = "images", rows: str = "") -> dict[str, str]:
    """A verdict as the box of the first page shows it.

    Args:
        verdict: The finding tested.
        counted: What its ``n`` are.
        rows: Name of the table that its number stands in; empty where there is none.
    """
    return {
        "word": verdict.word,
        "claim": f"{verdict.heading}. {verdict.claim}",
        "sentence": verdict.sentence,
        **_estimate(verdict),
        "test": next(_test(verdict), "by its interval"),
        "images": f"{verdict.n} {counted}",
        "rule": verdict.rule,
        "rows": rows,
    }


def _estimate(verdict: Verdict) -> dict[str, str]:
    return split_interval(interval(verdict.value, verdict.low, verdict.high, bound=verdict.bound))


def split_interval(told: str) -> dict[str, str]:
    """An `interval` as a box or a grid shows it, in two lines."""
    value, _, ends = told.partition(" ")
    return {"value": value, "interval": ends or "[–, –]"}


def _test(verdict: Verdict) -> Iterator[str]:
    """The p-value, where there is one."""
    if math.isfinite(verdict.p_value):
        yield p_text(verdict.p_value)


def verdict_cell(verdict: Verdict | None, *, rows: str = "") -> dict[str, str] | str:
    """A verdict as one cell of a grid of verdicts, ``rows`` as of `verdict_box`; None where it was not tested there."""
    if verdict is None:
        return "not measured"
    return {
        "word": verdict.word,
        **_estimate(verdict),
        "test": ", ".join([*_test(verdict), f"{verdict.n} images"]),
        "rows": rows,
    }


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """One row a verdict; aspects and levels where there are any."""
    rows = [
        {
            "finding": str(v.finding or "–"),
            "encoder": v.encoder,
            "aspect": v.aspect,
            "level": v.level,
            "claim": v.claim,
            "verdict": v.word,
            "statistic": v.statistic,
            "value [95% interval]": interval(v.value, v.low, v.high, bound=v.bound),
            "p": p_value(v.p_value),
            "n": str(v.n),
        }
        for v in verdicts
    ]
    columns = [name for name in rows[0] if name not in ("aspect", "level") or any(row[name] for row in rows)]
    return Table(
        name="verdicts",
        caption=(
            "Verdicts. Each finding is one comparison that was stated before the measurement. n counts what the test "
            "is over: images, or pairs of them."
        ),
        columns=tuple(columns),
        rows=tuple(tuple(row[name] for name in columns) for row in rows),
    )
