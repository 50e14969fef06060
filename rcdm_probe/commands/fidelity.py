"""``rcdm-probe fidelity``: how far is the decoder to be trusted, and what do solver and steps change?"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from rcdm_probe.commands import options
from rcdm_probe.commands.running import carry_out, command_line, conclude, new_console

if TYPE_CHECKING:
    import pandas as pd

    from rcdm_probe.fidelity_study import FidelityResult


def run(
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            "--encoder",
            "-e",
            help="Encoder to draw from, may be repeated; by default all embedded ones.",
            metavar="NAME",
        ),
    ] = None,
    data: options.Data = "scenes",
    level: options.Levels = None,
    weights: options.WeightsOf = None,
    features: options.Features = None,
    images: Annotated[
        int, typer.Option("--images", "-n", help="Images that one sample is drawn of, each.", metavar="N")
    ] = 72,
    gallery: Annotated[int, typer.Option("--gallery", help="Images among which ranks are taken.", metavar="M")] = 2000,
    compared: Annotated[
        int,
        typer.Option(
            "--compared", min=0, help="Training images that samples are held beside, to find copies; 0 for none."
        ),
    ] = 5000,
    swept_images: Annotated[
        int, typer.Option("--swept-images", min=0, help="Images on which solvers and steps are compared; 0 for none.")
    ] = 20,
    swept_level: Annotated[
        str | None,
        typer.Option(
            "--swept-level",
            help="Where solvers are compared; by default vicreg/backbone, where it is drawn from, else the first "
            "level.",
            metavar="ENCODER/LEVEL",
        ),
    ] = None,
    steps: options.Steps = options.DEFAULT_STEPS,
    solver: options.Solver = options.DEFAULT_SOLVER,
    seed: options.Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            parser=options.place,
            help="Run folder; by default in runs/, by date and encoders.",
            metavar="FOLDER",
        ),
    ] = None,
    rcdm: options.RcdmFolders = None,
    batch_size: options.BatchSize = 128,
    device: options.Device = "auto",
) -> None:
    """How far what is drawn from a representation is to be trusted: a PDF report on the decoder itself.

    Ranks of the image that a sample was drawn of, Frechet distance, precision and recall beside real images, whether
    samples are copies of training images, and what solver and number of steps change.

    Leaves report.pdf, figures, tables (CSV, LaTeX), all records and run.json in the run folder.

    --features inception gives FID and the Inception score. It needs the package torch-fidelity and, in the cache folder
    (~/.cache/rcdm-probe), weights-inception-2015-12-05-6726825d.pth of its release v0.2.0 (see docs/mathematics.md).

    Stop it at any time: the same command goes on from what was done.

    [bold]Examples[/]

    rcdm-probe fidelity

    rcdm-probe fidelity --encoder vicreg --encoder supervised --level backbone --images 500

    rcdm-probe fidelity --encoder timm/resnet18 --data photos/ --rcdm my-rcdm --features inception
    """
    console = new_console()
    with new_console(stderr=True).status("loading"):
        from rcdm_core.encoders.catalogue import EMBEDDED
        from rcdm_probe.fidelity_study import conduct, prepare

    sizes: dict[str, Any] = {
        "images": images,
        "gallery": gallery,
        "compared": compared,
        "swept_images": swept_images,
        "swept_level": swept_level,
        "steps": steps,
        "solver": solver,
        "seed": seed,
        "batch_size": batch_size,
    }
    begin = partial(
        prepare,
        encoder or None,
        data,
        weights=options.weights_of(weights, encoder or list(EMBEDDED)),
        features=features,
        rcdm=options.one_or_several(rcdm),
        device=device,
        command=command_line(
            "fidelity",
            encoder=encoder,
            data=data,
            level=level,
            weights=weights,
            features=features,
            rcdm=rcdm,
            device=device,
            **sizes,
        ),
        levels=tuple(dict.fromkeys(level)) if level else None,
        **sizes,
    )
    result, report = carry_out(begin, conduct, out=out, console=console)
    console.print(_summary(result))
    console.print(f"\n{escape(_trust(result))}")
    conclude(console, result, report)


def _trust(result: FidelityResult) -> str:
    from reports.fidelity import trust

    return trust(result.content)


def _summary(result: FidelityResult) -> Table:
    """For each level: ranks, distance from real images, precision and recall."""
    from probes.records import REAL
    from reports.tables import number

    card = result.run["features_card"]
    title = f"one sample of each of {result.run['study_card']['images']} images"
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("pictures", no_wrap=True)
    for heading in ("MRR", "median rank", card["distance"], "precision", "recall"):
        table.add_column(heading, justify="right", no_wrap=heading in ("MRR", card["distance"]))
    ranks = result.tables["ranks"].set_index(["encoder", "level"])
    for _, row in result.tables["sets"].iterrows():
        place = (row["encoder"], row["level"])
        own = ("–", "–")
        if row["encoder"] != REAL:
            own = (_stacked(ranks.loc[place], "mrr"), number(ranks.loc[place]["median_rank"], 0))
        others = (number(row[name]) for name in ("precision", "recall"))
        table.add_row(" ".join(place).strip(), *own, _stacked(row, "frechet"), *others)
    return table


def _stacked(row: pd.Series, name: str) -> str:
    """A number, and its interval below: six columns fit a terminal."""
    from reports.tables import cell

    return cell(row, name).replace(" [", "\n[", 1)
