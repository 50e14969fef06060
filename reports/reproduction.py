"""The report over all findings and encoders: what the paper claims beside what was measured, agreement or not.

It is put together from finished runs of single probes, as their folders tell them (`Part`): verdicts and numbers from
their tables, figures and tables with their captions from their documents. Only what needs several encoders side by side
is drawn anew.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from analyses.findings import NEGLIGIBLE
from analyses.reproduction import COMPARISON, findings_table, tally
from probes.transformations import TRANSFORMATIONS
from reports import blocks, protocol
from reports.figures.by_encoder import draw_by_encoder
from reports.figures.grid import draw_panel
from reports.html import compile_html
from reports.provenance import plain, provenance
from reports.tables import Table, interval, number, p_value
from reports.writing import data_name, file_name, head, listed, write_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from probes.panels import Panel
    from reports.blocks import Block

CLAIMS = {
    1: (
        "The backbone is not invariant",
        "Self-supervised backbones are not invariant to the augmentations they were trained with: samples from h(T(x)) "
        "show what T did to x.",
    ),
    2: (
        "The projector is invariant",
        "Embeddings behind the projector are invariant to the training augmentations, and to many other symmetries of "
        "the data: what T did to x is gone from the samples.",
    ),
    3: (
        "Robustness",
        "Self-supervised representations move less under small adversarial perturbations of the input than supervised "
        "ones: samples from an attacked h still show the original class.",
    ),
    4: (
        "Structure",
        "Self-supervised representations have a structure that can be explored: between two images, and along single "
        "dimensions, samples change as one would expect.",
    ),
}
"""Title and claim of each finding (Bordes, Balestriero and Vincent 2022)."""

BORROWED = {
    1: (("invariance", ("training-augmentations", "factors"), ()),),
    3: (("adversarial", ("gains", "robustness", "smallest-budget", "rendered"), ("transfers",)),),
    4: (("interpolation", ("strip-1", "orders"), ()), ("manipulation", ("transplant", "side-effects"), ())),
}
"""What each finding's section takes from the runs of single probes: probe, figures, tables."""

_FRONT = "backbone"  # the level of the first page, where a finding is tested at several
_RULE = (
    "Each cell is one comparison that was stated before anything was measured: its word, its statistic and the 95% "
    "bootstrap interval. The sections say what each statistic is, and give tests and all levels."
)


@dataclass(frozen=True)
class Part:
    """A finished run of one probe, as its folder tells it.

    Attributes:
        probe: Name of the probe.
        encoders: Encoders that it measured.
        folder: The run folder.
        run: The content of its ``run.json``.
        document: Its report as plain data: the content of ``report.json``.
        tables: Its tables as numbers, by file name.
    """

    probe: str
    encoders: tuple[str, ...]
    folder: Path
    run: Mapping[str, Any]
    document: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]

    @property
    def prefix(self) -> str:
        """What its figures and tables are called by, among those of other parts."""
        return file_name("-".join([self.probe, *(self.encoders if len(self.encoders) == 1 else ())]))

    def blocks(self) -> Iterator[Block]:
        """Everything that its report shows."""
        if self.document.get("figure"):
            yield self.document["figure"]
        for section in self.document["sections"]:
            yield from section["blocks"]


@dataclass(frozen=True)
class Content:
    """Everything that the report tells.

    Attributes:
        parts: Finished runs, in the order of the findings.
        kept: One picture of what each representation keeps; None without an RCDM.
        is_ssl: Of each encoder, whether it is self-supervised.
        lacking: What could not be measured, with the reason.
        run: The content of ``run.json``.
    """

    parts: Sequence[Part]
    kept: Panel | None
    is_ssl: Mapping[str, bool]
    lacking: Mapping[str, str]
    run: Mapping[str, Any]

    @cached_property
    def findings(self) -> pd.DataFrame:
        """Every verdict beside the paper (`analyses.reproduction.findings_table`)."""
        return findings_table([part.tables.get("verdicts", pd.DataFrame()) for part in self.parts], self.is_ssl)

    @cached_property
    def printed(self) -> dict[str, Table]:
        """The tables that are made anew, by name."""
        return printed_tables(self)

    def of(self, probe: str) -> list[Part]:
        """The parts of a probe."""
        return [part for part in self.parts if part.probe == probe]


