"""The trunk as it is trained: its last convolutions as matrix products, which take a fifth of the time on a processor.

They see 3 x 3 and 2 x 2 pixels, where kernels for convolutions compute mostly with the padding. An output pixel of so
small an image depends on nearly all of it. The sums are the same in another order, and so are the names of the weights.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import nn

from rcdm_core.encoders.embedded import trunk

_NONE = 9  # the place behind a kernel's nine weights: no weight joins these two pixels


class WholeImageConvolution(nn.Conv2d):
    """A 3 x 3 convolution with padding 1, as one product with a matrix from all input to all output pixels."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """``[N, C, H, H]`` to ``[N, D, H', H']``."""
        side, stride = input.shape[-1], self.stride[0]
        joins = _joins(side, stride).to(input.device)  # [P, Q]
        weights = F.pad(self.weight.flatten(2).permute(2, 1, 0), (0, 0, 0, 0, 0, 1))  # [9 + 1, C, D]
        matrix = weights[joins.flatten()].unflatten(0, joins.shape).transpose(1, 2).flatten(2).flatten(0, 1)
        pixels = input.permute(0, 2, 3, 1).flatten(1) @ matrix
        return pixels.unflatten(1, (-(-side // stride), -(-side // stride), self.out_channels)).permute(0, 3, 1, 2)


def training_trunk() -> nn.Module:
    """`rcdm_core.encoders.embedded.trunk` for training on small views."""
    network = trunk()
    for name in ("layer4.0.conv1", "layer4.0.conv2"):
        network.get_submodule(name).__class__ = WholeImageConvolution
    return network


@lru_cache
def _joins(side: int, stride: int) -> torch.Tensor:
    """Which of the nine weights joins input pixel p with output pixel q, ``[side**2, (side / stride)**2]``."""
    tap = torch.arange(side)[:, None] - torch.arange(0, side, stride)[None, :] + 1  # along one axis
    near = (tap >= 0) & (tap < 3)
    rows, columns = tap[:, None, :, None], tap[None, :, None, :]
    joined = torch.where(near[:, None, :, None] & near[None, :, None, :], 3 * rows + columns, _NONE)
    return joined.flatten(2).flatten(0, 1)
