"""The five encoders that ship with the package: small ResNets trained on fashion scenes.

One trunk serves them all, so that two encoders differ in what they were taught and not in what they are: a ResNet of
four basic blocks on a stride-2 stem, 2.8 M parameters, 384 pooled features. Its layers have the names and, of a seed,
the weights of timm's ResNet, which is not imported: that takes longer than to encode a thousand images. The SSL methods
add the projector of their paper at a width that suits the trunk.

The last convolutions are matrix products, which take a fifth of the time on a processor: they see 4 x 4 and 2 x 2
pixels, where kernels for convolutions compute mostly with the padding. An output pixel of so small an image depends on
nearly all of it. The sums are the same in another order, and so are the names of the weights.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from functools import lru_cache, partial
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from rcdm_core.derived import derived
from rcdm_core.encoders.catalogue import AUGMENTATIONS, ENCODERS, PROJECTOR_DIMENSIONS, UNTRAINED, WIDTH
from rcdm_core.encoders.encoder import Encoder
from rcdm_core.encoders.preprocess import ResizeNormalize
from rcdm_core.errors import UserError
from rcdm_core.json_files import card_at
from rcdm_core.state_dicts import fill_new, load_into
from rcdm_core.weight_files import load_state
from rcdm_core.weights import Fresh, seeded
from rcdm_core.winograd import WinogradConvolution, is_transformed

if TYPE_CHECKING:
    from pathlib import Path


__all__ = ["AUGMENTATIONS", "PROJECTOR_DIMENSIONS", "WIDTH", "load_embedded", "load_trained", "projector", "trunk"]

IMAGE_SIZE = 32  # pixels
_LAYOUT = "an embedded encoder's state dict, with names trunk.* and projector.*"


CHANNELS = (48, 96, 192, WIDTH)  # of the four blocks
LARGEST_WHOLE = 4  # pixels a side; of more, the matrix of all pixels takes longer than a convolution
_NONE = 9  # the place behind a kernel's nine weights: no weight joins these two pixels


def trunk() -> nn.Module:
    """``[N, 3, 32, 32]`` to pooled features ``[N, 384]``."""
    stem, before = 64, (64, *CHANNELS[:-1])
    network = nn.Sequential()
    network.conv1 = nn.Conv2d(3, stem, 7, stride=2, padding=3, bias=False)
    network.bn1, network.act1 = nn.BatchNorm2d(stem), nn.ReLU(inplace=True)
    for i, (narrow, wide) in enumerate(zip(before, CHANNELS, strict=True), 1):
        convolution = WholeImageConvolution if i == len(CHANNELS) else WinogradConvolution
        block = _Residual(narrow, wide, stride=1 if i == 1 else 2, convolution=convolution)
        network.add_module(f"layer{i}", nn.Sequential(block))
    network.global_pool = nn.Sequential(OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(1)))
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:  # to draw on "meta" imports PyTorch's compiler
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    # 32 x 32 images: the 7 x 7 stem of ImageNet, with its max-pool, would leave 8 x 8 before the first block. It is
    # replaced only here, so that what is drawn from a seed stays what it was.
    network.conv1 = nn.Conv2d(3, stem, 4, stride=2, padding=1, bias=False)
    return network.to(memory_format=torch.channels_last)


class WholeImageConvolution(nn.Conv2d):
    """A 3 x 3 convolution with padding 1: on a processor one product with a matrix from all input to all output pixels.

    The matrix of frozen weights is kept as long as they are what they were.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """``[N, C, H, H]`` to ``[N, D, H', H']``."""
        side = input.shape[-1]
        whole = side <= LARGEST_WHOLE and input.shape[-2] == side and input.ndim == 4
        if not whole or input.device.type != "cpu" or self.weight.dtype != torch.float32:
            return super().forward(input)
        after = -(-side // self.stride[0])
        pixels = input.permute(0, 2, 3, 1).flatten(1) @ self._matrix(side)
        return pixels.unflatten(1, (after, after, self.out_channels)).permute(0, 3, 1, 2)

    def _matrix(self, side: int) -> torch.Tensor:
        if self.weight.requires_grad or is_transformed():
            return self._spread(side)
        return derived(self, partial(self._spread, side), side)

    def _spread(self, side: int) -> torch.Tensor:
        """``[H * H * C, H' * H' * D]``."""
        joins = _joins(side, self.stride[0]).to(self.weight.device)  # [P, Q]
        weights = F.pad(self.weight.flatten(2).permute(2, 1, 0), (0, 0, 0, 0, 0, 1))  # [9 + 1, C, D]
        return weights[joins.flatten()].unflatten(0, joins.shape).transpose(1, 2).flatten(2).flatten(0, 1)


@lru_cache
def _joins(side: int, stride: int) -> torch.Tensor:
    """Which of the nine weights joins input pixel p with output pixel q, ``[side**2, (side / stride)**2]``."""
    tap = torch.arange(side)[:, None] - torch.arange(0, side, stride)[None, :] + 1  # along one axis
    near = (tap >= 0) & (tap < 3)
    rows, columns = tap[:, None, :, None], tap[None, :, None, :]
    joined = torch.where(near[:, None, :, None] & near[None, :, None, :], 3 * rows + columns, _NONE)
    return joined.flatten(2).flatten(0, 1)


class _Residual(nn.Module):
    """The basic block of He et al. (2016), where its shortcut is a convolution; it begins as that shortcut alone."""

    def __init__(self, before: int, after: int, stride: int, convolution: type[nn.Conv2d]) -> None:
        super().__init__()
        shortcut = nn.Sequential(nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after))
        self.stride = stride
        self.conv1 = convolution(before, after, 3, stride=stride, padding=1, bias=False)
        self.bn1, self.act1 = nn.BatchNorm2d(after), nn.ReLU(inplace=True)
        self.conv2 = convolution(after, after, 3, padding=1, bias=False)
        self.bn2, self.act2 = nn.BatchNorm2d(after), nn.ReLU(inplace=True)
        self.downsample = shortcut
        nn.init.zeros_(self.bn2.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        changed = self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x)))))
        kept = x[..., :: self.stride, :: self.stride]  # half the time of a convolution that strides
        changed += self.downsample(kept)
        return self.act2(changed)


