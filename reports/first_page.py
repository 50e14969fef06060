"""What the first page of a report begins with: its title, the cards of encoder and data, and its verdicts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from reports.provenance import front_cards
from reports.tables import decisive, number, p_equals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from analyses.findings import Verdict


def head(run: Mapping[str, Any], *, title: str, subtitle: str, keywords: Iterable[str]) -> dict[str, Any]:
    """How a document begins: title, what made it and when, and the cards of the first page.

    Args:
        run: The content of ``run.json``.
        title: What the report is about.
        subtitle: What was measured, and on what.
        keywords: Of the PDF, beside the probe and its encoders.
    """
    return {
        "title": title,
        "subtitle": subtitle,
        "made-by": f"rcdm-probe {run.get('versions', {}).get('rcdm-probe', '')}".strip(),
        "keywords": ["rcdm-probe", *keywords],
        "started": run.get("started"),
        "cards": [card for card in front_cards(run) if card["rows"]],
    }


def verdict_box(verdict: Verdict, *, counted: str = "images") -> dict[str, str]:
    """A verdict as the box of the first page shows it.

    Args:
        verdict: The finding tested.
        counted: What its ``n`` are.
    """
    return {
        "word": verdict.word,
        "claim": f"{verdict.heading}. {verdict.claim}",
        "sentence": verdict.sentence,
        **_estimate(verdict),
        "test": next(_test(verdict), "by its interval"),
        "images": f"{verdict.n} {counted}",
        "rule": verdict.rule,
    }


def _estimate(verdict: Verdict) -> dict[str, str]:
    digits = decisive(verdict.low, verdict.high)
    low, high = (number(end, digits) for end in (verdict.low, verdict.high))
    return {"value": number(verdict.value, digits), "interval": f"[{low}, {high}]"}


def _test(verdict: Verdict) -> Iterator[str]:
    """The p-value, where there is one."""
    if math.isfinite(verdict.p_value):
        yield f"p {p_equals(verdict.p_value)}"


def verdict_cell(verdict: Verdict | None) -> dict[str, str] | str:
    """A verdict as one cell of a grid of verdicts; None where the finding was not tested there."""
    if verdict is None:
        return "not measured"
    return {
        "word": verdict.word,
        **_estimate(verdict),
        "test": ", ".join([*_test(verdict), f"{verdict.n} images"]),
    }
