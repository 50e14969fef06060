"""The report of the reproduction: its first page, a section for each finding, and what its numbers cannot tell."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from rcdm_probe.findings_table import multiplicity
from rcdm_probe.known_probes import load_probe
from rcdm_probe.reproduction_report.claims import CLAIMS
from rcdm_probe.reproduction_report.joining import ALONE
from rcdm_probe.reproduction_report.tables import finding_table, parts_table, rules, verdict_grid
from reports import blocks, phrases
from reports.names import data_name, listed
from reports.provenance import head, provenance
from reports.writing import write_report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.figure import Figure

    from rcdm_probe.reproduction_report.content import Content
    from reports.blocks import Block
    from reports.tables import Table


def write(folder: Path, content: Content) -> Path:
    """Write the report into a run folder (see `reports.writing`); gives the path of the PDF."""
    shown = [one for probes in content.shown.values() for several in probes.values() for one in several]
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name, theirs in ((name, theirs) for one in shown for name, theirs in one.pictures.items()):
        for ending in ("svg", "png"):
            shutil.copyfile(theirs.with_name(f"{theirs.name}.{ending}"), folder / "figures" / f"{name}.{ending}")
    return write_report(
        folder,
        {
            "findings": content.findings,
            "tally": content.tally,
            **{one.table.name: one.numbers for one in shown if one.table and one.numbers is not None},
        },
        printed_tables(content) | {one.table.name: one.table for one in shown if one.table},
        figures=_figures(content),
        document=document(content),
    )


def printed_tables(content: Content) -> dict[str, Table]:
    """The tables that are made anew, by name."""
    made = [finding_table(content, finding) for finding in (*CLAIMS, 0)]
    return {table.name: table for table in (*made, parts_table(content)) if table is not None}


def _figures(content: Content) -> Iterator[tuple[str, Figure]]:
    """The figures that are drawn anew, with their file names."""
    if content.kept is not None:
        yield "kept", content.kept.figure(**ALONE)
    for probes in content.shown.values():
        for one in (one for several in probes.values() for one in several):
            yield from ((name, draw()) for name, draw in one.draw.items())


def document(content: Content) -> dict[str, Any]:
    """The report as plain data, for PDF and page."""
    run, (title, subtitle) = content.run, titles(content)
    return {
        **head(run, title=title, subtitle=subtitle, keywords=["reproduction", *content.probes, *content.is_ssl]),
        "cards": [],  # they stand at the end
        "floating": True,
        "verdicts": [],
        "verdict-grid": verdict_grid(content),
        "figure": _kept_figure() if content.kept is not None else None,
        "sections": [
            blocks.section(
                "In short",
                [
                    blocks.points(in_short(content)),
                    *(blocks.missing(what, why) for what, why in content.lacking.items()),
                ],
            ),
            *(blocks.section(f"{n}. {told.title}", list(_finding(content, n))) for n, told in CLAIMS.items()),
            *(blocks.section("Beyond the paper", told) for told in [list(_beyond(content))] if told),
            blocks.section("What this report cannot tell", [blocks.points(limits(content))]),
            blocks.section(
                "How it was measured",
                [
                    blocks.text(
                        "Every run of a probe has a folder of its own, with a report that gives the protocol in full; "
                        "this report gathers them. Where a run with the same arguments, weights, data and code was "
                        "there already, it was taken and not run again."
                    ),
                    blocks.table(parts_table(content)),
                ],
            ),
            blocks.section("Provenance", provenance(run)),
        ],
    }


def titles(content: Content) -> tuple[str, str]:
    """What the report is about, and on what."""
    on = f"{listed(list(content.is_ssl))}, with {data_name(content.run)}"
    return "Do the findings hold?", f"The four findings of the RCDM paper on {on}"


def _kept_figure() -> Block:
    return blocks.figure(
        "kept",
        "What each representation keeps.",
        "First column: the image. The others: one sample from each representation of it, drawn by the RCDM from h "
        "alone; all samples of a row start from equal noise, so that a difference between two of them comes from h (an "
        "RCDM that draws at another size has noise of its own).",
        "What samples from h have in common with the image, h told them. What a sample has of its own, h left open or "
        "the decoder did not draw; chance alone makes some of one sample alike.",
    )


def in_short(content: Content) -> Iterator[str]:
    """The outcome in sentences."""
    if content.run["arguments"].get("scale") == "quick":
        yield "A quick run, over few images, as column n of each table says. Without --quick intervals are narrower."
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
    if counted := multiplicity(content.findings):
        yield counted


def _finding(content: Content, finding: int) -> Iterator[Block]:
    """One finding, over all encoders."""
    _, claim, tested = CLAIMS[finding]
    yield blocks.text(f"The paper: {claim} Tested here: {tested}")
    table = finding_table(content, finding)
    if table is None:
        yield blocks.missing("This finding was not tested.", "The reason stands in short above.")
        return
    yield blocks.points(rules(content, finding))
    yield blocks.table(table)
    for shown in content.shown[finding].values():
        yield from (one.block for one in shown)


def _beyond(content: Content) -> Iterator[Block]:
    """What probes found of which the paper says nothing."""
    for name, shown in content.shown[0].items():
        if shown:
            first = load_probe(name).about.partition("\n\n")[0]
            yield blocks.text(f"{name.capitalize()}. {' '.join(first.split())}")
            yield from (one.block for one in shown)
    if (table := finding_table(content, 0)) is not None:
        yield blocks.points(rules(content, 0))
        yield blocks.table(table)


def limits(content: Content) -> list[str]:
    """What the numbers do not show."""
    return [
        phrases.OF_SAMPLES,
        phrases.OF_READOUTS,
        *phrases.of_images(content.run),
        *phrases.of_scenes(content.run),
        f"{phrases.OF_INTERVALS} An agreement or a disagreement with the paper is that of these weights.",
    ]
