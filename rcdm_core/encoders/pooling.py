"""Any layer of a network as a level: caught by a hook while the network runs, and pooled to ``[N, D]``.

A map ``[N, C, H, W]`` gives its mean over H and W; so does one whose channels are its last axis, which shows in the
kind of the layer, in which two of its sides are equal, or in what the network says. Tokens ``[N, T, C]`` of a
transformer give the class token if the network has one, else the mean of the patches, registers and other extra tokens
left out. ``[N, D]`` stays as it is. Pooling happens inside the hook, before an in-place activation behind the layer can
change the tensor. A layer that runs several times in one pass counts with its last output.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CLASS_TOKENS = ("cls_token", "class_token")  # what timm and DINO, and what torchvision calls it


def pooled(output: torch.Tensor, network: nn.Module, layer: nn.Module | None = None) -> torch.Tensor:
    """The output of a network, or of one of its layers, as representations ``[N, D]``.

    Args:
        output: ``[N, D]``, ``[N, T, C]``, ``[N, C, H, W]`` or ``[N, H, W, C]``.
        network: Knows its tokens and the order of its axes.
        layer: The layer that gave the output; None for the network itself.

    Raises:
        ValueError: ``output`` has another shape, or holds no real numbers.
    """
    if not isinstance(output, torch.Tensor) or output.is_complex():
        raise ValueError(f"a {getattr(output, 'dtype', type(output).__name__)} is no tensor of real numbers")
    found = _pooled(output, network, layer)
    if found is None:
        raise ValueError(f"no rule to pool an output of shape {tuple(output.shape)}")
    return found[0]


def _pooled(output: Any, network: nn.Module, layer: nn.Module | None) -> tuple[torch.Tensor, str] | None:
    """The output of a layer as ``[N, D]``, and in words how it becomes that; None where no rule fits."""
    match output.ndim if isinstance(output, torch.Tensor) and not output.is_complex() else 0:
        case 2:
            return output, "as it is"
        case 3 if _has_class_token(output, network):
            return output[:, 0], "class token"
        case 3:
            extra = (_found(network, "num_prefix_tokens") or 0) if output.shape[1] != _patches(network) else 0
            return output[:, extra:].mean(1), "mean of patches"
        case 4:
            return output.mean((1, 2) if _channels_last(output, network, layer) else (2, 3)), "mean over positions"
        case _:
            return None


@contextmanager
def catching(network: nn.Module, names: Iterable[str]) -> Iterator[dict[str, tuple[torch.Tensor, str]]]:
    """While the block runs, the layers that run leave their pooled output and how it was pooled, by name.

    Layers that give something else than one tensor that can be pooled leave nothing.
    """
    caught: dict[str, tuple[torch.Tensor, str]] = {}

    def catch(name: str, layer: nn.Module, _: Any, output: object) -> None:
        if found := _pooled(output, network, layer):
            caught[name] = found[0].clone(), found[1]

    with ExitStack() as hooks:
        for name in names:
            hooks.enter_context(network.get_submodule(name).register_forward_hook(partial(catch, name)))
        yield caught


def _has_class_token(tokens: torch.Tensor, network: nn.Module) -> bool:
    """A class token stands before the patches, once they have been embedded."""
    has = any(isinstance(_found(network, name), torch.Tensor) for name in _CLASS_TOKENS)
    return has and tokens.shape[1] != _patches(network)


def _channels_last(output: torch.Tensor, network: nn.Module, layer: nn.Module | None) -> bool:
    if isinstance(layer, (nn.Linear, nn.LayerNorm)):
        return "2d" not in type(layer).__name__  # LayerNorm2d, timm's and torchvision's, takes maps [N, C, H, W]
    _, first, second, third = output.shape
    if (first == second) != (second == third):
        return first == second
    return "NHWC" in (getattr(network, "output_fmt", ""), getattr(layer, "output_fmt", ""))


def _patches(network: nn.Module) -> int | None:
    return getattr(_found(network, "patch_embed"), "num_patches", None)


def _found(network: nn.Module, attribute: str) -> Any:
    """An attribute of the network, or of the one that it wraps."""
    values = (getattr(module, attribute, None) for module in network.modules())
    return next((value for value in values if value is not None), None)
