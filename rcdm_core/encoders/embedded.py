"""The five encoders that ship with the package: small ResNets trained on fashion scenes.

One trunk serves them all, so that two encoders differ in what they were taught and not in what they are: a ResNet of
four basic blocks on a stride-2 stem, 2.8 M parameters, 384 pooled features. Its layers have the names and, of a seed,
the weights of timm's ResNet, which is not imported: that takes longer than to encode a thousand images. The SSL methods
add the projector of their paper at a width that suits the trunk.
"""

from __future__ import annotations

from collections import OrderedDict
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

import torch
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


CHANNELS = (48, 96, 192, WIDTH)  # of the four blocks


def trunk() -> nn.Module:
    """``[N, 3, 32, 32]`` to pooled features ``[N, 384]``."""
    stem, before = 64, (64, *CHANNELS[:-1])
    network = nn.Sequential()
    network.conv1 = nn.Conv2d(3, stem, 7, stride=2, padding=3, bias=False)
    network.bn1, network.act1 = nn.BatchNorm2d(stem), nn.ReLU(inplace=True)
    for i, (narrow, wide) in enumerate(zip(before, CHANNELS, strict=True), 1):
        network.add_module(f"layer{i}", nn.Sequential(_Residual(narrow, wide, stride=1 if i == 1 else 2)))
    network.global_pool = nn.Sequential(OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(1)))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    # 32 x 32 images: the 7 x 7 stem of ImageNet, with its max-pool, would leave 8 x 8 before the first block. It is
    # replaced only here, so that what is drawn from a seed stays what it was.
    network.conv1 = nn.Conv2d(3, stem, 4, stride=2, padding=1, bias=False)
    return network.to(memory_format=torch.channels_last)


class _Residual(nn.Module):
    """The basic block of He et al. (2016), where its shortcut is a convolution; it begins as that shortcut alone."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after))
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.bn1, self.act1 = nn.BatchNorm2d(after), nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2, self.act2 = nn.BatchNorm2d(after), nn.ReLU(inplace=True)
        self.downsample = shortcut
        nn.init.zeros_(self.bn2.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        changed = self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x)))))
        changed += self.downsample(x)
        return self.act2(changed)


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
