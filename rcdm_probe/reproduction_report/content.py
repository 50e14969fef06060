"""What a reproduction found, from the finished runs of its probes; of each, what it found on several encoders.

That stands side by side: one figure, one table, each with one caption. A figure is drawn anew where its probe says how
(`probes.probe.Show.across`); else those of the runs stand beside each other, panels drawn anew at a smaller size. The
rows of a table follow each other, each with its encoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from probes.probe import Show
from rcdm_probe.findings_table import CLAIMS, findings_table, tally
from rcdm_probe.known_probes import load_probe
from reports import blocks
from reports.blocks import figure_name
from reports.finished import joined
from reports.names import file_name
from reports.tables import Table

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
        runs = {name: [part for part in self.parts if part.probe == name] for name in self.probes}
        return {
            finding: {name: list(side_by_side(load_probe(name), runs[name], finding)) for name in self.probes}
            for finding in (*CLAIMS, 0)
        }

    @property
    def probes(self) -> list[str]:
        """Names of the probes that were run, each once."""
        return list(dict.fromkeys(part.probe for part in self.parts))


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


def _figure(probe: Probe, name: str, own: Sequence[tuple[FinishedRun, Block]]) -> Iterator[Shown]:
    runs = [run for run, _ in own]
    across = next((show.across for show in _shows(probe) if file_name(show.name) == name and show.across), None)
    if across is not None and len(own) > 1:
        caption = probe.wording.caption(f"across {name}", {})
        block = blocks.figure(f"{probe.name}-{name}", caption.lead, caption.text, caption.how)
        yield Shown(block, draw={figure_name(block): lambda: across(runs)})
        return
    names = [f"{run.prefix}-{name}" for run in runs]
    theirs = {ours: (run, figure_name(block)) for ours, (run, block) in zip(names, own, strict=True)}
    panels = {ours: panel for ours, (run, called) in theirs.items() if (panel := run.panel(called)) is not None}
    draw = {ours: partial(panel.figure, **(ALONE if len(own) == 1 else BESIDE)) for ours, panel in panels.items()}
    pictures = {ours: run.folder / "figures" / called for ours, (run, called) in theirs.items() if ours not in draw}
    block = max((block for _, block in own), key=lambda block: len(block["text"]))  # with every level that any has
    told = block["lead"], block["text"], block["how"]
    if len(own) == 1:
        shown = blocks.figure(names[0], *told)
    else:
        shown = blocks.figures({ours: run.encoders[0] for ours, run in zip(names, runs, strict=True)}, *told)
    yield Shown(shown, draw=draw, pictures=pictures)


def _shows(probe: Probe) -> Iterator[Show]:
    return (show for shows in probe.page.values() for show in shows if isinstance(show, Show) and show.kind == "figure")


def _tables(probe: Probe, name: str, own: Sequence[tuple[FinishedRun, Block]]) -> Iterator[Shown]:
    """One table, or several where encoders have other columns."""
    by_columns: dict[tuple[str, ...], list[tuple[FinishedRun, Block]]] = {}
    for run, block in own:
        by_columns.setdefault(tuple(block["columns"]), []).append((run, block))
    for number, (columns, told) in enumerate(by_columns.items()):
        runs, several = [run for run, _ in told], len(own) > 1
        table = Table(
            name=f"{probe.name}-{name}" + f"-{number + 1}" * (number > 0),
            caption=f"{told[0][1]['lead']} {told[0][1]['text']}".strip(),
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