def write(folder: Path, content: Content) -> Path:
    """Write the report into a run folder as PDF and as a page (see `reports.writing`); gives the path of the PDF."""
    for name in ("figures", "tables"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    told = document(content)
    for part in content.parts:
        _copy(part, folder, told)
    path = write_report(
        folder,
        figures=figures(content),
        data={"findings": content.findings, "tally": tally(content.findings) if len(content.findings) else _NOTHING},
        verdicts=(),
        printed=content.printed.values(),
        document=told,
    )
    compile_html(told, template="report", folder=folder)
    return path


def figures(content: Content) -> Iterator[tuple[str, Figure]]:
    """The figures that are drawn anew, with their file names."""
    if content.kept is not None:
        yield "kept", draw_panel(content.kept)
    if content.of("invariance"):
        moved = pd.concat([_at_reference(part) for part in content.of("invariance")], ignore_index=True)
        measured = set(moved["condition"])
        yield (
            "by-encoder",
            draw_by_encoder(
                moved,
                labels={name: t.label for name, t in TRANSFORMATIONS.items() if name in measured},
                trained={
                    p.encoders[0]: p.run["encoder_card"]["training_augmentations"] for p in content.of("invariance")
                },
                negligible=NEGLIGIBLE,
            ),
        )


def printed_tables(content: Content) -> dict[str, Table]:
    """The tables that are made anew, by name."""
    tested = content.findings["finding"].unique() if len(content.findings) else ()
    made = [_finding_table(content, finding) for finding in CLAIMS if finding in tested]
    return {table.name: table for table in [*made, _parts_table(content)]}


def document(content: Content) -> dict[str, Any]:
    """The report as plain data, for PDF and page."""
    run, names = content.run, list(content.is_ssl)
    return {
        **head(
            run,
            title="Do the findings hold?",
            subtitle=f"The four findings of the RCDM paper on {listed(names)}, with {data_name(run)}",
            keywords=["reproduction", "invariance", "adversarial", "interpolation", "manipulation", *names],
        ),
        "verdicts": [],
        "verdict-grid": _grid(content),
        "figure": _kept_figure() if content.kept is not None else None,
        "sections": [
            blocks.section("In short", [blocks.points(_in_short(content)), *_lacking(content)]),
            *(blocks.section(f"{n}. {title}", _finding(content, n)) for n, (title, _) in CLAIMS.items()),
            blocks.section("How far the decoder can be trusted", _trust(content)),
            blocks.section("What this report cannot tell", protocol.limits(_limits())),
            blocks.section("How it was measured", _protocol(content)),
            blocks.section("Provenance", [*provenance(run), *_machines(content)], new_page=True),
        ],
    }


# Parts of the document


def _grid(content: Content) -> dict[str, Any]:
    found, names = content.findings, list(content.is_ssl)
    rows = []
    for finding, (title, _) in CLAIMS.items():
        of_finding = found[found["finding"] == finding] if len(found) else found
        for aspect, told in of_finding.groupby("aspect", sort=False) if len(of_finding) else [("", of_finding)]:
            shown = told[told["level"].isin(["", _FRONT])] if len(told) else told
            by_encoder = {row["encoder"]: row for _, row in shown.iterrows()}
            rows.append(
                {
                    "name": f"{finding}. {title}",
                    **({"about": str(aspect)} if aspect else {}),
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


def _kept_figure() -> Block:
    return blocks.figure(
        "kept",
        "What each representation keeps.",
        "First column: the image. The others: one sample from each representation of it, drawn by the RCDM from h "
        "alone; all samples of a row start from equal noise, so that a difference between two of them comes from h.",
        "What a sample has in common with its image is in h; what it has of its own, h left open.",
    )


def _in_short(content: Content) -> Iterator[str]:
    if content.findings.empty:
        yield "No finding could be tested."
        return
    counts = tally(content.findings)
    for finding, (title, _) in CLAIMS.items():
        of_finding = counts[counts["finding"] == finding]
        clauses = []
        for _, row in of_finding.iterrows():
            what = ", ".join(word for word in (row["aspect"], row["level"]) if word)
            total = row["agrees"] + row["disagrees"] + row["open"]
            beside = [f"{row[word]} {word}" for word in ("disagrees", "open") if row[word]]
            clauses.append(
                f"{what + ': ' if what else ''}{row['agrees']} of {total} agree with the paper"
                + (f" ({', '.join(beside)})" if beside else "")
            )
        if clauses:
            yield f"Finding {finding}, {title.lower()}. {'; '.join(clauses)}."


def _lacking(content: Content) -> list[Block]:
    return [blocks.missing(what, why) for what, why in content.lacking.items()]


def _finding(content: Content, finding: int) -> list[Block]:
    _, claim = CLAIMS[finding]
    out = [blocks.text(f"The paper: {claim}")]
    name = f"finding-{finding}"
    if name not in content.printed:
        return [*out, blocks.missing("This finding was not tested.", "The reason stands in short above.")]
    out.append(blocks.table(content.printed[name]))
    if finding == 2 and content.of("invariance"):
        out.append(_by_encoder_figure())
    for probe, wanted, tables in BORROWED.get(finding, ()):
        for part in content.of(probe):
            out += _borrowed(part, wanted, tables)
    return out


def _by_encoder_figure() -> Block:
    return blocks.figure(
        "by-encoder",
        "How far each transformation moves h, encoder by encoder.",
        "Distance from h(x) to h(T(x)) over the median distance between two different images at that level, each "
        "transformation at its reference dose: medians over images with 95% bootstrap intervals. Filled where the "
        "encoder was trained with the transformation. The grey band is what a verdict calls negligible, the dashed "
        "line the distance of another image.",
        "A level that is invariant to a transformation has its mark in the grey band. Finding 2 is that the orange "
        "marks lie left of the blue ones.",
    )


def _trust(content: Content) -> list[Block]:
    parts = content.of("fidelity")
    if not parts:
        return [blocks.missing("The decoder was not measured.", "That needs an RCDM of the encoders.")]
    out = [
        blocks.text(
            "A sample shows what h holds only as far as the decoder can draw it. Here one sample of each image is "
            "encoded again, and the place of the h it was drawn from is sought among those of many images."
        )
    ]
    for part in parts:
        names = [
            block["path"].split("/")[-1].removesuffix(".svg") for block in part.blocks() if block["kind"] == "figure"
        ]
        tables = [block["name"] for block in part.blocks() if block["kind"] == "table"]
        out += _borrowed(part, names, tables)
    return out


def _borrowed(part: Part, wanted: Sequence[str], tables: Sequence[str]) -> Iterator[Block]:
    """Figures and tables of a part, under names of its own, with the encoder in their lead where it measured one."""
    whose = f"{part.encoders[0]}. " if len(part.encoders) == 1 else ""
    for block in part.blocks():
        if block["kind"] == "figure" and (name := _figure_name(block)) in wanted:
            yield {**block, "path": f"figures/{part.prefix}-{name}.svg", "lead": whose + block["lead"]}
        elif block["kind"] == "table" and block["name"] in tables:
            yield {**block, "name": f"{part.prefix}-{block['name']}", "lead": whose + block["lead"]}


def _figure_name(block: Block) -> str:
    return block["path"].removeprefix("figures/").removesuffix(".svg")


def _copy(part: Part, folder: Path, told: Mapping[str, Any]) -> None:
    """Copy what the document borrows of a part: figures in both formats, tables in both formats."""
    for section in told["sections"]:
        for block in section["blocks"]:
            if block["kind"] == "figure" and _figure_name(block).startswith(f"{part.prefix}-"):
                ours = _figure_name(block)
                for ending in ("svg", "png"):
                    theirs = part.folder / "figures" / f"{ours.removeprefix(part.prefix + '-')}.{ending}"
                    shutil.copyfile(theirs, folder / "figures" / f"{ours}.{ending}")
            elif block["kind"] == "table" and block["name"].startswith(f"{part.prefix}-"):
                for ending in ("tex", "csv"):
                    theirs = part.folder / "tables" / f"{block['name'].removeprefix(part.prefix + '-')}.{ending}"
                    if theirs.is_file():
                        shutil.copyfile(theirs, folder / "tables" / f"{block['name']}.{ending}")


def _limits() -> list[str]:
    return [
        protocol.OF_SAMPLES,
        protocol.OF_READOUTS,
        protocol.OF_SCENES,
        "One training of each encoder. Two trainings of one method differ too; an agreement or a disagreement here is "
        "that of these weights.",
        protocol.OF_INTERVALS,
    ]


def _protocol(content: Content) -> list[Block]:
    return [
        blocks.text(
            "Each finding was measured by its own probe, in a run folder of its own with a report that gives the "
            "protocol in full; this report gathers them. Where a run with the same arguments, weights, data and code "
            "was there already, it was taken and not run again."
        ),
        blocks.table(content.printed["parts"]),
    ]


def _machines(content: Content) -> list[Block]:
    hashes: dict[str, str] = {}
    for part in content.parts:
        for name, value in part.run.get("hashes", {}).items():
            if value and value not in hashes.values():  # an RCDM that all share is named once
                hashes[f"{part.prefix}: SHA-256 of {name}"] = value
    return [blocks.pairs(hashes)]


# Tables


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
            f"Beside the paper: whether that agrees with its claim; {COMPARISON} where the claim is not about such an "
            "encoder."
        ),
        columns=(
            "encoder",
            *(("aspect",) if several else ()),
            *(("level",) if levels else ()),
            "verdict",
            "value [95% interval]",
            "p",
            "images",
            "beside the paper",
        ),
        rows=tuple(
            (
                row["encoder"],
                *((row["aspect"],) if several else ()),
                *((row["level"],) if levels else ()),
                row["word"],
                interval(row["value"], row["low"], row["high"]),
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
        columns=("run folder", "probe", "encoders", "time, s", "memory, GB"),
        rows=tuple(
            (
                part.folder.name,
                part.probe,
                ", ".join(part.encoders),
                plain(part.run["seconds"]),
                plain(part.run["peak_memory_gb"]),
            )
            for part in content.parts
        ),
    )


def _at_reference(part: Part) -> pd.DataFrame:
    """The displacement table of an invariance run, each transformation at its reference dose, with its encoder."""
    table = part.tables["displacement"]
    references = table["condition"].map({name: t.reference for name, t in TRANSFORMATIONS.items()})
    return table[table["strength"] == references].assign(encoder=part.encoders[0])


_NOTHING = pd.DataFrame()
