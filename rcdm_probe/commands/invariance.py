"""``rcdm-probe invariance``: does the encoder keep what a transformation changes? Backbone beside projector."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rcdm_probe.commands import options

if TYPE_CHECKING:
    from rcdm_probe.invariance_study import InvarianceResult

_COLOURS = {"supported": "green", "not supported": "red", "inconclusive": "yellow"}


def run(
    encoder: options.EncoderName,
    data: Annotated[
        str,
        typer.Option("--data", "-d", help="scenes (embedded), a folder of images, or a torchvision data set by name."),
    ] = "scenes",
    level: options.Levels = None,
    weights: options.Weights = None,
    transformation: Annotated[
        list[str] | None,
        typer.Option("--transformation", "-t", help="Transformation to apply, may be repeated; by default all."),
    ] = None,
    images: Annotated[int, typer.Option("--images", "-n", help="Images that statistics rest on.", metavar="N")] = 500,
    gallery: Annotated[int, typer.Option("--gallery", help="Images among which ranks are taken.", metavar="M")] = 2000,
    steps: options.Steps = options.DEFAULT_STEPS,
    solver: options.Solver = options.DEFAULT_SOLVER,
    seed: options.Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Run folder; by default runs/<date>-invariance-<encoder>.", metavar="FOLDER"),
    ] = None,
    rcdm: options.RcdmFolder = None,
    batch_size: options.BatchSize = 128,
    device: options.Device = "auto",
) -> None:
    """What an encoder keeps of thirteen transformations: a PDF report with verdicts on the paper's findings 1 and 2.

    Leaves report.pdf, figures, tables (CSV, LaTeX), all records and run.json in the run folder.

    Stop it at any time: the same command goes on from what was done.

    [bold]Examples[/]

    rcdm-probe invariance --encoder vicreg

    rcdm-probe invariance --encoder simclr --data photos/ --images 1000 --out simclr-photos

    rcdm-probe invariance --encoder timm/resnet18 --level layer2 --level layer4 --data photos/
    """
    console = Console(highlight=False, soft_wrap=True)
    with Console(stderr=True).status("loading"):
        from rcdm_probe import runs
        from rcdm_probe.invariance_study import conduct, prepare
        from rcdm_probe.progress import progress_bars

    chosen = {"transformations": tuple(dict.fromkeys(transformation))} if transformation else {}
    sizes = {
        "images": images,
        "gallery": gallery,
        "steps": steps,
        "solver": solver,
        "seed": seed,
        "batch_size": batch_size,
    }
    with progress_bars() as progress:
        study = prepare(
            encoder,
            data,
            level=level or None,
            weights=weights,
            rcdm=rcdm,
            device=device,
            command=_command_line(
                encoder=encoder,
                data=data,
                level=level or [],
                weights=weights,
                transformation=transformation or [],
                rcdm=rcdm,
                device=device,
                **sizes,
            ),
            progress=progress,
            **chosen,
            **sizes,
        )
        folder = runs.begin(study.facts, out=out)
        if folder.resumed:
            console.print(f"going on in {escape(str(folder.folder))}")
        result = conduct(replace(study, facts=folder.facts), workdir=folder.parts, progress=progress)
        folder.close()
        for _ in progress(range(1), "writing the report", 1):
            report = result.save(folder.folder)
        folder.finish()
    console.print(_summary(result))
    for verdict in result.verdicts:
        colour = _COLOURS[verdict.word]
        console.print(f"\nFinding {verdict.finding}: [bold {colour}]{verdict.word}[/]. {escape(verdict.sentence)}")
    skipped = result.run["data_card"]["skipped"]
    if skipped:
        console.print(f"\n[yellow]{skipped} files could not be read and were left out; run.json lists them[/]")
    console.print(f"\nReport: [bold]{escape(str(report))}[/]")


def _command_line(**arguments: Any) -> str:
    """The command with every argument spelled out, so that it stays true when a default changes."""
    words = ["rcdm-probe", "invariance"]
    for name, value in arguments.items():
        values = value if isinstance(value, list) else [] if value is None else [value]
        for item in values:
            words += [f"--{name.replace('_', '-')}", str(item)]
    return shlex.join(words)


def _summary(result: InvarianceResult) -> Table:
    """For each transformation at its reference dose: how far each level moves, and whether one can tell."""
    from analyses.by_image import reference_strengths

    reference = reference_strengths(result.records)
    moved = result.tables["displacement"]
    moved = moved[moved["strength"] == moved["condition"].map(reference)].set_index(["condition", "level"])
    told = result.tables["readability"].set_index(["condition", "level"])
    levels = list(dict.fromkeys(result.tables["displacement"]["level"]))
    table = Table(title="relative displacement (0 unchanged, 1 another image) and AUC of telling that it was applied")
    table.add_column("transformation", no_wrap=True)
    for name in levels:
        table.add_column(f"{name}: moves", justify="right")
        table.add_column("AUC", justify="right")
    for condition in reference:
        cells = []
        for name in levels:
            row = moved.loc[(condition, name)]
            interval = f"[{row['relative_displacement_low']:.2f}, {row['relative_displacement_high']:.2f}]"
            cells += [f"{row['relative_displacement']:.2f} {interval}", f"{told.loc[(condition, name), 'auc']:.2f}"]
        table.add_row(condition.replace("_", " "), *cells)
    return table
