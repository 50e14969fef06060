"""``rcdm-probe explore``: a page in the browser, to look at an image through encoders and to play with it."""

from __future__ import annotations

import threading
from importlib.util import find_spec
from typing import Annotated

import typer
from rich.markup import escape

from rcdm_core.errors import UserError
from rcdm_core.rcdm.choices import DEFAULT_SOLVER
from rcdm_probe.commands import options
from rcdm_probe.commands.running import command_line, new_console, tell


def run(
    encoders: options.EncodersToDraw,
    data: options.Data = "scenes",
    level: options.Levels = None,
    weights: options.WeightsOf = None,
    samples: Annotated[int, typer.Option(min=1, max=16, help="Pictures from each representation.", metavar="N")] = 2,
    gallery: Annotated[
        int, typer.Option(min=2, help="Images that neighbours are among, whose distance is the unit.", metavar="M")
    ] = 1000,
    steps: options.Steps = 4,
    solver: options.Solver = DEFAULT_SOLVER,
    seed: options.Seed = 0,
    rcdm: options.RcdmFoldersOrNone = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the page; by default a free one.", metavar="PORT")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Whether to open the page in a browser.")] = True,
    device: options.Device = "auto",
    threads: options.Threads = None,
) -> None:
    r"""Change an image by a slider in the browser, and see what each level makes of it, encoders side by side.

    Drop an image or pick one of the data's. Transform it, go to a second one, remove or transplant common dimensions,
    or push it by an attack: how far h moves, what is drawn of it, and which images are nearest.

    The page is served to this machine alone, and nothing leaves it. It needs gradio:
    pip install 'rcdm-probe\[explore]'.

    [bold]Examples[/]

    rcdm-probe explore --encoder vicreg

    rcdm-probe explore --encoder vicreg --encoder supervised --samples 1

    rcdm-probe explore --encoder timm/resnet18 --data photos/ --rcdm my-rcdm
    """
    if find_spec("gradio") is None:
        raise UserError("explore needs the package gradio", "pip install 'rcdm-probe[explore]'")
    console = new_console()
    with new_console(stderr=True).status("loading"):
        from rcdm_probe.device import choose_device
        from rcdm_probe.explore_page import serve
        from rcdm_probe.exploring import Explore, open_world
        from rcdm_probe.progress import progress_bars

    told = {"encoder": encoders, "data": data, "level": level, "weights": weights, "samples": samples, "rcdm": rcdm}
    command = command_line("explore", **told, gallery=gallery, steps=steps, solver=solver, seed=seed, device=device)
    with progress_bars():
        world = open_world(
            encoders,
            data,
            rcdm=options.one_or_several(rcdm),
            weights=options.weights_of(weights, encoders),
            device=choose_device(device),
            settings=Explore(
                levels=tuple(level) if level else None,
                samples=samples,
                gallery=gallery,
                steps=steps,
                solver=solver,
                seed=seed,
            ),
            command=command,
        )
    tell(world.context.images.remarks)
    address = serve(world, port=port, browser=browser)
    console.print(f"Page: [bold]{escape(address)}[/] (Ctrl-C ends it)")
    threading.Event().wait()
