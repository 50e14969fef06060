"""What the report of the reproduction takes from the reports of single probes, and its copying."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from rcdm_probe.reproduction_report.part import Part
    from reports.blocks import Block


def borrowed(part: Part, wanted: Sequence[str], tables: Sequence[str]) -> Iterator[Block]:
    """Figures and tables of a part, under names of its own, with the encoder in their lead where it measured one."""
    whose = f"{part.encoders[0]}. " if len(part.encoders) == 1 else ""
    for block in part.blocks():
        if block["kind"] == "figure" and (name := figure_name(block)) in wanted:
            yield {**block, "path": f"figures/{_ours(part, name)}.svg", "lead": whose + block["lead"]}
        elif block["kind"] == "table" and block["name"] in tables:
            yield {**block, "name": _ours(part, block["name"]), "lead": whose + block["lead"]}


def copy_borrowed(part: Part, folder: Path, told: Mapping[str, Any]) -> None:
    """Copy into a run folder what its document borrows of a part: figures and tables, each in both formats."""
    for name in ("figures", "tables"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    shown = [block for section in told["sections"] for block in section["blocks"]]
    figures = {figure_name(block) for block in shown if block["kind"] == "figure"}
    tables = {block["name"] for block in shown if block["kind"] == "table"}
    for block in part.blocks():
        if block["kind"] == "figure" and (ours := _ours(part, figure_name(block))) in figures:
            for ending in ("svg", "png"):
                theirs = part.folder / "figures" / f"{figure_name(block)}.{ending}"
                shutil.copyfile(theirs, folder / "figures" / f"{ours}.{ending}")
        elif block["kind"] == "table" and (ours := _ours(part, block["name"])) in tables:
            for ending in ("tex", "csv"):
                theirs = part.folder / "tables" / f"{block['name']}.{ending}"
                if theirs.is_file():
                    shutil.copyfile(theirs, folder / "tables" / f"{ours}.{ending}")


def _ours(part: Part, name: str) -> str:
    """What a figure or table of a part is called in the report that borrows it."""
    return f"{part.prefix}-{name}"


def figure_name(block: Block) -> str:
    """A figure's file name, without ending."""
    return block["path"].removeprefix("figures/").removesuffix(".svg")
