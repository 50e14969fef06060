"""The tables of the report of the reproduction that no run has: verdicts encoder by encoder, and the runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rcdm_probe.findings_table import COMPARISON
from rcdm_probe.reproduction_report.claims import CLAIMS
from reports.provenance import plain
from reports.tables import Table, decisive, interval, number, p_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from rcdm_probe.reproduction_report.content import Content

_FRONT = "backbone"  # the level of the first page, where a finding is tested at several

_RULE = (
    "Each cell is one comparison that was stated before anything was measured: its word, its statistic and the 95% "
    "bootstrap interval. The sections say what each statistic is and what a word asks for, tests included, so that an "
    "interval beside 0 need not be enough; they also have all other levels."
)


def verdict_grid(content: Content) -> dict[str, Any]:
    """Every finding for every encoder, at a glance: the grid of the first page."""
    found, names = content.findings, list(content.is_ssl)
    rows = []
    for finding, claim in CLAIMS.items():
        of_finding = found[found["finding"] == finding]
        for aspect, told in of_finding.groupby("aspect", sort=False) if len(of_finding) else [("", of_finding)]:
            shown = told[told["level"].isin(["", _FRONT])]
            by_encoder = {row["encoder"]: row for _, row in shown.iterrows()}
            about = ", ".join(filter(None, [str(aspect), _FRONT if told["level"].nunique() > 1 else ""]))
            rows.append(
                {
                    "name": f"{finding}. {claim.title}",
                    **({"about": about} if about else {}),
                    "cells": [_grid_cell(by_encoder.get(name), finding, name, content) for name in names],
                }
            )
    return {
        "claim": "The findings of the paper, encoder by encoder",
        "columns": names,
        "rows": rows,
        "rule": _RULE,
    }


def _grid_cell(row: pd.Series | None, finding: int, encoder: str, content: Content) -> dict[str, str] | str:
    if row is None:
        beside = content.findings.loc[content.findings["finding"] == finding, "reference"]
        if encoder in set(beside):
            return "the reference"
        levels = content.run["encoder_cards"].get(encoder, {}).get("levels", ())
        return "no projector" if finding == 2 and "projector" not in levels else "not measured"
    return {
        "word": row["word"],
        "value": number(row["value"]),
        "interval": f"[{number(row['low'])}, {number(row['high'])}]",
        "test": "",
        "rows": f"finding-{finding}",
    }


def finding_table(content: Content, finding: int) -> Table | None:
    """The verdicts on a finding, encoder by encoder; 0: those beyond the paper. None where there are none."""
    rows = content.findings[content.findings["finding"] == finding]
    if rows.empty:
        return None
    several = rows["aspect"].nunique() > 1
    beside = (
        f" Beside the paper: whether that agrees with its claim; {COMPARISON} where the claim is not about such "
        "encoders."
    )
    cells = {
        "encoder": rows["encoder"],
        "aspect": rows["aspect"] if several else None,
        "level": rows["level"] if rows["level"].ne("").any() else None,
        "verdict": rows["word"],
        "value [95% interval]": [
            interval(row["value"], row["low"], row["high"], decisive(row["low"], row["high"]))
            for _, row in rows.iterrows()
        ],
        "p": rows["p_value"].map(p_value),
        "p (table)": rows["p_table"].map(p_value),
        "n": rows["n"].map(str),
        "beside the paper": rows["paper"] if finding else None,
    }
    columns = {name: column for name, column in cells.items() if column is not None}
    return Table(
        name=f"finding-{finding}" if finding else "beyond",
        caption=(
            f"{f'Finding {finding}' if finding else 'Verdicts beyond the paper'}, encoder by encoder. The statistic "
            f"with its 95% bootstrap interval.{beside if finding else ''} n counts what the test is over: images, or "
            "pairs of them. p: corrected over its own family, as its rule says; p (table): the same corrected once "
            "more, by Holm over every verdict of this report that has one."
        ),
        columns=tuple(columns),
        rows=tuple(zip(*columns.values(), strict=True)),
    )


def rules(content: Content, finding: int) -> Iterator[str]:
    """What is tested of a finding, and by which rule; the aspects that have one in common together."""
    rows = content.findings[content.findings["finding"] == finding]
    by_rule: dict[str, list[str]] = {}
    for aspect, told in rows.groupby("aspect", sort=False):
        statistic = told["statistic"].iloc[0].removeprefix(f"{aspect}: ")
        of_aspect = f"{f'{aspect}: '.capitalize() if aspect else ''}{statistic}."
        by_rule.setdefault(" ".join(dict.fromkeys(told["rule"])), []).append(of_aspect)
    for rule, aspects in by_rule.items():
        yield f"{' '.join(aspects)} {'One rule for all. ' if len(aspects) > 1 else ''}{rule}"


def parts_table(content: Content) -> Table:
    """The runs of each probe, with the time that they took."""
    runs = {name: [part for part in content.parts if part.probe == name] for name in content.probes}
    return Table(
        name="parts",
        caption=(
            "The runs that this report is made of. Each run folder holds the report of its probe, with all its "
            "figures, tables and records."
        ),
        columns=("probe", "run folders", "time, s"),
        rows=tuple(
            (name, _folders(name, [run.folder.name for run in own]), plain(sum(run.run["seconds"] for run in own)))
            for name, own in runs.items()
        ),
    )


def _folders(probe: str, names: Sequence[str]) -> str:
    """The run folders of a probe; of one day as a shell writes them at once: ``2026-11-29-occlusion-{simclr,dino}``."""
    parts = [name.partition(f"-{probe}-") for name in names]
    if len(parts) < 2 or len({(day, middle) for day, middle, _ in parts}) > 1 or not all(rest for *_, rest in parts):
        return ", ".join(names)
    return f"{parts[0][0]}{parts[0][1]}{{{','.join(rest for *_, rest in parts)}}}"
