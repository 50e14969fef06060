"""Where a network computes, in which numbers its matrix products, and what their rounding is.

These are bfloat16 where the processor multiplies it, else float32. It halves what a product moves, and processors with
units for it take a fraction of the time. One without them imitates it, several times slower than float32. What is
accumulated, and what is measured, is float32 on both.
"""

from __future__ import annotations

from itertools import chain

import torch
from torch import nn

PRECISIONS = ("auto", "bf16", "no")
"""``"auto"``: that of `matrix_precision`; ``"no"``: float32 throughout."""


def device_of(network: nn.Module) -> torch.device:
    """The device of a network's weights; the CPU where it has none."""
    return next((tensor.device for tensor in chain(network.parameters(), network.buffers())), torch.device("cpu"))


def matrix_precision(device: torch.device | str) -> torch.dtype:
    """The faster one of bfloat16 and float32 on a device: a property of the hardware, nothing is timed."""
    match torch.device(device).type:
        case "cpu":
            native = torch.cpu._is_avx512_bf16_supported()  # with AMX too; no public name in PyTorch 2.6
        case "cuda":
            native = torch.cuda.is_bf16_supported(including_emulation=False)
        case _:
            native = True
    return torch.bfloat16 if native else torch.float32


def lowered(device: torch.device | str, precision: str = "auto") -> torch.autocast:
    """Context within which networks compute their matrix products in a precision.

    Args:
        device: Where the networks are.
        precision: One of `PRECISIONS`.
    """
    dtype = matrix_precision(device) if precision == "auto" else torch.bfloat16
    return torch.autocast(torch.device(device).type, dtype, precision != "no" and dtype != torch.float32)


def rounding_of(network: nn.Module) -> float:
    """Relative rounding of what a network computes, by the coarsest floats it holds and the products of its device."""
    tensors = [tensor for tensor in chain(network.parameters(), network.buffers()) if tensor.is_floating_point()]
    coarsest = max((torch.finfo(tensor.dtype).eps for tensor in tensors), default=0.0)
    is_tf32 = any(tensor.is_cuda for tensor in tensors)  # where cuDNN takes it for float32
    return max(coarsest, torch.finfo(torch.float32).eps, 2**-11 if is_tf32 else 0)


def differ(one: torch.Tensor, other: torch.Tensor, among: torch.Tensor, rounding: float) -> bool:
    """Whether two rows of representations ``[N, D]`` of the same images differ by more than the order of their sums.

    Args:
        one: Representations.
        other: Of the same images, computed once more.
        among: Of several images ``[M, D]``: the distances between them are the scale.
        rounding: As `rounding_of` says it.
    """
    if one.shape != other.shape:
        return True
    one, other, among = one.double(), other.double(), among.double()  # whose squares are float32 of no scale at all
    typical = torch.pdist(among).median() if len(among) > 1 else torch.zeros(())
    sums = 80 * min(rounding, 2**-11) * among.norm(dim=1).mean()  # 1e-5 in float32
    return not bool((one - other).norm(dim=1).max() <= 5e-3 * typical + sums)
