"""``rcdm-probe sample``: pictures drawn from the representations of given images."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.markup import escape

from rcdm_core.errors import UserError, legible
from rcdm_core.rcdm.choices import DEFAULT_SOLVER, DEFAULT_STEPS
from rcdm_probe.commands import options
from rcdm_probe.commands.options import option
from rcdm_probe.commands.running import new_console, tell

_SOFTWARE, _OURS = 0x0131, "rcdm-probe sample"  # the entry of a picture's metadata by which it is known again
_MARKED = ("PNG", "JPEG", "WEBP", "TIFF")  # formats that have such an entry
_LEAST_SIDE = 128  # dots: smaller pictures are enlarged, each pixel to a square


@dataclass(frozen=True, kw_only=True)
class Sample(options.Asking):
    """What is drawn of what."""

    images: list[str] = options.argument(
        ..., "Image files, or scenes:7 for scene number 7 of the embedded ones.", metavar="IMAGE..."
    )
    encoder: str = options.ENCODER(...)
    level: str = options.LEVEL("backbone")
    weights: str | None = options.WEIGHTS()
    samples: int = option(8, "Pictures for each image.", min=1, max=1000, metavar="K")
    out: Path = option(
        Path("samples.png"),
        "Picture to write; in the place of an older one of this command, of nothing else.",
        "-o",
        parser=options.place,
        metavar="FILE",
    )
    guided: bool = option(
        False, "Steer samples towards the representation: what they show then, the RCDM missed.", "--guided"
    )
    rcdm: list[str] | None = options.RCDM()


@dataclass(frozen=True, kw_only=True)
class How:
    """How is drawn, in the words of `rcdm_core.rcdm.RCDM.sample`."""

    steps: int | None = options.STEPS(
        None,
        help=f"Solver steps for each picture; by default {DEFAULT_STEPS}, or those that the RCDM was distilled to.",
    )
    solver: str | None = options.SOLVER(
        None, help=f"{options.SOLVED} By default {DEFAULT_SOLVER}, or that of a distilled RCDM."
    )
    seed: int = options.SEED()


@options.command
def run(what: Sample, how: How) -> None:
    """Draw pictures from the representation of images: what all of a row share is what the encoder keeps.

    The first column is the image itself, the others are drawn from its representation alone.

    Every row starts from the same noise, so that rows differ by their representations only.

    [bold]Examples[/]

    rcdm-probe sample scenes:0 scenes:7 --encoder vicreg

    rcdm-probe sample photo.jpg --encoder simclr --level projector --samples 12 --out photo-simclr.png

    rcdm-probe sample scenes:0 --encoder vicreg --guided --out guided.png
    """
    from PIL import Image

    known = Image.registered_extensions()  # of formats that can be read and of those that can be written
    _check_picture(what.out, {ending for ending, kind in known.items() if kind in Image.SAVE})

    import torch

    from rcdm_core.data.registry import open_given
    from rcdm_core.encoders.soundness import refuse_without_gradients
    from rcdm_core.images import resize
    from rcdm_core.kept import atomic_path
    from rcdm_core.rcdm.guidance import distance_to_h
    from rcdm_core.representations import encode
    from rcdm_probe.opening import open_asked
    from rcdm_probe.progress import progress_bars
    from reports.figures.grid import compose

    level, samples, out = what.level, what.samples, what.out
    with progress_bars():
        opened = open_asked(what.asked(), decoder="must")
        (network,), (decoder,) = opened.encoders, opened.decoders.values()
        if what.guided:
            refuse_without_gradients(network, level)
        shown = open_given(what.images, image_size=max(network.image_size, decoder.image_size))
        tell(shown.remarks)
        pixels = shown.images
        h, originals = encode(network, pixels)[level], resize(pixels, decoder.image_size)
        drawn = decoder.sample(
            h.repeat_interleave(samples, 0),
            f"{network.name}/{level}",
            noise=decoder.noise(samples, seed=how.seed).repeat(len(originals), 1, 1, 1),
            **asdict(how),
            guide=distance_to_h(network, level) if what.guided else None,
        )
    rows = torch.cat([originals[:, None], drawn.unflatten(0, (len(originals), samples))], 1)
    scale = max(1, _LEAST_SIDE // decoder.image_size)
    picture = Image.fromarray(compose(rows.numpy(), scale))
    picture.getexif()[_SOFTWARE] = _OURS
    try:
        with atomic_path(out) as temporary:
            picture.save(temporary, exif=picture.getexif())
    except OSError as error:
        raise UserError(f"cannot write {out} ({error.strerror or error})", "choose another file with --out") from error
    console = new_console()
    of_what = "one image" if len(originals) == 1 else f"each of {len(originals)} images"
    console.print(f"{escape(legible(str(out)))}: {samples} {'sample' if samples == 1 else 'samples'} of {of_what}")


def _check_picture(out: Path, known: Collection[str]) -> None:
    """Complain about the output file before an hour is spent on its content."""
    from PIL import Image

    if out.suffix.lower() not in known:
        raise UserError(f"the ending of {out} names no format to write", "use .png, .jpg, .tiff or .webp")
    if not out.parent.is_dir():
        raise UserError(f"cannot write {out} (no folder {out.parent})", "choose another file with --out")
    if not out.exists():
        return
    is_ours = False
    try:
        if out.is_file():
            with Image.open(out, formats=_MARKED) as picture:
                is_ours = picture.getexif().get(_SOFTWARE) == _OURS
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        pass  # no picture of ours
    if not is_ours:
        raise UserError(f"{out} is there already and no picture of this command", "choose another file with --out")
