"""``rcdm-probe convert``: a checkpoint of the published RCDM code, in the layout that everything here reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

from rcdm_core.errors import UserError
from rcdm_probe.commands import options
from rcdm_probe.commands.options import option
from rcdm_probe.commands.running import new_console


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is converted, and to what."""

    file: Path = options.argument(..., "State dict of the published code (.pt, or .safetensors).", metavar="FILE")
    out: Path = option(..., "Folder to write.", "-o", parser=options.place, metavar="FOLDER")
    config: Path | None = option(
        None,
        "Settings of its training: a JSON object with the option names of the published code. By default those of the "
        "published 128 x 128 models.",
        metavar="JSON",
    )
    encoder: str | None = option(
        None, "Encoder that it was trained on; by default as the name of a published file says.", "-e", metavar="NAME"
    )
    level: str | None = option(None, "Level that it was trained on; by default likewise.", "-l", metavar="NAME")


@options.command
def run(asked: Asked) -> None:
    """Convert a checkpoint of the published RCDM code (facebookresearch/RCDM), to draw with it.

    The folder is in the layout of diffusers: unet/ and scheduler/, heads.safetensors and the card rcdm.json beside.

    Every tensor is used, or the conversion fails and names those that are missing or left over.

    A config tells what tensors do not show: [cyan]{"image_size": 64, "num_heads": 4}[/]. The rest of it is checked.

    [bold]Examples[/]

    rcdm-probe convert rcdm_ema_vicreg_trunk.pt --out rcdm-vicreg

    rcdm-probe convert my.pt --config my.json --encoder timm/resnet50 --out my-rcdm

    rcdm-probe sample photo.jpg --encoder timm/resnet50 --rcdm my-rcdm
    """
    with new_console(stderr=True).status("converting"):
        from rcdm_core.json_files import json_object
        from rcdm_core.rcdm import save_rcdm
        from rcdm_core.rcdm.published import condition_of, read_checkpoint
        from rcdm_probe import runs

        out = asked.out
        _check_new(out)
        named_encoder, _, named_level = condition_of(asked.file).rpartition("/")
        condition = f"{asked.encoder or named_encoder}/{asked.level or named_level}"
        example = 'write one, as {"image_size": 64, "num_heads": 4}'
        settings = json_object(asked.config, what="JSON object", remedy=example) if asked.config else {}
        rcdm = read_checkpoint(asked.file, condition, settings)
        with runs.locked(out):
            _check_new(out)
            save_rcdm(rcdm.denoiser, rcdm.schedule, out, card=rcdm.card)
    parameters = sum(p.numel() for p in rcdm.denoiser.parameters()) / 1e6
    console = new_console()
    console.print(
        f"{escape(str(out))}: {parameters:.1f} M parameters, draws {rcdm.image_size} x {rcdm.image_size} pixels from "
        f"{escape(condition)} ({rcdm.conditions[condition]} dimensions)"
    )
    shape = rcdm.denoiser.settings
    if shape.attention_heads and len(set(shape.attending)) > 1:
        console.print(
            "In diffusers alone, unet/ wants its attention heads back after UNet2DModel.from_pretrained: "
            f"rcdm_core.rcdm.network.set_attention_heads(unet, {shape.attention_heads})"
        )


def _check_new(out: Path) -> None:
    """Complain of an output folder that holds anything but a conversion that did not end."""
    from rcdm_core.rcdm.files import CARD, FILES
    from rcdm_probe import runs

    half_done = (out / runs.LOCK).is_file() and not (out / CARD).exists()
    ours = {name.partition("/")[0] for name in FILES} if half_done else ()
    if out.exists() and (not out.is_dir() or runs.strangers(out, ours)):
        raise UserError(f"{out} is there already", "choose a new folder with --out")
