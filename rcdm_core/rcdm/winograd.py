"""Convolutions of 3 x 3 pixels with a quarter of the multiplications, for processors that multiply in float32.

Winograd's minimal filtering (Lavin and Gray 2016, equation 8): a tile of 4 x 4 outputs is a polynomial product that is
known from its values at 6 x 6 points, ``A.T [(G g G.T) * (B.T d B)] A``, and the products at one point, over all tiles,
are one matrix product. Transforms take as long as what is left to multiply where channels are few, and nearly no time
where they are many: the embedded denoiser takes three quarters of the time (docs/speed.md).

The points are 0, +-2/3, +-3/2 and infinity. Of what is computed, their rounding errors are 1e-6, those of the plain sum
of products 7e-7; the usual 0, +-1, +-2 have 3e-6 (Barabasz et al. 2020 choose points so).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from rcdm_core.derived import derived

TILE, KERNEL = 4, 3
_POINTS = (0.0, 2 / 3, -2 / 3, 3 / 2, -3 / 2)  # and infinity
_WIDE = TILE + KERNEL - 1  # pixels that a tile of outputs looks at, along one axis
_FEWEST = 64  # channels, below which nothing is gained
_MOST = 2**18  # pairs of channels: what is kept of weights takes four times their memory
_TOGETHER = 4096  # pixels, so that a cache holds what is known of them


class WinogradConvolution(nn.Conv2d):
    """A convolution, by Winograd's method where that is quicker: in float32, on a processor, of several channels.

    Nothing is kept for a gradient; where one is asked for, the convolution is PyTorch's.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """``[N, C, H, W]`` to ``[N, D, H, W]``."""
        if not self._is_quicker(input):
            return super().forward(input)
        return torch.cat([self._of_tiles(some) for some in input.split(max(1, _TOGETHER // input[0, 0].numel()))])

    def _is_quicker(self, x: torch.Tensor) -> bool:
        plain = (self.kernel_size, self.stride, self.padding, self.dilation, self.groups, self.padding_mode)
        return (
            plain == ((KERNEL, KERNEL), (1, 1), (1, 1), (1, 1), 1, "zeros")
            and x.device.type == "cpu"
            and x.dtype == self.weight.dtype == torch.float32
            and not torch.is_autocast_enabled("cpu")
            and not (torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad))
            and min(self.in_channels, self.out_channels) >= _FEWEST
            and self.in_channels * self.out_channels <= _MOST
            and x.shape[2] % TILE == 0 == x.shape[3] % TILE
            and x.numel() > 0
        )

    def _of_tiles(self, x: torch.Tensor) -> torch.Tensor:
        count, _, height, width = x.shape
        inputs, _, outputs = (matrix.float() for matrix in transforms())
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1)).contiguous()  # [N, H + 2, W + 2, C]
        tiles = padded.unfold(1, _WIDE, TILE).unfold(2, _WIDE, TILE)  # [N, h, w, C, 6, 6]
        looked_at = tiles.permute(4, 5, 0, 1, 2, 3).reshape(_WIDE, _WIDE, -1)
        points = (inputs @ (inputs @ looked_at).transpose(0, 1)).view(_WIDE**2, -1, self.in_channels)
        products = torch.bmm(points, derived(self, self._at_points)).view(_WIDE, _WIDE, -1)
        made = (outputs @ (outputs @ products).transpose(0, 1)).view(
            TILE, TILE, count, height // TILE, width // TILE, self.out_channels
        )
        image = made.permute(2, 3, 0, 4, 1, 5).reshape(count, height, width, self.out_channels)
        if self.bias is not None:
            image += self.bias
        return image.permute(0, 3, 1, 2)

    def _at_points(self) -> torch.Tensor:
        """The kernel's values at the points, the columns' first, ``[36, C, D]``."""
        _, kernel, _ = transforms()
        values = torch.einsum("ir,jc,dkrc->jikd", kernel, kernel, self.weight.detach().double())
        return values.flatten(0, 1).float().contiguous()


@lru_cache
def transforms() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What leads to values at the points and back, along one axis: ``B.T`` ``[6, 6]``, ``G`` ``[6, 3]``, ``A.T``
    ``[4, 6]``.
    """
    finite = np.array(_POINTS)
    others = [np.delete(finite, i) for i in range(len(finite))]
    inputs = np.zeros((_WIDE, _WIDE))
    kernel = np.zeros((_WIDE, KERNEL))
    outputs = np.zeros((TILE, _WIDE))
    for i, (point, rest) in enumerate(zip(finite, others, strict=True)):
        inputs[i, : _WIDE - 1] = np.poly(rest)[::-1]  # Lagrange's numerators; their denominators are the kernel's
        kernel[i] = point ** np.arange(KERNEL) / np.prod(point - rest)
        outputs[:, i] = point ** np.arange(TILE)
    inputs[-1] = np.poly(finite)[::-1]
    kernel[-1, -1] = outputs[-1, -1] = 1
    return torch.from_numpy(inputs), torch.from_numpy(kernel), torch.from_numpy(outputs)
