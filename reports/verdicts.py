"""Verdicts as a table, for a paper: every report writes one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.tables import Table, decisive, interval, p_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyses.findings import Verdict


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """One row a verdict; aspects and levels where there are any."""
    aspects, levels = (any(getattr(v, name) for v in verdicts) for name in ("aspect", "level"))
    return Table(
        name="verdicts",
        caption=(
            "Verdicts. Each finding is one comparison that was stated before the measurement. n counts what the test "
            "is over: images, or pairs of them."
        ),
        columns=(
            "finding",
            "encoder",
            *(("aspect",) if aspects else ()),
            *(("level",) if levels else ()),
            "claim",
            "verdict",
            "statistic",
            "value [95% interval]",
            "p",
            "n",
        ),
        rows=tuple(
            (
                str(v.finding or "–"),
                v.encoder,
                *((v.aspect,) if aspects else ()),
                *((v.level,) if levels else ()),
                v.claim,
                v.word,
                v.statistic,
                interval(v.value, v.low, v.high, decisive(v.low, v.high)),
                p_value(v.p_value),
                str(v.n),
            )
            for v in verdicts
        ),
    )
