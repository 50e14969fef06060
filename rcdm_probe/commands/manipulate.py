"""``rcdm-probe manipulate``: what can be taken out of a representation, put in and turned, and what it draws then."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from rcdm_probe.commands import options
from rcdm_probe.commands.running import carry_out, command_line, conclude, new_console

if TYPE_CHECKING:
    from rcdm_probe.manipulation_study import ManipulationResult


def run(
    context: typer.Context,
    encoder: options.EncoderName,
    image: Annotated[
        str | None,
        typer.Argument(
            help="Image file, or scenes:7 for scene number 7 of the embedded ones; without it, many of the data.",
            metavar="[IMAGE]",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", help="Image to take dimensions from; by default one of the data.", metavar="IMAGE"),
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            "-d",
            help=f"Where neighbours are sought, and where images to manipulate come from: {options.DATA}.",
            metavar="DATA",
        ),
    ] = "scenes",
    level: options.Levels = None,
    weights: options.Weights = None,
    images: Annotated[
        int, typer.Option("--images", "-n", help="Images of the data that are manipulated.", metavar="N")
    ] = 40,
    gallery: Annotated[int, typer.Option("--gallery", help="Images among which neighbours are.", metavar="M")] = 2000,
    moved: Annotated[
        int, typer.Option("--moved", help="Of these, those moved along the directions of factors.", min=1)
    ] = 18,
    samples: Annotated[
        int | None,
        typer.Option(
            "--samples", help="Pictures from each representation; by default 1, and 8 for a given image.", metavar="K"
        ),
    ] = None,
    neighbours: Annotated[
        int, typer.Option("--neighbours", "-k", help="Neighbours that tell what an image has in common with them.")
    ] = 20,
    shared: Annotated[
        int, typer.Option("--shared", help="A dimension is common where it is active in more of them than this.")
    ] = 14,
    quantile: Annotated[
        float,
        typer.Option(
            "--quantile", help="Where few numbers are zero, a dimension is active beyond this quantile.", metavar="Q"
        ),
    ] = 0.7,
    strengths: Annotated[
        list[str],
        typer.Option(
            "--strengths",
            help="How far to move along a direction, in standard deviations of its readout.",
            metavar="A,B,...",
        ),
    ] = ["-3,-1.5,1.5,3"],  # noqa: B006
    steps: options.Steps = options.BRIEF_STEPS,
    solver: options.Solver = options.DEFAULT_SOLVER,
    seed: options.Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            parser=options.place,
            help="Run folder; by default runs/<date>-manipulation-<encoder>.",
            metavar="FOLDER",
        ),
    ] = None,
    rcdm: options.RcdmFolders = None,
    batch_size: options.BatchSize = 128,
    device: options.Device = "auto",
) -> None:
    """What can be taken out of a representation, put in, turned: a PDF report with verdicts on the paper's finding 4.

    Dimensions that an image shares with its nearest neighbours are removed, or put into the representation of another
    image, beside as many random ones; and representations are moved along the directions of known factors, with what
    else changes on the way.

    Leaves report.pdf, figures, tables (CSV, LaTeX), all records and run.json in the run folder.

    Stop it at any time: the same command goes on from what was done.

    [bold]Examples[/]

    rcdm-probe manipulate --encoder vicreg

    rcdm-probe manipulate scenes:0 --target scenes:7 --encoder dino --level backbone --strengths -2,-1,1,2

    rcdm-probe manipulate cat.jpg --target dog.png --encoder timm/resnet18 --data photos/ --rcdm my-rcdm
    """
    if image:
        options.refuse(context, "images", "moved", because="where the image is given")
    console = new_console()
    with new_console(stderr=True).status("loading"):
        from rcdm_probe.manipulation_study import conduct, prepare

    sizes: dict[str, Any] = {
        "images": images,
        "gallery": gallery,
        "moved": moved,
        **({} if samples is None else {"samples": samples}),
        "neighbours": neighbours,
        "shared": shared,
        "quantile": quantile,
        "steps": steps,
        "solver": solver,
        "seed": seed,
        "batch_size": batch_size,
    }
    begin = partial(
        prepare,
        encoder,
        data,
        image=image,
        target=target,
        level=level or None,
        weights=weights,
        rcdm=options.one_or_several(rcdm),
        device=device,
        command=command_line(
            "manipulate",
            positional=[image] if image else [],
            target=target,
            encoder=encoder,
            data=data,
            level=level,
            weights=weights,
            rcdm=rcdm,
            device=device,
            strengths=",".join(strengths),
            **sizes,
        ),
        strengths=options.numbers("--strengths", strengths),
        **sizes,
    )
    result, report = carry_out(begin, conduct, out=out, console=console)
    console.print(_summary(result))
    conclude(console, result, report)


def _summary(result: ManipulationResult) -> Table:
    """For each level: the share of the way to the target by common and by random dimensions."""
    from analyses.manipulation import ALL, ENCODED

    transplant = result.tables["transplant"]
    table = Table(title="share of the way to the target, by dimensions put into h")
    for name in ("level", "read from"):
        table.add_column(name, no_wrap=True)
    for name in ("common", "as many random", "random, as far"):
        table.add_column(name, justify="right")
    for _, row in transplant[transplant["factor"].isin((ALL, ENCODED))].iterrows():
        table.add_row(row["level"], row["factor"], *(f"{row[name]:.2f}" for name in ("common", "random", "far")))
    return table
