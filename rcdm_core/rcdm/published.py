"""The RCDMs that were published for the ImageNet encoders of the paper: one network for each encoder and level.

Files and networks are those of Bordes et al. (2022), 128 x 128 pixels, 423 M parameters each; the weights are CC-BY-NC.
The level that the files call trunk is ``backbone`` here, head is ``projector``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rcdm_core.errors import UserError, unknown_name
from rcdm_core.rcdm.conversion import convert
from rcdm_core.rcdm.rcdm import RCDM, JoinedRCDM
from rcdm_core.state_dicts import require_tensors
from rcdm_core.weight_files import load_state
from rcdm_core.weights import CC_BY_NC, fetch

if TYPE_CHECKING:
    import torch

_ADDRESS = "https://dl.fbaipublicfiles.com/rcdm"

PUBLISHED_RCDMS: Mapping[str, Mapping[str, str]] = {
    "imagenet/supervised": {"backbone": f"{_ADDRESS}/rcdm_ema_supervised.pt"},
    **{
        f"imagenet/{method}": {
            "backbone": f"{_ADDRESS}/rcdm_ema_{method}_trunk.pt",
            "projector": f"{_ADDRESS}/rcdm_ema_{method}_head.pt",
        }
        for method in ("simclr", "vicreg", "barlow", "dino")
    },
}
"""Encoder to level to where the checkpoint is published."""


def load_published(name: str, levels: Sequence[str] | None = None, *, device: str | torch.device = "cpu") -> RCDM:
    """The published RCDM of an encoder, downloaded at its first use.

    Args:
        name: A key of `PUBLISHED_RCDMS`, as ``"imagenet/vicreg"``.
        levels: Levels to draw from, ``"backbone"`` or ``"projector"``, each a network of 1.7 GB; those for which none
            was published are left out. None for all.
        device: Where to put it.

    Returns:
        An RCDM with the conditions ``NAME/LEVEL``.

    Raises:
        UserError: None was published for the encoder, or for any of the levels; or a file is not here and cannot be
            fetched (says which file to put where), or is not what was published.
    """
    if name not in PUBLISHED_RCDMS:
        raise unknown_name("encoder with a published RCDM", name, PUBLISHED_RCDMS)
    files = PUBLISHED_RCDMS[name]
    wanted = [level for level in files if levels is None or level in levels]
    if not wanted:
        raise UserError(
            f"no RCDM was published for {name} at {', '.join(levels or ())}", f"choose {' or '.join(files)}"
        )
    fetched = [fetch(files[level], licence=CC_BY_NC) for level in wanted]
    members = [read_checkpoint(path, f"{name}/{level}") for path, level in zip(fetched, wanted, strict=True)]
    rcdm = members[0] if len(members) == 1 else JoinedRCDM(members)
    return rcdm.to(device)


def condition_of(path: Path) -> str:
    """Encoder and level of a checkpoint: those of the published file of this name, else the name and ``backbone``."""
    for name, files in PUBLISHED_RCDMS.items():
        for level, url in files.items():
            if url.endswith(f"/{path.stem}.pt"):
                return f"{name}/{level}"
    return f"{path.stem}/backbone"


def read_checkpoint(path: Path, condition: str, options: Mapping[str, object] | None = None) -> RCDM:
    """The RCDM of a file in the published layout.

    Args:
        path: A state dict, from ``torch.save`` or as safetensors.
        condition: Encoder and level that it was trained on, as ``"imagenet/vicreg/backbone"``.
        options: Settings of the published code where it is not one of the published models.

    Raises:
        UserError: No such file, or no RCDM in it, or options that do not fit it.
    """
    state = load_state(path)
    require_tensors(state, path)
    try:
        denoiser, schedule = convert(state, options or {}, condition)
    except UserError as error:
        raise UserError(f"{path} does not convert ({error.problem})", error.remedy) from error
    training = {"code": "facebookresearch/RCDM", "converted_from": path.name, "options": dict(options or {})}
    return RCDM(denoiser, schedule, {"training": training})
