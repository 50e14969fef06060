"""``rcdm-probe adversarial``: do small perturbations, made for the purpose, move one encoder less than another?"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from rcdm_probe.commands import options
from rcdm_probe.commands.running import carry_out, command_line, conclude, new_console

if TYPE_CHECKING:
    from rcdm_probe.adversarial_study import AdversarialResult


def run(
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            "--encoder", "-e", help="Encoder to attack, may be repeated; by default all embedded ones.", metavar="NAME"
        ),
    ] = None,
    reference: Annotated[
        str, typer.Option("--reference", help="Encoder that each other one is compared with.", metavar="NAME")
    ] = "supervised",
    data: Annotated[
        str,
        typer.Option(
            "--data",
            "-d",
            help=f"Images with classes (a folder with a subfolder for each): {options.DATA}.",
            metavar="DATA",
        ),
    ] = "scenes",
    attack: Annotated[
        list[str] | None,
        typer.Option(
            "--attack",
            "-a",
            help="FGSM, PGD, PGDL2 or AutoAttack of torchattacks, or Displacement, which needs no labels; may be "
            "repeated, the first carries the verdicts. By default PGD.",
            metavar="NAME",
        ),
    ] = None,
    eps: Annotated[
        list[str], typer.Option("--eps", help="Budgets of attacks bounded in L-inf, in 255ths.", metavar="A,B,...")
    ] = ["0.5,1,2,4"],  # noqa: B006
    eps_l2: Annotated[
        list[str],
        typer.Option(
            "--eps-l2",
            help="Budgets of attacks bounded in L2: length of a perturbation as one vector, pixels being in [0, 1].",
            metavar="A,B,...",
        ),
    ] = ["0.1,0.2,0.4,0.8"],  # noqa: B006
    attack_steps: Annotated[
        int, typer.Option("--attack-steps", help="Gradient steps of an iterated attack.", metavar="K")
    ] = 20,
    restarts: Annotated[int, typer.Option("--restarts", help="Starts of an attack; the best counts.")] = 1,
    level: Annotated[str, typer.Option("--level", "-l", help="Level under attack.", metavar="NAME")] = "backbone",
    images: Annotated[int, typer.Option("--images", "-n", help="Images that are attacked.", metavar="N")] = 500,
    training: Annotated[
        int, typer.Option("--training", help="Other images, that the linear classifier is trained on.", metavar="M")
    ] = 3000,
    rendered: Annotated[int, typer.Option("--rendered", min=0, help="Images that samples are drawn of.")] = 24,
    steps: options.Steps = options.BRIEF_STEPS,
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
    rcdm: options.RcdmFoldersOrNone = None,
    weights: options.WeightsOf = None,
    judge: Annotated[
        str | None,
        typer.Option(
            "--judge",
            help="Encoder, not under attack, that tells the class of samples through a linear classifier. It needs an "
            "RCDM; by default the embedded judge on scenes, and none on other images.",
            metavar="NAME",
        ),
    ] = None,
    batch_size: options.BatchSize = 256,
    device: options.Device = "auto",
) -> None:
    """How encoders stand adversarial perturbations: a PDF report with verdicts on the paper's finding 3.

    Leaves report.pdf, figures, tables (CSV, LaTeX), all records and run.json in the run folder.

    Stop it at any time: the same command goes on from what was done.

    [bold]Examples[/]

    rcdm-probe adversarial

    rcdm-probe adversarial --encoder vicreg --attack PGD --attack FGSM --eps 1,2,4,8

    rcdm-probe adversarial --encoder timm/resnet18 --reference vicreg --data photos/ --attack Displacement
    """
    console = new_console()
    with new_console(stderr=True).status("loading"):
        from rcdm_core.encoders.catalogue import EMBEDDED
        from rcdm_probe.adversarial_study import conduct, prepare

    attacks = tuple(dict.fromkeys(attack or ("PGD",)))
    sizes: dict[str, Any] = {
        "attack_steps": attack_steps,
        "restarts": restarts,
        "level": level,
        "images": images,
        "training": training,
        "rendered": rendered,
        "steps": steps,
        "solver": solver,
        "seed": seed,
        "batch_size": batch_size,
    }
    begin = partial(
        prepare,
        encoder or None,
        data,
        reference=reference,
        rcdm=options.one_or_several(rcdm),
        weights=options.weights_of(weights, encoder or list(EMBEDDED), others=(reference,)),
        judge=judge,
        device=device,
        command=command_line(
            "adversarial",
            encoder=encoder,
            reference=reference,
            data=data,
            attack=attacks,
            eps=",".join(eps),
            eps_l2=",".join(eps_l2),
            rcdm=rcdm,
            weights=weights,
            judge=judge,
            device=device,
            **sizes,
        ),
        attacks=attacks,
        eps=options.numbers("--eps", eps),
        eps_l2=options.numbers("--eps-l2", eps_l2),
        **sizes,
    )
    result, report = carry_out(begin, conduct, out=out, console=console)
    console.print(_summary(result, attacks[0]))
    conclude(console, result, report)


def _summary(result: AdversarialResult, attack: str) -> Table:
    """For each encoder: accuracy and displacement untouched and at every budget of the first attack."""
    rows = result.tables["robustness"]
    rows = rows[rows["condition"].isin(["", attack])].set_index(["encoder", "strength"])
    strengths = sorted(rows.index.get_level_values("strength").unique())
    table = Table(title=f"accuracy/relative displacement under {attack}, by budget")
    table.add_column("encoder", no_wrap=True)
    for strength in strengths:
        table.add_column(f"{strength:g}", justify="right")
    for name in rows.index.get_level_values("encoder").unique():
        cells = []
        for strength in strengths:
            row = rows.loc[(name, strength)]
            both = (row["accuracy"], row["relative_displacement"])
            cells.append("/".join("–" if value != value else f"{value:.2f}" for value in both))
        table.add_row(name, *cells)
    return table
