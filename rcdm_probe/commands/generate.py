"""``rcdm-probe generate``: pictures without an image to start from, drawn from between neighbouring representations."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from rcdm_probe.commands import options
from rcdm_probe.commands.running import carry_out, command_line, conclude, new_console

if TYPE_CHECKING:
    from rcdm_probe.neighbourhood_study import NeighbourhoodResult


def run(
    encoder: options.EncoderName,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            "-d",
            help=f"Whose representations are combined, and what pictures are compared with: {options.DATA}.",
            metavar="DATA",
        ),
    ] = "scenes",
    level: options.Levels = None,
    weights: options.Weights = None,
    count: Annotated[int, typer.Option("--count", "-n", help="Pictures of each kind.", metavar="N")] = 256,
    gallery: Annotated[
        int, typer.Option("--gallery", help="Images whose representations are combined.", metavar="M")
    ] = 2000,
    neighbours: Annotated[
        int, typer.Option("--neighbours", "-k", help="Nearest neighbours, one of which is combined with.", metavar="K")
    ] = 5,
    features: options.Features = None,
    steps: options.Steps = options.BRIEF_STEPS,
    solver: options.Solver = options.DEFAULT_SOLVER,
    seed: options.Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            parser=options.place,
            help="Run folder; by default runs/<date>-neighbourhood-<encoder>.",
            metavar="FOLDER",
        ),
    ] = None,
    rcdm: options.RcdmFolders = None,
    batch_size: options.BatchSize = 128,
    device: options.Device = "auto",
) -> None:
    """Pictures without an image to start from, drawn from between neighbouring representations: finding 4 once more.

    They stand beside pictures drawn from representations of real images, and from a Gaussian fitted to them: how near
    to real images (Frechet distance), how varied, how near to known images.

    Leaves report.pdf, figures, tables (CSV, LaTeX), all records and run.json in the run folder.

    Stop it at any time: the same command goes on from what was done.

    [bold]Examples[/]

    rcdm-probe generate --encoder vicreg --level backbone

    rcdm-probe generate --encoder timm/resnet18 --data photos/ --rcdm my-rcdm --count 200
    """
    console = new_console()
    with new_console(stderr=True).status("loading"):
        from rcdm_probe.neighbourhood_study import conduct, prepare

    sizes: dict[str, Any] = {
        "count": count,
        "gallery": gallery,
        "neighbours": neighbours,
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
        features=features,
        weights=weights,
        rcdm=options.one_or_several(rcdm),
        device=device,
        command=command_line(
            "generate",
            encoder=encoder,
            data=data,
            level=level,
            weights=weights,
            features=features,
            rcdm=rcdm,
            device=device,
            **sizes,
        ),
        **sizes,
    )
    result, report = carry_out(begin, conduct, out=out, console=console)
    console.print(_summary(result))
    conclude(console, result, report)


def _summary(result: NeighbourhoodResult) -> Table:
    """For each level and kind: distance from real images, and diversity."""
    table = Table(title="pictures beside real images")
    for name in ("level", "drawn from"):
        table.add_column(name, no_wrap=True)
    for name in (result.distance, "diversity", "nearest image"):
        table.add_column(name, justify="right")
    for _, row in result.tables["kinds"].iterrows():
        numbers = (f"{row[name]:.2f}" for name in ("frechet", "diversity", "nearest"))
        table.add_row(row["level"] or "–", row["kind"], *numbers)
    return table
