"""The tables of the report of the reproduction, as they are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rcdm_probe.findings_table import COMPARISON
from rcdm_probe.reproduction_report.claims import CLAIMS
from reports.provenance import plain
from reports.tables import Table, decisive, interval, p_value

if TYPE_CHECKING:
    from rcdm_probe.reproduction_report.content import Content


def printed_tables(content: Content) -> dict[str, Table]:
    """The tables that are made anew, by name."""
    tested = content.findings["finding"].unique()
    made = [_finding_table(content, finding) for finding in CLAIMS if finding in tested]
    return {table.name: table for table in [*made, _parts_table(content)]}


def _finding_table(content: Content, finding: int) -> Table:
    rows = content.findings[content.findings["finding"] == finding]
    statistics = dict(zip(rows["aspect"], rows["statistic"], strict=True))
    several = len(statistics) > 1
    told = "; ".join(f"{aspect + ': ' if several else ''}{statistic}" for aspect, statistic in statistics.items())
    rules = " ".join(dict.fromkeys(rows["rule"]))
    levels = rows["level"].ne("").any()
    return Table(
        name=f"finding-{finding}",
        caption=(
            f"Finding {finding}, encoder by encoder. The statistic with its 95% bootstrap interval ({told}). {rules} "
            f"Beside the paper: whether that agrees with its claim; {COMPARISON} where the claim is not about such "
            "encoders. n counts what the test is over: images, or pairs of them."
        ),
        columns=(
            "encoder",
            *(("aspect",) if several else ()),
            *(("level",) if levels else ()),
            "verdict",
            "value [95% interval]",
            "p",
            "n",
            "beside the paper",
        ),
        rows=tuple(
            (
                row["encoder"],
                *((row["aspect"],) if several else ()),
                *((row["level"],) if levels else ()),
                row["word"],
                interval(row["value"], row["low"], row["high"], decisive(row["low"], row["high"])),
                p_value(row["p_value"]),
                str(row["n"]),
                row["paper"],
            )
            for _, row in rows.iterrows()
        ),
    )


def _parts_table(content: Content) -> Table:
    return Table(
        name="parts",
        caption=(
            "The runs that this report is made of. Each run folder holds the report of its probe, with all its "
            "figures, tables and records."
        ),
        columns=("run folder", "probe", "encoders", "time, s"),
        rows=tuple(
            (
                part.folder.name,
                part.probe,
                ", ".join(part.encoders),
                plain(part.run["seconds"]),
            )
            for part in content.parts
        ),
    )
