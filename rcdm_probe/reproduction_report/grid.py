"""Every finding for every encoder, at a glance: the first page of the whole reproduction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rcdm_probe.reproduction_report.claims import CLAIMS
from reports.tables import number

if TYPE_CHECKING:
    import pandas as pd

    from rcdm_probe.reproduction_report.content import Content

_FRONT = "backbone"  # the level of the first page, where a finding is tested at several

_RULE = (
    "Each cell is one comparison that was stated before anything was measured: its word, its statistic and the 95% "
    "bootstrap interval. The sections say what each statistic is and what a word asks for, tests included, so that an "
    "interval beside 0 need not be enough; they also have all other levels."
)


def verdict_grid(content: Content) -> dict[str, Any]:
    """The grid of the first page."""
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
        references = {part.run["arguments"].get("reference") for part in content.of("adversarial")}
        if finding == 3 and encoder in references:
            return "the reference"
        levels = content.run["encoder_cards"].get(encoder, {}).get("levels", ())
        return "no projector" if finding == 2 and "projector" not in levels else "not measured"
    return {
        "word": row["word"],
        "value": number(row["value"]),
        "interval": f"[{number(row['low'])}, {number(row['high'])}]",
        "test": "",
    }
