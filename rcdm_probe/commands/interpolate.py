"""``rcdm-probe interpolate``: what is drawn between two images."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from rcdm_probe.commands import options
from rcdm_probe.commands.running import carry_out, command_line, conclude, new_console

if TYPE_CHECKING:
    from rcdm_probe.interpolation_study import InterpolationResult


def run(
    context: typer.Context,
    encoder: options.EncoderName,
    pair: Annotated[
        list[str] | None,
        typer.Argument(
            help="Two image files, or scenes:7 for scene number 7 of the embedded ones; without them, random pairs of "
            "the data.",
            metavar="[A B]",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            "-d",
            help=f"Where pairs are drawn from, and whose images are the unit of distance: {options.DATA}.",
            metavar="DATA",
        ),
    ] = "scenes",
    level: options.Levels = None,
    weights: options.Weights = None,
    path: Annotated[
        list[str] | None,
        typer.Option(
            "--path",
            help="linear or spherical, may be repeated; by default both. Verdicts are about the first.",
            metavar="NAME",
        ),
    ] = None,
    pairs: Annotated[
        int, typer.Option("--pairs", "-n", help="Random pairs that statistics rest on.", metavar="N")
    ] = 48,
    points: Annotated[int, typer.Option("--points", "-k", help="Points of a path, both ends among them.")] = 7,
    pictures: Annotated[
        int, typer.Option("--pictures", help="Of the random pairs, those that are shown.", metavar="P")
    ] = 3,
    steps: options.Steps = options.BRIEF_STEPS,
    solver: options.Solver = options.DEFAULT_SOLVER,
    seed: options.Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            parser=options.place,
            help="Run folder; by default runs/<date>-interpolation-<encoder>.",
            metavar="FOLDER",
        ),
    ] = None,
    rcdm: options.RcdmFolders = None,
    batch_size: options.BatchSize = 128,
    device: options.Device = "auto",
) -> None:
    """What is drawn between two representations: a PDF report with verdicts on the paper's finding 4, interpolation.

    Linear and spherical paths from one image to another, beside the cross-fade of their pixels. Do factors change in
    order, do samples lie where they were drawn from?

    Leaves report.pdf, figures, tables (CSV, LaTeX), all records and run.json in the run folder.

    Stop it at any time: the same command goes on from what was done.

    [bold]Examples[/]

    rcdm-probe interpolate --encoder vicreg

    rcdm-probe interpolate scenes:0 scenes:7 --encoder dino --level backbone --points 9

    rcdm-probe interpolate cat.jpg dog.png --encoder timm/resnet18 --data photos/ --rcdm my-rcdm
    """
    if pair:
        options.refuse(context, "pairs", "pictures", because="where the two images are given")
    console = new_console()
    with new_console(stderr=True).status("loading"):
        from rcdm_probe.interpolation_study import conduct, prepare

    chosen: dict[str, Any] = {"paths": tuple(dict.fromkeys(path))} if path else {}
    sizes: dict[str, Any] = {
        "pairs": pairs,
        "points": points,
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
        pair=pair or (),
        level=level or None,
        weights=weights,
        rcdm=options.one_or_several(rcdm),
        device=device,
        command=command_line(
            "interpolate",
            positional=pair or (),
            encoder=encoder,
            data=data,
            level=level,
            weights=weights,
            path=path,
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


def _summary(result: InterpolationResult) -> Table:
    """For each level and path: do factors follow it, and do samples lie where they were drawn from?"""
    orders = result.tables["orders"].set_index(["level", "path"])
    table = Table(
        title="Spearman's correlation of readings with the position; "
        "share of samples nearer to their own point than to both ends"
    )
    for name in ("level", "path"):
        table.add_column(name, no_wrap=True)
    for name in ("Spearman", "wrong end", "own point", "by chance", "distance to it"):
        table.add_column(name, justify="right")
    for _, row in result.tables["distances"].iterrows():
        key = (row["level"], row["path"])
        order = [f"{orders.loc[key, name]:.2f}" for name in ("spearman", "wrong_end")] if key in orders.index else "––"
        placed = (f"{row[name]:.2f}" for name in ("own_point", "own_point_chance", "own"))
        table.add_row(*key, *order, *placed)
    return table
