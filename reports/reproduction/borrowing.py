"""What the report of the reproduction takes from the reports of single probes, and its copying."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from reports.blocks import Block
    from reports.reproduction.part import Part


def borrowed(part: Part, wanted: Sequence[str], tables: Sequence[str]) -> Iterator[Block]:
    """Figures and tables of a part, under names of its own, with the encoder in their lead where it measured one."""
    whose = f"{part.encoders[0]}. " if len(part.encoders) == 1 else ""
    for block in part.blocks():
        if block["kind"] == "figure" and (name := figure_name(block)) in wanted:
            yield {**block, "path": f"figures/{part.prefix}-{name}.svg", "lead": whose + block["lead"]}
        elif block["kind"] == "table" and block["name"] in tables:
            yield {**block, "name": f"{part.prefix}-{block['name']}", "lead": whose + block["lead"]}


def copy_borrowed(part: Part, folder: Path, told: Mapping[str, Any]) -> None:
    """Copy into a run folder what its document borrows of a part: figures and tables, each in both formats."""
    for name in ("figures", "tables"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for section in told["sections"]:
        for block in section["blocks"]:
            if block["kind"] == "figure" and figure_name(block).startswith(f"{part.prefix}-"):
                ours = figure_name(block)
                for ending in ("svg", "png"):
                    theirs = part.folder / "figures" / f"{ours.removeprefix(part.prefix + '-')}.{ending}"
                    shutil.copyfile(theirs, folder / "figures" / f"{ours}.{ending}")
            elif block["kind"] == "table" and block["name"].startswith(f"{part.prefix}-"):
                for ending in ("tex", "csv"):
                    theirs = part.folder / "tables" / f"{block['name'].removeprefix(part.prefix + '-')}.{ending}"
                    if theirs.is_file():
                        shutil.copyfile(theirs, folder / "tables" / f"{block['name']}.{ending}")


def figure_name(block: Block) -> str:
    """A figure's file name, without ending."""
    return block["path"].removeprefix("figures/").removesuffix(".svg")
