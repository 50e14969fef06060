"""An RCDM on disk, in the layout of diffusers.

- ``unet/``: configuration and weights of the U-Net, as ``UNet2DModel.from_pretrained`` reads them;
- ``scheduler/``: the schedule it was trained on, as ``DDPMScheduler.from_pretrained`` reads it;
- ``heads.safetensors``: a head for each condition;
- ``basis.safetensors``: what the denoiser is given of images (`rcdm_core.rcdm.heads.Basis`); older ones lack it;
- ``trained_images.safetensors``: by what the images that it was trained on are known again, wherever they lie
  (`rcdm_core.data.imageset.ImageSet.hashes`); one that is trained on an endless stream of scenes has none;
- ``rcdm.json``: the card, with the shape of the network, its conditions, how it was trained and what it scores.

The card is written last: a folder that has one is complete.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDPMScheduler
from safetensors.torch import save_file

from rcdm_core import hub
from rcdm_core.errors import UserError
from rcdm_core.json_files import OBJECT, TEXT, Kind, json_object, several, whole, write_json, wrong
from rcdm_core.kept import atomic_path, keeping
from rcdm_core.paths import user_path
from rcdm_core.rcdm.diffusion import schedule_fault
from rcdm_core.rcdm.heads import Basis
from rcdm_core.rcdm.model_card import MADE, model_card
from rcdm_core.rcdm.network import Denoiser, NetworkSettings, condition_key, shape_fault
from rcdm_core.state_dicts import prepared
from rcdm_core.weight_files import load_state

UNET, UNET_CONFIG = "unet/diffusion_pytorch_model.safetensors", "unet/config.json"
SCHEDULE, HEADS, CARD = "scheduler/scheduler_config.json", "heads.safetensors", "rcdm.json"
BASIS, TRAINED_IMAGES, README = "basis.safetensors", "trained_images.safetensors", "README.md"
FILES, OPTIONAL = (UNET, UNET_CONFIG, SCHEDULE, HEADS, CARD), (BASIS, TRAINED_IMAGES)
STATE = "training"  # folder in which a training keeps its state


def save_rcdm(
    denoiser: Denoiser,
    schedule: DDPMScheduler,
    folder: Path,
    card: Mapping[str, Any],
    basis: Basis | None = None,
    trained_images: np.ndarray | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write an RCDM; one that is there already is replaced.

    Args:
        denoiser: U-Net and heads.
        schedule: The schedule they were trained on.
        folder: Where to; made if it is not there. Other files in it stay.
        card: How the RCDM was trained and what it scores; shape, conditions and the digest of ``trained_images`` are
            added.
        basis: What the denoiser is given of images.
        trained_images: As of `rcdm_core.rcdm.RCDM`.
        dtype: Of the weights in the files.

    Raises:
        UserError: The folder cannot be written.
    """
    known = np.array([], np.uint64) if trained_images is None else trained_images
    added: dict[str, Any] = {"network": denoiser.settings.to_dict(), "conditions": denoiser.conditions}
    if len(known):
        added["trained_images"] = _digest(known)
    with keeping("the RCDM", folder):
        for name in FILES:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / CARD).unlink(missing_ok=True)
        _write_tensors(denoiser.unet.state_dict(), folder / UNET, dtype)
        _write_tensors(denoiser.heads.state_dict(), folder / HEADS, dtype)
        for name in OPTIONAL:
            (folder / name).unlink(missing_ok=True)
        if basis is not None:
            _write_tensors(vars(basis), folder / BASIS, torch.float32)
        if len(known):
            _write_tensors({"hashes": torch.from_numpy(known.view(np.int64))}, folder / TRAINED_IMAGES, torch.int64)
        write_json(json.loads(denoiser.unet.to_json_string()), folder / UNET_CONFIG)
        write_json(json.loads(schedule.to_json_string()), folder / SCHEDULE)
        write_json({**{name: card[name] for name in card if name != "trained_images"}, **added}, folder / CARD)


def write_readme(folder: Path, name: str) -> None:
    """Write the README of an RCDM's folder, made from its card; one of somebody's own stays.

    Args:
        folder: That of the RCDM.
        name: What it is loaded by.

    Raises:
        UserError: There is no RCDM, or the folder cannot be written.
    """
    card, path = read_card(folder), folder / README
    if path.exists() and MADE not in path.read_text(encoding="utf-8", errors="replace"):
        return
    with keeping("the README of the RCDM", folder), atomic_path(path) as temporary:
        temporary.write_text(model_card(card, name), encoding="utf-8")


