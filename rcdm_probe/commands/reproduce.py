"""``rcdm-probe reproduce``: do the four findings of the paper hold? All probes, all encoders, one report."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rcdm_probe.commands import options
from rcdm_probe.commands.options import option
from rcdm_probe.commands.running import COLOURS, carry_out, command_line, new_console

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from rcdm_probe.reproduction import Study


@dataclass(frozen=True, kw_only=True)
class Reproduce(options.Asking):
    """Who is looked into, on what, how much is measured, and where it goes."""

    encoder: list[str] | None = option(
        None,
        "Encoder to test, may be repeated; by default all embedded ones.",
        "--encoders --encoder -e",
        metavar="NAME",
    )
    data: str = options.DATA("scenes")
    weights: list[str] | None = options.WEIGHTS_OF()
    rcdm: list[str] | None = options.RCDM_OR_NONE()
    quick: bool = option(False, "Fewer images for each probe, or as many as each takes by default.", "--quick/--full")
    seed: int = options.SEED()
    out: Path | None = options.OUT()


@options.command
def run(what: Reproduce) -> None:
    """All four findings of the paper and more, over all encoders: one report as PDF and as a page for the screen.

    Every probe leaves a run folder of its own in runs/; those that were run before with the same settings are taken and
    not run again. With --quick it takes half an hour of a processor core, shared out over those that there are;
    without, several times that.

    Stop it at any time: the same command goes on from what was done.

    [bold]Examples[/]

    rcdm-probe reproduce --quick

    rcdm-probe reproduce --encoders supervised --encoders vicreg

    rcdm-probe reproduce --encoders imagenet/supervised --encoders imagenet/vicreg --data photos/
    """
    console = new_console()
    with new_console(stderr=True).status("loading"):
        from rcdm_probe.findings_table import multiplicity
        from rcdm_probe.reproduction import conduct, prepare

    scale = "quick" if what.quick else "full"
    command = command_line("reproduce", **what.given(), seed=what.seed, out=what.out)
    asked = what.asked(f"{command} --{scale}")

    def begin() -> Study:
        study = prepare(asked, scale, what.seed)
        _tell(console, study.lacking)  # before hours are spent on the rest
        return study

    result, report = carry_out(begin, conduct, what.out, console)
    console.print(_summary(result.findings))
    console.print(multiplicity(result.findings))
    _tell(console, result.lacking)
    console.print(f"\nReport: [bold]{escape(str(report))}[/]")
    console.print(f"Page:   [bold]{escape(str(report.with_suffix('.html')))}[/]")


def _tell(console: Console, lacking: Mapping[str, str]) -> None:
    """What could not be measured, with the reason."""
    for what, why in lacking.items():
        console.print(f"\n[yellow]{escape(what)}[/] {escape(why)}")


def _summary(findings: pd.DataFrame) -> Table:
    """Every finding with every encoder, a line each, in words that fit a terminal of 80 columns."""
    from reports.tables import interval

    table = Table(title="The findings of the paper, encoder by encoder", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("finding", "encoder", "verdict", "value [95% interval]"):
        table.add_column(name, overflow="fold")
    for (finding, aspect, level), rows in findings.groupby(["finding", "aspect", "level"], sort=False):
        about = " ".join(word for word in (f"{finding}." if finding else "beyond:", aspect, level) if word)
        for place, (_, row) in enumerate(rows.iterrows()):
            word = f"[{COLOURS[row['word']]}]{row['word']}[/]"
            told = interval(row["value"], row["low"], row["high"], bound=row["bound"])
            value = "too few images" if math.isnan(row["value"]) else told
            table.add_row(about if place == 0 else "", escape(row["encoder"]), word, escape(value))
        table.add_section()
    return table
