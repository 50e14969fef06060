"""What ``run.json`` says of a study: its arguments, what everything in it hashes to, and cards of encoder and data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcdm_core.data.imageset import PartOfImages
from rcdm_core.images import is_resized_by_encoder
from rcdm_core.rcdm.rcdm import RCDM
from rcdm_probe.opening import Opened, default_rcdm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.data.registry import GivenImages
    from rcdm_core.encoders import Encoder
    from rcdm_probe.opening import RCDMSource

_SKIPPED_LISTED = 100  # files that could not be read, by name


def rcdm_name(rcdm: RCDMSource | None, encoder: Encoder, levels: Sequence[str]) -> str:
    """The RCDM of an encoder as an argument in ``run.json``."""
    if isinstance(rcdm, Opened):
        return rcdm_name(rcdm.asked.rcdm, encoder, levels)
    if rcdm is None or isinstance(rcdm, (str, Path)):
        return str(rcdm or default_rcdm(encoder, levels))
    return "given" if isinstance(rcdm, RCDM) else " + ".join(rcdm_name(one, encoder, levels) for one in rcdm)


def rcdm_names(opened: Opened) -> str:
    """The RCDMs of all encoders as an argument in ``run.json``."""
    names = (rcdm_name(opened.asked.rcdm, encoder, opened.levels) for encoder in opened.encoders)
    return ", ".join(dict.fromkeys(names))


def weights_name(weights: Mapping[str, str | Path], *, alone: bool = False) -> str | None:
    """Files of weights, by name of the encoder, as an argument in ``run.json``; None without any.

    Those of an encoder that is ``alone`` need no name.
    """
    return ", ".join(str(path) if alone else f"{name}={path}" for name, path in weights.items()) or None


def network_hashes(opened: Opened) -> dict[str, str]:
    """Fingerprints of encoders and of what draws from them, as ``run.json`` names them where several are compared."""
    encoders = {encoder.name: encoder.fingerprint for encoder in opened.encoders}
    return encoders | {f"rcdm of {name}": decoder.fingerprint for name, decoder in opened.decoders.items()}


def encoder_card(encoder: Encoder, levels: Sequence[str]) -> dict[str, Any]:
    """The encoder as ``run.json`` describes it."""
    return {
        "name": encoder.name,
        "levels": {level: encoder.dimensions[level] for level in levels},
        "self_supervised": "not told" if encoder.is_ssl is None else encoder.is_ssl,
        "training_augmentations": list(encoder.training_augmentations),
        **encoder.card,
    }


def data_card(images: ImageSet, given: GivenImages | None = None) -> dict[str, Any]:
    """The images, and those that are looked at one by one, as ``run.json`` describes them."""
    factors = images.factors([0])
    remarks = [*images.remarks, *(given.remarks if given else ())]
    return {
        "name": images.name,
        "images": len(images),
        "image_size": images.image_size,
        **({"resized": f"{size.by}, as by the encoder"} if is_resized_by_encoder(size := images.image_size) else {}),
        "classes": list(images.class_names),
        "known_factors": [] if factors is None else list(factors.columns),
        # how many of them a decoder was trained on, where it was on some of their set
        **(
            {"trained_on": images.trained_on, "held_out": images.held_out, "whole": len(images.whole)}
            if isinstance(images, PartOfImages)
            else {}
        ),
        "skipped": len(images.skipped),
        "skipped_files": [str(path) for path in images.skipped[:_SKIPPED_LISTED]],
        **({"passed_over": dict(images.passed_over)} if images.passed_over else {}),
        **({"remarks": remarks} if remarks else {}),
    }