def load_parts(path: str | Path | None = None) -> dict[str, Any]:
    """What a trained RCDM is made of: ``denoiser``, ``schedule``, ``card``, ``basis`` and ``trained_images``.

    Args:
        path: As of `rcdm_core.rcdm.rcdm.load_rcdm`.

    Raises:
        UserError: A file is missing or damaged; says which. Or it cannot be fetched.
    """
    if path is not None and str(path).startswith(hub.PREFIX):
        path = hub.fetched(str(path).removeprefix(hub.PREFIX), (*FILES, *OPTIONAL))
    if path is not None:
        return _read(user_path(path, "the folder of the RCDM"))
    with as_file(files("rcdm_core.zoo") / "weights" / "rcdm") as folder:
        return _read(folder)


def read_card(folder: Path) -> dict[str, Any]:
    """The card of the RCDM in a folder.

    Raises:
        UserError: There is none, or it is damaged, or says what no RCDM has.
    """
    for name in FILES:
        if not (folder / name).is_file():
            raise UserError(f"no RCDM in {folder}", _reason(folder, name))
    card = json_object(folder / CARD, what="card of an RCDM", remedy=_AGAIN)
    if fault := _card_fault(card):
        raise UserError(f"{folder / CARD} is no card of an RCDM ({fault})", _AGAIN)
    return card


_AGAIN = "make the RCDM again, or put the file there that belongs to it"
_FOUND = dict.fromkeys(("MRR", "mean rank", "gallery"), Kind(lambda value: isinstance(value, (int, float)), "a number"))
_CARD = {
    "network": OBJECT,
    "conditions": Kind(
        lambda value: isinstance(value, dict) and all(whole(1, 1 << 17).holds(d) for d in value.values()),
        "the dimension of each condition",
    ),
    "encoders": Kind(
        lambda value: isinstance(value, dict) and all(map(TEXT.holds, value.values())), "the weights of each encoder"
    ),
    "training": OBJECT,
    "trained_images": TEXT,
    "calls": whole(1, 64),
    "scores": Kind(
        lambda value: isinstance(value, dict) and not any(wrong(one, _FOUND, others=True) for one in value.values()),
        "scores",
    ),
    "adapted": Kind(lambda value: isinstance(value, dict) and all(map(_tells_stages, value.values())), "stages"),
    "before": several(
        Kind(lambda card: isinstance(card, dict) and not _training_fault(card.get("training")), "a card"), 1000
    ),
}
_COUNT = whole(0, 1 << 53)
_LEG = {"images": _COUNT, "settings": Kind(lambda value: not wrong(value, {"seed": _COUNT}, others=True), "settings")}
_TRAINING = {
    "data": TEXT,
    "data_fingerprint": TEXT,
    "images": _COUNT,
    "legs": several(Kind(lambda leg: not wrong(leg, _LEG, required=tuple(_LEG), others=True), "a training"), 10_000),
}
"""What a card says that is read again; it may say more."""


def _card_fault(card: dict[str, Any]) -> str:
    """What a card says that no RCDM has, in words; empty where all is well."""
    if fault := wrong(card, _CARD, required=("network", "conditions"), others=True):
        return fault
    if fault := shape_fault(card["network"]):
        return f"network: {fault}"
    names = list(card["conditions"])
    if any(not all(name.partition("/")) or name.startswith("/") for name in names):
        return "conditions are called ENCODER/LEVEL"
    if len({condition_key(name) for name in names}) < len(names):
        return "two conditions have one head"
    return _training_fault(card.get("training", {}))


def _tells_stages(stages: Any) -> bool:
    """Whether these are stages of an adaptation, by name, with what was found after each."""
    found = stages.values() if isinstance(stages, dict) else ()
    return bool(found) and not any(wrong(one, _FOUND, required=tuple(_FOUND), others=True) for one in found)


def _training_fault(training: Any) -> str:
    """What is told of a training that no RCDM has had, in words; empty where all is well."""
    if not isinstance(training, dict):
        return "training is no object"
    known = ("images",) if "data_fingerprint" in training else ()
    fault = wrong(training, _TRAINING, required=known, others=True)
    return f"training: {fault}" if fault else ""


