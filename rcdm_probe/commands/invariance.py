"""``rcdm-probe invariance``: does the encoder keep what a transformation changes? Backbone beside projector."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from rcdm_probe.commands import options
from rcdm_probe.commands.running import carry_out, command_line, conclude, new_console

if TYPE_CHECKING:
    from rcdm_probe.invariance_study import InvarianceResult


def run(
    encoder: options.EncoderName,
    data: options.Data = "scenes",
    level: options.Levels = None,
    weights: options.Weights = None,
    transformation: Annotated[
        list[str] | None,
        typer.Option(
            "--transformation",
            "-t",
            help=f"Transformation to apply, may be repeated; by default all: {', '.join(options.TRANSFORMATIONS)}.",
            metavar="NAME",
        ),
    ] = None,
    images: Annotated[int, typer.Option("--images", "-n", help="Images that statistics rest on.", metavar="N")] = 500,
    gallery: Annotated[int, typer.Option("--gallery", help="Images among which ranks are taken.", metavar="M")] = 2000,
    rendered: Annotated[
        int,
        typer.Option("--rendered", help="Of --images, those off whose samples factors are read.", min=1, metavar="N"),
    ] = 100,
    varied: Annotated[
        int, typer.Option("--varied", help="Of --images, those of which several samples are drawn.", min=2, metavar="N")
    ] = 16,
    samples: Annotated[int, typer.Option("--samples", help="Samples of each of these.", min=2, metavar="K")] = 6,
    pictures: Annotated[
        int, typer.Option("--pictures", help="Images that are shown with their samples.", min=1, metavar="P")
    ] = 8,
    steps: options.Steps = options.BRIEF_STEPS,
    solver: options.Solver = options.DEFAULT_SOLVER,
    seed: options.Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            parser=options.place,
            help="Run folder; by default runs/<date>-invariance-<encoder>.",
            metavar="FOLDER",
        ),
    ] = None,
    rcdm: options.RcdmFoldersOrNone = None,
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
    console = new_console()
    with new_console(stderr=True).status("loading"):
        from rcdm_probe.invariance_study import conduct, prepare

    chosen: dict[str, Any] = {"transformations": tuple(dict.fromkeys(transformation))} if transformation else {}
    sizes: dict[str, Any] = {
        "images": images,
        "gallery": gallery,
        "rendered": rendered,
        "varied": varied,
        "samples": samples,
        "pictures": pictures,
        "steps": steps,
        "solver": solver,
        "seed": seed,
        "batch_size": batch_size,
    }
    begin = partial(
        prepare,
        encoder,
        data,
        level=level or None,
        weights=weights,
        rcdm=options.one_or_several(rcdm),
        device=device,
        command=command_line(
            "invariance",
            encoder=encoder,
            data=data,
            level=level,
            weights=weights,
            transformation=transformation,
            rcdm=rcdm,
            device=device,
            **sizes,
        ),
        **chosen,
        **sizes,
    )
    result, report = carry_out(begin, conduct, out=out, console=console)
    console.print(_summary(result))
    conclude(console, result, report)


def _summary(result: InvarianceResult) -> Table:
    """For each transformation at its reference dose: how far each level moves, and whether one can tell."""
    from analyses.invariance import reference_strengths
    from analyses.wording import words

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
        table.add_row(words(condition), *cells)
    return table
