"""In which numbers matrix products are computed: bfloat16 where the processor multiplies it, else float32.

bfloat16 halves what a product moves, and processors with units for it take a fraction of the time. One without them
imitates it, several times slower than float32. What is accumulated, and what is measured, is float32 on both.
"""

from __future__ import annotations

from functools import lru_cache

import torch

PRECISIONS = ("auto", "bf16", "no")
"""``"auto"``: that of `matrix_precision`; ``"no"``: float32 throughout."""


def matrix_precision(device: torch.device | str) -> torch.dtype:
    """The faster one of bfloat16 and float32 on a device: a property of the hardware, nothing is timed."""
    match torch.device(device).type:
        case "cpu":
            native = _cpu_multiplies_bfloat16()
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
    enabled = precision != "no" and dtype != torch.float32
    return torch.autocast(torch.device(device).type, dtype, enabled=enabled)


@lru_cache(maxsize=1)
def _cpu_multiplies_bfloat16() -> bool:
    return torch.cpu._is_avx512_bf16_supported()  # processors with AMX have it too; no public name in PyTorch 2.6
