"""``rcdm-probe explore``: a page in the browser, to look at an image through encoders and to play with it."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from importlib.util import find_spec

from rich.markup import escape

from rcdm_core.errors import UserError
from rcdm_core.rcdm.choices import DEFAULT_SOLVER
from rcdm_probe.commands import options
from rcdm_probe.commands.options import option
from rcdm_probe.commands.running import command_line, new_console, tell


@dataclass(frozen=True, kw_only=True)
class Page(options.Asking):
    """Who is looked into, on what and where."""

    encoder: list[str] = options.TO_DRAW()
    data: str = options.DATA("scenes")
    level: list[str] | None = options.LEVELS()
    weights: list[str] | None = options.WEIGHTS_OF()
    rcdm: list[str] | None = options.RCDM_OR_NONE()
    port: int | None = option(None, "Port of the page; by default a free one.", min=1, max=65535, metavar="PORT")
    browser: bool = option(True, "Whether to open the page in a browser.", "--browser/--no-browser")


@dataclass(frozen=True, kw_only=True)
class How:
    """How much is drawn, in the words of `rcdm_probe.exploring.Explore`."""

    samples: int = option(2, "Pictures from each representation.", min=1, max=16, metavar="N")
    gallery: int = option(1000, "Images that neighbours are among, whose distance is the unit.", min=2, metavar="M")
    steps: int = options.STEPS(4)
    solver: str = options.SOLVER(DEFAULT_SOLVER)
    seed: int = options.SEED()


@options.command
def run(page: Page, how: How) -> None:
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
        from rcdm_probe.explore_page import serve
        from rcdm_probe.exploring import Explore, open_world
        from rcdm_probe.progress import progress_bars

    with progress_bars():
        command = command_line("explore", **page.given(), **asdict(how))
        world = open_world(page.asked(command), Explore(**asdict(how)))
    tell(world.context.images.remarks)
    address = serve(world, page.port, page.browser)
    console.print(f"Page: [bold]{escape(address)}[/] (Ctrl-C ends it)")
    threading.Event().wait()
