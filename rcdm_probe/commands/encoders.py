"""``rcdm-probe encoders``: which encoders there are, and whether their weights are here."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table


def run() -> None:
    """List the encoders: how they were trained, their levels with dimensions, where their weights are."""
    from rcdm_core.encoders import ENCODERS

    table = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    for heading in ("encoder", "method", "levels (dimensions)", "weights", "here"):
        table.add_column(heading, no_wrap=heading in ("encoder", "here"))
    for name, entry in ENCODERS.items():
        levels = ", ".join(f"{level} ({size})" for level, size in entry.dimensions.items())
        table.add_row(name, entry.method, levels, entry.weights, "[green]yes[/]" if entry.here() else "[red]no[/]")
    Console(highlight=False).print(table)
