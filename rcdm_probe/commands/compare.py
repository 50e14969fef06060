"""``rcdm-probe compare``: finished runs of one probe side by side, paired by image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich import box
from rich.markup import escape
from rich.table import Table

from rcdm_core.errors import legible
from rcdm_probe.commands import options
from rcdm_probe.commands.running import carry_out, command_line, new_console

SHOWN = 30  # rows of the terminal's table


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is compared, and where the report goes."""

    folders: list[str] = options.argument(
        ..., "Folders of finished runs, two to nine, the baseline first.", metavar="RUN"
    )
    out: Path | None = options.OUT()


@options.command
def run(asked: Asked) -> None:
    """Compare finished runs of one probe: two encoders, two checkpoints of a training, two seeds; nothing is run again.

    Numbers of the same image are paired: the difference of each run to the first, the baseline, with its interval and
    p, and the verdicts side by side. p is corrected for all numbers at once. Each run is compared with the first in
    what both have (transformations, budgets, levels), on the images of all, at least 20; the rest is told. Give the
    runs the same --data, --seed and --images, so that they see the same images. Runs of generate are pictures, and
    not compared.

    Leaves report.pdf, report.html, figures, tables (CSV, LaTeX), records and run.json in the run folder.

    [bold]Examples[/]

    rcdm-probe invariance --encoder vicreg --rcdm none --out runs/vicreg

    rcdm-probe invariance --encoder simclr --rcdm none --out runs/simclr

    rcdm-probe compare runs/vicreg runs/simclr
    """
    console = new_console()
    with new_console(stderr=True).status("loading"):
        from rcdm_probe.comparison import conduct, prepare
        from rcdm_probe.comparison_report import difference, in_short, label, paired
        from reports.names import words
        from reports.tables import number

    command = command_line("compare", positional=asked.folders, out=asked.out)
    result, report = carry_out(partial(prepare, asked.folders, command), conduct, asked.out, console)
    for name, of in result.runs.items():
        console.print(escape(legible(f"{name}: {'+'.join(of.encoders)}, {of.folder}")))
    every = result.tables["differences"]
    first = every[every["measure"] == every["measure"].iloc[0]]
    clearest = first.loc[first.sort_values("p_value", kind="stable").index[:SHOWN]].sort_index()
    title = f"{label(result, first['measure'].iloc[0])}, over all doses in common: run minus A, {paired(result)}"
    title += f", the {SHOWN} clearest of {len(first)}" if len(first) > SHOWN else ""
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("", "run", "A", "run's", "difference [95%]", "is"):
        table.add_column(heading, overflow="fold")
    for _, row in clearest.iterrows():
        about = ", ".join(filter(None, (row["encoder"], row["level"], words(row["condition"]))))
        cells = (row["run"], number(row["baseline"]), number(row["value"]), difference(row), row["outcome"])
        table.add_row(*map(escape, (about, *cells)))
    console.print(table)
    for sentence in in_short(result):
        console.print(escape(sentence))
    console.print(f"\nReport: [bold]{escape(legible(str(report)))}[/]")
