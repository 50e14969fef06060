"""``rcdm-probe sample``: pictures drawn from the representations of given images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from rcdm_core.errors import UserError
from rcdm_probe.commands import options

if TYPE_CHECKING:
    import torch

_SCENE = "scenes:"
_LEAST_SIDE = 128  # dots: smaller pictures are enlarged, each pixel to a square


def run(
    images: Annotated[
        list[str],
        typer.Argument(help="Image files, or scenes:7 for scene number 7 of the embedded ones.", metavar="IMAGE..."),
    ],
    encoder: options.EncoderName,
    level: options.Level = "backbone",
    weights: options.Weights = None,
    samples: Annotated[int, typer.Option("--samples", min=1, help="Pictures for each image.", metavar="K")] = 8,
    out: Annotated[Path, typer.Option("--out", "-o", help="Picture to write.", metavar="FILE")] = Path("samples.png"),
    steps: options.Steps = options.DEFAULT_STEPS,
    solver: options.Solver = options.DEFAULT_SOLVER,
    seed: options.Seed = 0,
    rcdm: options.RcdmFolder = None,
    device: options.Device = "auto",
) -> None:
    """Draw pictures from the representation of images: what all of a row share is what the encoder keeps.

    The first column is the image itself, the others are drawn from its representation alone.

    Every row starts from the same noise, so that rows differ by their representations only.

    [bold]Examples[/]

    rcdm-probe sample scenes:0 scenes:7 --encoder vicreg

    rcdm-probe sample photo.jpg --encoder simclr --level projector --samples 12 --out photo-simclr.png
    """
    from PIL import Image

    _check_picture(out, Image.registered_extensions())

    import torch

    from rcdm_core.images import resize
    from rcdm_core.representations import encode
    from rcdm_probe.device import choose_device
    from rcdm_probe.preparation import open_encoder, open_rcdm
    from rcdm_probe.progress import progress_bars
    from reports.decoder import REMEDY, training_command
    from reports.figures.grid import compose

    place = choose_device(device)
    with progress_bars() as progress:
        network, levels = open_encoder(encoder, level=level, weights=weights, device=place, progress=progress)
        decoder = open_rcdm(rcdm, network, levels, device=place, progress=progress)
        if decoder is None:
            command = training_command(encoder, levels, weights)
            raise UserError(f"no RCDM draws from {encoder}/{level}", f"{REMEDY}, and give it with --rcdm: {command}")
        pixels = [_read(spec, max(network.image_size, decoder.image_size)) for spec in images]
        h = torch.cat([encode(network, image[None])[level] for image in pixels])
        originals = torch.cat([resize(image[None], decoder.image_size) for image in pixels])
        drawn = decoder.sample(
            h.repeat_interleave(samples, 0),
            f"{network.name}/{level}",
            noise=decoder.noise(samples, seed=seed).repeat(len(originals), 1, 1, 1),
            steps=steps,
            solver=solver,
            seed=seed,
            progress=progress,
        )
    rows = torch.cat([originals[:, None], drawn.unflatten(0, (len(originals), samples))], 1)
    scale = max(1, _LEAST_SIDE // decoder.image_size)
    try:
        Image.fromarray(compose(rows.numpy(), scale)).save(out)
    except OSError as error:
        raise UserError(f"cannot write {out} ({error.strerror})", "choose another file with --out") from error
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{escape(str(out))}: {len(originals)} images, {samples} pictures of each")


def _check_picture(out: Path, known: dict[str, str]) -> None:
    """Complain about the output file before an hour is spent on its content."""
    if out.suffix.lower() not in known:
        raise UserError(f"cannot tell the format of {out} by its ending", "use .png, .jpg, .tiff or .webp")
    if not out.parent.is_dir():
        raise UserError(f"cannot write {out} (no folder {out.parent})", "choose another file with --out")


def _read(spec: str, size: int) -> torch.Tensor:
    """An image ``[3, size, size]`` from a file, or a scene by number, which is always 32 pixels wide."""
    from rcdm_core.data.registry import open_scenes
    from rcdm_core.data.scenes import SIZE
    from rcdm_core.images import read_square

    if not spec.startswith(_SCENE):
        return read_square(Path(spec).expanduser(), size)
    scenes, number = open_scenes("test", image_size=SIZE), spec.removeprefix(_SCENE)
    if not number.isdecimal() or int(number) >= len(scenes):
        raise UserError(f"there is no scene {number!r}", f"scenes have numbers from 0 to {len(scenes) - 1}")
    return scenes.images([int(number)])[0]
