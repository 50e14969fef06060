"""What every study opens before it computes: encoder and levels, decoder, images, judge; and what they are known by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from probes.rendering import check_match
from rcdm_core.data.registry import load_data
from rcdm_core.encoders import Encoder, load_encoder
from rcdm_core.errors import UserError
from rcdm_core.progress import Progress, silent
from rcdm_core.rcdm import RCDM, load_rcdm
from rcdm_core.zoo.judge import load_judge
from rcdm_probe.levels import choose_levels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.zoo.judge import Judge

_SKIPPED_LISTED = 100


def open_encoder(
    encoder: str | Encoder, *, level: str | Sequence[str] | None = None, device: str
) -> tuple[Encoder, tuple[str, ...]]:
    """An encoder on its device, and the levels that are asked for.

    Args:
        encoder: Name or encoder.
        level: Level or levels; None for all that it has.
        device: Where to compute.

    Raises:
        UserError: No such encoder or level; says the nearest.
    """
    encoder = load_encoder(encoder, device=device) if isinstance(encoder, str) else encoder.to(device)
    return encoder, choose_levels(encoder, level)


def open_rcdm(rcdm: str | Path | RCDM | None, encoder: Encoder, levels: Sequence[str], *, device: str) -> RCDM:
    """What draws from these levels of an encoder.

    Args:
        rcdm: A folder, an RCDM, or None for the embedded one.
        encoder: The encoder.
        levels: Levels to draw from.
        device: Where to compute.

    Raises:
        UserError: No RCDM there, or one of another encoder, other weights or other levels.
    """
    opened = rcdm.to(device) if isinstance(rcdm, RCDM) else load_rcdm(rcdm, device=device)
    check_match(encoder, levels, opened)
    return opened


def open_images(
    data: str | Path, *, image_size: int, least: int, limit: int, seed: int, progress: Progress = silent
) -> ImageSet:
    """A set of images.

    Args:
        data: Name, or folder.
        image_size: Side in pixels.
        least: How many there must be for statistics.
        limit: How many are taken at most.
        seed: Seed of the choice.
        progress: Told of files being checked.

    Raises:
        UserError: No such data, or too few images.
    """
    images = load_data(data, image_size=image_size, limit=limit, seed=seed, progress=progress)
    if len(images) < least:
        raise UserError(f"{images.name} has {len(images)} images", f"statistics need at least {least}")
    return images


def open_judge(images: ImageSet, *, device: str) -> Judge | None:
    """The judge, where the images have factors to be judged."""
    return load_judge(device=device) if images.factors([0]) is not None else None


def rcdm_name(rcdm: str | Path | RCDM | None) -> str:
    """The RCDM as an argument in ``run.json``."""
    return "given" if isinstance(rcdm, RCDM) else str(rcdm or "embedded")


def encoder_card(encoder: Encoder, levels: Sequence[str]) -> dict[str, Any]:
    """The encoder as ``run.json`` describes it."""
    return {
        "name": encoder.name,
        "levels": {level: encoder.dimensions[level] for level in levels},
        "self_supervised": encoder.is_ssl,
        "training_augmentations": list(encoder.training_augmentations),
        **encoder.card,
    }


def data_card(images: ImageSet) -> dict[str, Any]:
    """The images as ``run.json`` describes them."""
    factors = images.factors([0])
    return {
        "name": images.name,
        "images": len(images),
        "image_size": images.image_size,
        "classes": list(images.class_names),
        "known_factors": [] if factors is None else list(factors.columns),
        "skipped": len(images.skipped),
        "skipped_files": [str(path) for path in images.skipped[:_SKIPPED_LISTED]],
    }