def projector(method: str) -> nn.Module | None:
    """The part of a method's head that gives the level ``projector``, ``[N, 384]`` to ``[N, D]``; None without one.

    The layers are those of lightly's heads, which train them (`rcdm_core.zoo.methods`), so that a trained encoder is
    used without lightly.
    """
    hidden, dimension = 512, PROJECTOR_DIMENSIONS.get(method, 0)
    match method:
        case "supervised" | "untrained":
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


def _assembled(name: str, device: str = "cpu") -> Encoder:
    """An embedded encoder with fresh weights, or on the device ``"meta"`` with none."""
    entry = ENCODERS[name]
    with torch.device(device):
        layers, head = trunk(), projector(name)
    return Encoder(
        name,
        preprocess=preprocessing(),
        trunk=layers,
        projector=head,
        dimensions=entry.dimensions,
        image_size=IMAGE_SIZE,
        is_ssl=entry.is_ssl,
        training_augmentations=entry.training_augmentations,
    )


def load_embedded(name: str, *, weights: Path | Fresh | None = None) -> Encoder:
    """An embedded encoder with the weights that ship in the package, or with others.

    Of a file nothing is known, unless its weights are those that ship.

    Raises:
        UserError: The package was built without its weights, or the given ones do not fit.
    """
    if weights is None:
        return _shipped(name)
    with seeded(weights):
        encoder = _assembled(name)
    if isinstance(weights, Fresh):
        encoder.is_ssl, encoder.training_augmentations, encoder.card["weights"] = False, (), str(weights)
        return encoder
    encoder.card["weights"] = load_into(encoder, load_state(weights), path=weights, layout=_LAYOUT)
    is_here = ENCODERS[name].here()  # not while those that ship are trained
    if not (is_here and encoder.network_fingerprint == _shipped(name).network_fingerprint):
        encoder.is_ssl, encoder.training_augmentations = None, ()
    return encoder


def _shipped(name: str) -> Encoder:
    with as_file(files("rcdm_core.zoo") / "weights") as folder:
        return load_trained(name, folder)


def load_trained(name: str, folder: Path) -> Encoder:
    """An encoder of the zoo from ``folder/name.safetensors`` and its card ``folder/name.json``.

    Raises:
        UserError: The weights are not there, are damaged or do not fit, or the card is damaged.
    """
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        raise UserError(f"the weights of {name!r} are not in {folder}", "train them with `rcdm-probe zoo train`")
    encoder = _assembled(name, "meta")
    encoder.card = card_at(path.with_suffix(".json"))
    state = load_state(path)
    if name == UNTRAINED:  # its blocks are their shortcuts, and what counts for nothing is not in the file
        state = {key: torch.zeros(value.shape) for key, value in encoder.state_dict().items() if is_idle(key)} | state
    fill_new(encoder, state, path=path, layout=_LAYOUT)  # float16 in the file, float32 in the network
    return encoder


def is_idle(name: str) -> bool:
    """Whether a weight counts for nothing before training: every block begins as its shortcut alone."""
    return bool(re.fullmatch(r"trunk\.layer\d\.0\.conv[12]\.weight", name))