def _read(folder: Path) -> dict[str, Any]:
    card = read_card(folder)
    settings = NetworkSettings.from_dict(card["network"])
    schedule = json_object(folder / SCHEDULE, what="schedule", remedy=_AGAIN)
    if fault := schedule_fault(schedule, learned_variances=settings.learned_variances):
        raise UserError(f"{folder / SCHEDULE} is no schedule of this RCDM ({fault})", _AGAIN)
    _require_size(settings, folder)
    with torch.device("meta"):  # weights come from the files, at once
        denoiser = Denoiser(settings, card["conditions"])
    _require_config(denoiser, folder)
    for module, path in ((denoiser.unet, folder / UNET), (denoiser.heads, folder / HEADS)):
        weights = prepared(module, load_state(path), path, f"those of {CARD} beside it")
        module.load_state_dict(weights, assign=True)
    denoiser.unet.to(memory_format=torch.channels_last)
    return {
        "denoiser": denoiser,
        "schedule": DDPMScheduler.from_config(schedule),
        "card": card,
        "basis": _read_basis(folder / BASIS, settings.embedding),
        "trained_images": _read_trained_images(folder / TRAINED_IMAGES, card.get("trained_images")),
    }


def _digest(hashes: np.ndarray) -> str:
    return hashlib.sha256(hashes.astype("<u8").tobytes()).hexdigest()


def _read_trained_images(path: Path, digest: str | None) -> np.ndarray:
    """The hashes in a file, whose digest a card tells; none where it tells of none."""
    if digest is None:
        return np.array([], np.uint64)
    hashes = load_state(path).get("hashes", torch.empty(0)) if path.is_file() else torch.empty(0)
    if hashes.dtype != torch.int64 or _digest(found := hashes.numpy().view(np.uint64)) != digest:
        raise UserError(f"{path} does not hold the images of the training that {CARD} beside it tells of", _AGAIN)
    return found


def _read_basis(path: Path, embedding: int) -> Basis | None:
    """The basis in a file; None where there is none."""
    if not path.is_file():
        return None
    state = load_state(path)
    weight, bias = (state.get(name, torch.empty(0)) for name in ("weight", "bias"))
    side = math.isqrt(weight.shape[-1] // 3)
    if weight.shape != (embedding, 3 * side**2) or bias.shape != (embedding,):
        raise UserError(f"{path} is no basis of this RCDM (weight {list(weight.shape)})", _AGAIN)
    return Basis(weight.float(), bias.float())


def _require_size(settings: NetworkSettings, folder: Path) -> None:
    """Raise a `UserError` where a card tells of a larger or smaller network than its weights, before one is made."""
    state, channels = load_state(folder / UNET), []
    for resolution in range(len(settings.channels) + 1):
        weight = state.get(f"down_blocks.{resolution}.resnets.0.conv1.weight")
        channels += list(getattr(weight, "shape", ()))[:1]
    blocks = sum(f"down_blocks.0.resnets.{k}.conv1.weight" in state for k in range(settings.blocks + 1))
    said = f"{list(settings.channels)} channels, blocks of {settings.blocks}"
    if (tuple(channels), blocks) != (settings.channels, settings.blocks):
        raise UserError(f"{folder / UNET} does not fit its card ({said})", f"it has {channels}, blocks of {blocks}")


def _require_config(denoiser: Denoiser, folder: Path) -> None:
    """Raise a `UserError` where the configuration beside the weights tells of another network than the card."""
    beside = json_object(folder / UNET_CONFIG, what="configuration of a U-Net", remedy=_AGAIN)
    for name, value in json.loads(denoiser.unet.to_json_string()).items():
        if not name.startswith("_") and beside.get(name, value) != value:
            other = json.dumps(beside[name])[:40]
            raise UserError(f"{folder / UNET_CONFIG} has {name} {other}, and by its card it is {value}", _AGAIN)


def _reason(folder: Path, missing: str) -> str:
    """Why a folder holds no RCDM, and what to do about it."""
    if not folder.is_dir():
        return "there is no such folder"
    if (folder / STATE).is_dir():
        return "its training has not ended; the same command goes on with it"
    return f"{missing} is missing"


def _write_tensors(state: Mapping[str, torch.Tensor], path: Path, dtype: torch.dtype) -> None:
    tensors = {key: tensor.detach().to("cpu", dtype).contiguous() for key, tensor in state.items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
