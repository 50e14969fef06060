"""The report over all findings and encoders: what the paper claims beside what was measured, agreement or not.

It is put together from finished runs of single probes, as their folders tell them (`reports.finished`): verdicts and
numbers from their tables, figures and tables with their captions from their documents.

Those of several encoders stand side by side: one figure, one table, each with one caption. A figure is drawn anew where
its probe says how (`probes.probe.Show.across`); else those of the runs stand beside each other, panels drawn anew at a
smaller size. The rows of a table follow each other, each with its encoder.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from probes.probe import Show
from rcdm_probe.findings_table import CLAIMS, COMPARISON, findings_table, multiplicity, tally
from rcdm_probe.known_probes import load_probe
from reports import blocks, phrases
from reports.blocks import figure_name
from reports.finished import joined
from reports.names import data_name, file_name, listed, told_apart
from reports.provenance import head, plain, provenance
from reports.tables import Table, interval, p_value
from reports.verdicts import split_interval
from reports.writing import write_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure

    from probes.probe import Probe
    from reports.blocks import Block
    from reports.finished import FinishedRun
    from reports.panels import Panel

SENTENCES = "sentences"  # of the verdicts, among the names of what is shown
ALONE = {"largest": 11.0}  # mm: size of a panel, as `reports.figures.grid.draw_panel` takes it,
BESIDE = {"largest": 7.0, "width": 54.0}  # and where several stand side by side, at most a third of a line each
_FRONT = "backbone"  # the level of the first page, where a finding is tested at several

_RULE = (
    "Each cell is one comparison that was stated before anything was measured: its word, its statistic and the 95% "
    "bootstrap interval. The sections say what each statistic is and what a word asks for, tests included, so that an "
    "interval beside 0 need not be enough; they also have all other levels."
)


class Shown(NamedTuple):
    """A block of the report, and what it needs beside it.

    Attributes:
        block: As the document has it.
        draw: Draws its figures anew: file name -> how.
        table: Its table as read.
        numbers: The same in full precision.
        pictures: Figures to be copied into the folder: file name there -> where it is, both without ending.
    """

    block: Block
    draw: Mapping[str, Callable[[], Figure]] = {}
    table: Table | None = None
    numbers: pd.DataFrame | None = None
    pictures: Mapping[str, Path] = {}


@dataclass(frozen=True)
class Content:
    """What a reproduction found.

    Attributes:
        parts: The finished run of every probe, in the order of the findings.
        kept: One picture of what each representation keeps; None without an RCDM.
        is_ssl: Of each encoder, whether it is self-supervised; None if not known.
        lacking: What could not be measured, with the reason.
        run: The content of ``run.json``.
    """

    parts: Sequence[FinishedRun]
    kept: Panel | None
    is_ssl: Mapping[str, bool | None]
    lacking: Mapping[str, str]
    run: dict[str, Any]

    @cached_property
    def findings(self) -> pd.DataFrame:
        """Every verdict of every probe, beside what the paper claims (`rcdm_probe.findings_table.findings_table`)."""
        verdicts = [
            part.tables["verdicts"].assign(reference=part.run["arguments"].get("reference", ""))
            for part in self.parts
            if "verdicts" in part.tables
        ]
        return findings_table(verdicts, self.is_ssl)

    @cached_property
    def tally(self) -> pd.DataFrame:
        """How many encoders agree with the paper (`rcdm_probe.findings_table.tally`)."""
        return tally(self.findings)

    @cached_property
    def shown(self) -> dict[int, dict[str, list[Shown]]]:
        """What the section of each finding shows of each probe; 0: what is beyond the paper."""
        return {
            finding: {name: list(side_by_side(load_probe(name), runs, finding)) for name, runs in self.runs.items()}
            for finding in (*CLAIMS, 0)
        }

    @cached_property
    def runs(self) -> dict[str, list[FinishedRun]]:
        """The runs of each probe, by its name."""
        names = dict.fromkeys(part.probe for part in self.parts)
        return {name: [part for part in self.parts if part.probe == name] for name in names}


def side_by_side(probe: Probe, runs: Sequence[FinishedRun], finding: int) -> Iterator[Shown]:
    """What the section of a finding shows of a probe; 0: what is beyond the paper."""
    told = [run.shown() for run in runs]
    every = dict.fromkeys(key for shown in told for key in shown)
    if finding == 0 and 0 not in probe.shown_in and not findings_of(probe):
        wanted = [("", SENTENCES), *every]
    else:  # of a figure and a table of one name, the figure
        known = {name: kind for kind, name in sorted(every, reverse=True)}
        told_of = (name.rpartition(" ") for name in probe.shown_in.get(finding, ()))
        wanted = [(kind or known.get(name, ""), name) for kind, _, name in told_of]
    for kind, name in wanted:
        if name == SENTENCES:
            yield from _sentences(probe, runs)
        own = [(run, shown[kind, name]) for run, shown in zip(runs, told, strict=True) if (kind, name) in shown]
        if own:
            yield from (_figure if kind == "figure" else _tables)(probe, name, own)


def findings_of(probe: Probe) -> list[int]:
    """Findings of the paper that a probe belongs to, in order; none where it is beyond the paper."""
    return sorted({*probe.finding.values(), *probe.shown_in} - {0})


def _sentences(probe: Probe, runs: Sequence[FinishedRun]) -> Iterator[Shown]:
    said = [sentence for run in runs if "verdicts" in run.tables for sentence in run.tables["verdicts"]["sentence"]]
    if said:
        yield Shown(blocks.text(f"What the words of {probe.name} rest on:"))
        yield Shown(blocks.points(said))


def said_of(told: Mapping[str, str]) -> str:
    """What is said of several encoders, by their names, sentence by sentence: once, where it is the same for all."""
    texts = {name: re.split(r"(?<=[.?!]) ", text) for name, text in told.items()}
    longest = max(map(len, texts.values()))
    said = []
    for place in range(longest):
        names: dict[str, list[str]] = {}
        for name, sentences in texts.items():
            names.setdefault(sentences[place] if place < len(sentences) else "", []).append(name)
        one = next(iter(names))
        said += [one] if len(names) == 1 else [f"Of {listed(of)}: {text}" for text, of in names.items() if text]
    return " ".join(said)


def _figure(probe: Probe, name: str, own: Sequence[tuple[FinishedRun, Block]]) -> Iterator[Shown]:
    runs = [run for run, _ in own]
    shows = (
        show for shows in probe.page.values() for show in shows if isinstance(show, Show) and show.kind == "figure"
    )
    across = next((show.across for show in shows if file_name(show.name) == name and show.across), None)
    if across is not None and len(own) > 1:
        caption = probe.wording.caption(f"across {name}", {})
        block = blocks.figure(f"{probe.name}-{name}", caption.lead, caption.text, caption.how)
        yield Shown(block, draw={figure_name(block): lambda: across(runs)})
        return
    names = told_apart([f"{run.prefix}-{name}" for run in runs])
    theirs = {ours: (run, figure_name(block)) for ours, (run, block) in zip(names, own, strict=True)}
    panels = {ours: panel for ours, (run, called) in theirs.items() if (panel := run.panel(called)) is not None}
    draw = {ours: partial(panel.figure, **(ALONE if len(own) == 1 else BESIDE)) for ours, panel in panels.items()}
    pictures = {ours: run.folder / "figures" / called for ours, (run, called) in theirs.items() if ours not in draw}
    told = [said_of({listed(run.encoders): block[part] for run, block in own}) for part in ("lead", "text", "how")]
    if len(own) == 1:
        shown = blocks.figure(names[0], *told)
    else:
        shown = blocks.figures({ours: run.encoders[0] for ours, run in zip(names, runs, strict=True)}, *told)
    yield Shown(shown, draw=draw, pictures=pictures)


def _tables(probe: Probe, name: str, own: Sequence[tuple[FinishedRun, Block]]) -> Iterator[Shown]:
    """One table, or several where encoders have other columns."""
    by_columns: dict[tuple[str, ...], list[tuple[FinishedRun, Block]]] = {}
    for run, block in own:
        by_columns.setdefault(tuple(block["columns"]), []).append((run, block))
    for place, (columns, told) in enumerate(by_columns.items()):
        runs, several = [run for run, _ in told], len(own) > 1
        table = Table(
            name=f"{probe.name}-{name}" + f"-{place + 1}" * (place > 0),
            caption=said_of({listed(run.encoders): f"{of['lead']} {of['text']}".strip() for run, of in told}),
            columns=("encoder", *columns) if several else columns,
            rows=tuple(
                (*run.encoders, *row) if several else tuple(row) for run, block in told for row in block["rows"]
            ),
        )
        numbers = [run.tables[name] for run in runs if name in run.tables]
        yield Shown(
            blocks.table(table),
            table=table,
            numbers=joined(runs, name) if several and numbers else next(iter(numbers), None),
        )


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
        **head(run, title=title, subtitle=subtitle, keywords=["reproduction", *content.runs, *content.is_ssl]),
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
        **split_interval(interval(row["value"], row["low"], row["high"], bound=row["bound"])),
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
            interval(row["value"], row["low"], row["high"], bound=row["bound"]) for _, row in rows.iterrows()
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
            "more, by Holm over every verdict of this report that has one and is not of too few images."
        ),
        columns=tuple(columns),
        rows=tuple(zip(*columns.values(), strict=True)),
    )


def rules(content: Content, finding: int) -> Iterator[str]:
    """What is tested of a finding, and by which rule; the aspects that have one in common together."""
    rows = content.findings[content.findings["finding"] == finding]
    by_rule: dict[str, list[str]] = {}
    for aspect, told in rows.groupby("aspect", sort=False):
        statistic = said_of(
            {row["encoder"]: f"{row['statistic'].removeprefix(f'{aspect}: ')}." for _, row in told.iterrows()}
        )
        of_aspect = f"{f'{aspect}: '.capitalize() if aspect else ''}{statistic}"
        by_rule.setdefault(said_of(dict(zip(told["encoder"], told["rule"], strict=True))), []).append(of_aspect)
    for rule, aspects in by_rule.items():
        yield f"{' '.join(aspects)} {'One rule for all. ' if len(aspects) > 1 else ''}{rule}"


def parts_table(content: Content) -> Table:
    """The runs of each probe, with the time that they took."""
    return Table(
        name="parts",
        caption=(
            "The runs that this report is made of. Each run folder holds the report of its probe, with all its "
            "figures, tables and records."
        ),
        columns=("probe", "run folders", "time, s"),
        rows=tuple(
            (name, _folders(name, [run.folder.name for run in own]), plain(sum(run.run["seconds"] for run in own)))
            for name, own in content.runs.items()
        ),
    )


def _folders(probe: str, names: Sequence[str]) -> str:
    """The run folders of a probe; of one day as a shell writes them at once: ``2026-11-29-occlusion-{simclr,dino}``."""
    parts = [name.partition(f"-{probe}-") for name in names]
    if len(parts) < 2 or len({(day, middle) for day, middle, _ in parts}) > 1 or not all(rest for *_, rest in parts):
        return ", ".join(names)
    return f"{parts[0][0]}{parts[0][1]}{{{','.join(rest for *_, rest in parts)}}}"
