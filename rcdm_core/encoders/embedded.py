"""The five encoders that ship with the package: small ResNets trained on fashion scenes.

One trunk serves them all, so that two encoders differ in what they were taught and not in what they are: a timm ResNet
of four basic blocks on a stride-2 stem, 2.8 M parameters, 384 pooled features. The SSL methods add the projector of
their paper at a width that suits the trunk.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any, cast

import torch
from timm.models.resnet import BasicBlock, ResNet
from torch import nn

from rcdm_core.encoders.catalogue import AUGMENTATIONS, EMBEDDED, PROJECTOR_DIMENSIONS, WIDTH
from rcdm_core.encoders.encoder import Encoder
from rcdm_core.encoders.preprocess import ResizeNormalize
from rcdm_core.errors import UserError
from rcdm_core.json_files import card_at
from rcdm_core.state_dicts import fill, load_into
from rcdm_core.weight_files import load_state
from rcdm_core.weights import Fresh, seeded

if TYPE_CHECKING:
    from pathlib import Path


__all__ = ["AUGMENTATIONS", "PROJECTOR_DIMENSIONS", "WIDTH", "load_embedded", "load_trained", "projector", "trunk"]

IMAGE_SIZE = 32  # pixels
_LAYOUT = "an embedded encoder's state dict, with names trunk.* and projector.*"


def trunk() -> nn.Module:
    """``[N, 3, 32, 32]`` to pooled features ``[N, 384]``."""
    network: Any = ResNet(cast("Any", BasicBlock), (1, 1, 1, 1), num_classes=0, channels=(48, 96, 192, 384))
    # 32 x 32 images: the 7 x 7 stem and the max-pool of ImageNet would leave 8 x 8 before the first block.
    network.conv1 = nn.Conv2d(3, 64, 4, stride=2, padding=1, bias=False)
    network.maxpool = nn.Identity()
    return network.to(memory_format=torch.channels_last)


def projector(method: str) -> nn.Module | None:
    """The part of a method's head that gives the level ``projector``, ``[N, 384]`` to ``[N, D]``; None for supervised.

    The layers are those of lightly's heads, which train them (`rcdm_core.zoo.methods`), so that a trained encoder is
    used without lightly.
    """
    hidden, dimension = 512, PROJECTOR_DIMENSIONS.get(method, 0)
    match method:
        case "supervised":
            return None
        case "simclr":  # Chen et al. 2020, section 2.1, with batch norm as in their code
            return nn.Sequential(*_block(WIDTH, hidden, nn.ReLU()), *_block(hidden, dimension))
        case "vicreg" | "barlow":  # Bardes et al. 2022, section 4.2; Zbontar et al. 2021, section 2.2
            blocks = *_block(WIDTH, hidden, nn.ReLU()), *_block(hidden, hidden, nn.ReLU())
            return nn.Sequential(*blocks, nn.Linear(hidden, dimension))
        case "dino":  # Caron et al. 2021, appendix C: up to the bottleneck, before the weight-normalised last layer
            blocks = *_block(WIDTH, hidden, nn.GELU()), *_block(hidden, hidden, nn.GELU())
            return nn.Sequential(*blocks, nn.Linear(hidden, dimension))
        case _:
            raise ValueError(f"no projector for method {method!r}")


def _block(before: int, after: int, *activation: nn.Module) -> list[nn.Module]:
    return [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), *activation]


def preprocessing(size: int = IMAGE_SIZE) -> ResizeNormalize:
    """Preprocessing of every embedded network, 32 x 32 at use: roughly zero mean and unit variance."""
    return ResizeNormalize(size, (0.45, 0.45, 0.45), (0.25, 0.25, 0.25))


def _assembled(name: str) -> Encoder:
    """An embedded encoder with fresh weights."""
    entry = EMBEDDED[name]
    return Encoder(
        name,
        preprocess=preprocessing(),
        trunk=trunk(),
        projector=projector(name),
        dimensions=entry.dimensions,
        image_size=IMAGE_SIZE,
        is_ssl=entry.is_ssl,
        training_augmentations=entry.training_augmentations,
    )


def load_embedded(name: str, *, weights: Path | Fresh | None = None) -> Encoder:
    """An embedded encoder with the weights that ship in the package, or with others.

    Raises:
        UserError: The package was built without its weights, or the given ones do not fit.
    """
    if weights is None:
        with as_file(files("rcdm_core.zoo") / "weights") as folder:
            return load_trained(name, folder)
    with seeded(weights):
        encoder = _assembled(name)
    if isinstance(weights, Fresh):
        encoder.is_ssl, encoder.training_augmentations, encoder.card["weights"] = False, (), str(weights)
    else:
        encoder.card["weights"] = load_into(encoder, load_state(weights), path=weights, layout=_LAYOUT)
    return encoder


def load_trained(name: str, folder: Path) -> Encoder:
    """An encoder of the zoo from ``folder/name.safetensors`` and its card ``folder/name.json``.

    Raises:
        UserError: The weights are not there, are damaged or do not fit, or the card is damaged.
    """
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        raise UserError(f"the weights of {name!r} are not in {folder}", "train them with `rcdm-probe zoo train`")
    encoder = _assembled(name)
    encoder.card = card_at(path.with_suffix(".json"))
    fill(encoder, load_state(path), path=path, layout=_LAYOUT)  # float16 in the file, float32 in the network
    return encoder
