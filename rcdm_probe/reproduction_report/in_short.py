"""The report of the reproduction in a few sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rcdm_probe.reproduction_report.claims import CLAIMS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rcdm_probe.reproduction_report.content import Content

_COUNTED = ("images", "pairs")  # what a probe's intervals are over


def in_short(content: Content) -> Iterator[str]:
    """The outcome in sentences."""
    if content.run["arguments"].get("scale") == "quick":
        counts = {
            part.probe: f"{part.probe} {part.run['arguments'][counted]} {counted}"
            for part in content.parts
            for counted in _COUNTED
            if counted in part.run["arguments"]
        }
        yield f"A quick run, over few images: {', '.join(counts.values())}. Without --quick intervals are narrower."
    if content.findings.empty:
        yield "No finding could be tested."
    counts = content.tally
    for finding, claim in CLAIMS.items():
        of_finding = counts[counts["finding"] == finding]
        clauses = []
        for _, row in of_finding.iterrows():
            what = ", ".join(word for word in (row["aspect"], row["level"]) if word)
            total = row["agrees"] + row["disagrees"] + row["open"]
            agree = "agrees" if row["agrees"] == 1 else "agree"
            disagree = "disagrees" if row["disagrees"] == 1 else "disagree"
            beside = [f"{row[name]} {word}" for name, word in (("disagrees", disagree), ("open", "open")) if row[name]]
            clauses.append(
                f"{what + ': ' if what else ''}{row['agrees']} of {total} {agree} with the paper"
                + (f" ({', '.join(beside)})" if beside else "")
            )
        if clauses:
            yield f"Finding {finding}, {claim.title.lower()}. {'; '.join(clauses)}."
