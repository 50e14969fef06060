"""Convolutions of 3 x 3 pixels with a quarter of the multiplications, for processors that multiply in float32.

Winograd's minimal filtering (Lavin and Gray 2016, equation 8): a tile of 4 x 4 outputs is a polynomial product that is
known from its values at 6 x 6 points, ``A.T [(G g G.T) * (B.T d B)] A``, and the products at one point, over all tiles,
are one matrix product. Transforms take as long as what is left to multiply where channels are few, and nearly no time
where they are many: the embedded denoiser draws in three quarters of the time, and trains in seven tenths
(docs/speed.md).

The points are 0, +-2/3, +-3/2 and infinity. Of what is computed, their rounding errors are 1e-6, those of the plain sum
of products 7e-7; the usual 0, +-1, +-2 have 3e-6 (Barabasz et al. 2020 choose points so).
"""

from __future__ import annotations

from typing import Any

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


def transforms() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
    return inputs, kernel, outputs


def _fixed(matrix: np.ndarray) -> torch.Tensor:
    return torch.tensor(matrix, dtype=torch.float32, device="cpu")


_INPUTS, _TAPS, _OUTPUTS = map(_fixed, transforms())
_TURN = _fixed(transforms()[1][:, ::-1] @ np.linalg.pinv(transforms()[1]))
"""From a kernel's values at the points to those of the kernel back to front."""


class WinogradConvolution(nn.Conv2d):
    """A convolution, by Winograd's method where that is quicker: in float32, on a processor, of several channels.

    So are its gradients: that of the images is a convolution again, that of the weights the products' at the points.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """``[N, C, H, W]`` to ``[N, D, H, W]``."""
        if not self._is_quicker(input):
            return super().forward(input)
        weight = self.weight
        if weight.requires_grad and torch.is_grad_enabled():
            kernel = _at_points(weight.detach())
        else:
            kernel = derived(self, lambda: _at_points(weight.detach()))
        made: torch.Tensor = _Convolve.apply(input, weight, kernel).permute(0, 3, 1, 2)
        return made if self.bias is None else made + self.bias[:, None, None]

    def _is_quicker(self, x: torch.Tensor) -> bool:
        plain = (self.kernel_size, self.stride, self.padding, self.dilation, self.groups, self.padding_mode)
        return (
            plain == ((KERNEL, KERNEL), (1, 1), (1, 1), (1, 1), 1, "zeros")
            and x.device.type == "cpu"
            and x.dtype == self.weight.dtype == torch.float32
            and not torch.is_autocast_enabled("cpu")
            and not is_transformed()
            and min(self.in_channels, self.out_channels) >= _FEWEST
            and self.in_channels * self.out_channels <= _MOST
            and x.ndim == 4
            and x.shape[2] % TILE == 0 == x.shape[3] % TILE
            and x.numel() > 0
        )


def is_transformed() -> bool:
    """Whether what a network does is compiled, exported, or transformed by ``torch.func``, and not simply done."""
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()


class _Convolve(torch.autograd.Function):
    """``[N, C, H, W]``, the weight ``[D, C, 3, 3]`` and its values at the points to ``[N, H, W, D]``."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu")
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, weight, kernel)
        return _convolved(x, kernel)

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        x, weight, kernel = ctx.saved_tensors
        of_images, of_weights, _ = ctx.needs_input_grad
        gradient = gradient.permute(0, 3, 1, 2)
        if torch.is_grad_enabled():  # a derivative of it is asked for, too, which PyTorch's has
            how = None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [of_images, of_weights, False]
            return *torch.ops.aten.convolution_backward(gradient, x, weight, *how)[:2], None
        return (
            _convolved(gradient, _turned(kernel)).permute(0, 3, 1, 2) if of_images else None,
            _weight_gradient(x, gradient) if of_weights else None,
            None,
        )


def _convolved(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """``[N, C, H, W]`` to ``[N, H, W, D]``, by a kernel's values at the points, ``[36, C, D]``."""
    parts = []
    for some in _split(x):
        products = torch.bmm(_of_tiles(some), kernel).view(_WIDE, _WIDE, -1)
        made = _OUTPUTS @ (_OUTPUTS @ products).transpose(0, 1)  # [4, 4, N * h * w * D]
        count, height, width = len(some), some.shape[2] // TILE, some.shape[3] // TILE
        made = made.view(TILE, TILE, count, height, width, -1).permute(2, 3, 0, 4, 1, 5)
        parts.append(made.reshape(count, *some.shape[2:], -1))
    return torch.cat(parts)


def _weight_gradient(x: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """``[D, C, 3, 3]`` of images ``[N, C, H, W]`` and the gradient of what they become, ``[N, D, H, W]``."""
    at_points = x.new_zeros(_WIDE**2, x.shape[1], gradient.shape[1])
    for some, theirs in zip(_split(x), _split(gradient), strict=True):
        tiles = theirs.permute(0, 2, 3, 1).unflatten(2, (-1, TILE)).unflatten(1, (-1, TILE))  # [N, h, 4, w, 4, D]
        tiles = tiles.permute(2, 4, 0, 1, 3, 5).reshape(TILE, TILE, -1)
        back = (_OUTPUTS.T @ (_OUTPUTS.T @ tiles).transpose(0, 1)).view(_WIDE**2, -1, gradient.shape[1])
        at_points.baddbmm_(_of_tiles(some).transpose(1, 2), back)
    return torch.einsum("ir,jc,jikd->dkrc", _TAPS, _TAPS, at_points.view(_WIDE, _WIDE, x.shape[1], -1))


def _split(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return x.split(max(1, _TOGETHER // x[0, 0].numel()))


def _of_tiles(x: torch.Tensor) -> torch.Tensor:
    """Images ``[N, C, H, W]``, tile by tile, at the points: ``[36, N * H / 4 * W / 4, C]``, the columns' first."""
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1)).contiguous()  # [N, H + 2, W + 2, C]
    tiles = padded.unfold(1, _WIDE, TILE).unfold(2, _WIDE, TILE)  # [N, h, w, C, 6, 6]
    looked_at = tiles.permute(4, 5, 0, 1, 2, 3).reshape(_WIDE, _WIDE, -1)
    return (_INPUTS @ (_INPUTS @ looked_at).transpose(0, 1)).view(_WIDE**2, -1, x.shape[1])


def _at_points(weight: torch.Tensor) -> torch.Tensor:
    """The values at the points, the columns' first, of a weight ``[D, C, 3, 3]``: ``[36, C, D]``."""
    taps = weight.permute(3, 2, 1, 0).reshape(KERNEL**2, -1)
    return (torch.kron(_TAPS, _TAPS) @ taps).view(_WIDE**2, weight.shape[1], weight.shape[0])


def _turned(kernel: torch.Tensor) -> torch.Tensor:
    """The same of the weight turned by half a circle, ``[36, D, C]``: values tell the coefficients, in any order."""
    return (torch.kron(_TURN, _TURN) @ kernel.flatten(1)).view_as(kernel).transpose(1, 2)
