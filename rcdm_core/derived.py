"""What is computed from a layer's weights, kept with the layer as long as they are what they were."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import torch
from torch import nn


def derived(layer: nn.Conv2d, compute: Callable[[], torch.Tensor], *how: Hashable) -> torch.Tensor:
    """What ``compute`` makes of the weights of a layer; of one at a time, the last.

    Args:
        layer: Its weights may be changed in place, or put in the place of others.
        compute: Called where nothing is kept that was made of these weights in this way.
        *how: What it depends on besides.
    """
    weight = layer.weight
    of = *how, weight.data_ptr(), None if weight.is_inference() else weight._version
    kept = getattr(layer, "_derived", None)
    if kept is None or kept[0] != of:
        with torch.inference_mode(False):  # an attack may come to need the gradient of what is made with it
            # The weights are kept with it, so that no others can come to lie where they did.
            kept = of, weight.detach(), compute()
            layer._derived = kept  # type: ignore[assignment]
    made: torch.Tensor = kept[2]
    return made
