"""What an encoder does with a few fixed images: by that it is known again, and seen to be one that can be measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from rcdm_core.errors import UserError, first_line
from rcdm_core.placement import device_of

if TYPE_CHECKING:
    from rcdm_core.encoders.encoder import Encoder


def fixed_images(size: int) -> torch.Tensor:
    """Stripes, a dark slope, bright blocks and noise: ``[4, 3, size, size]`` in [0, 1], on every machine the same bits.

    That is why they are drawn in integers, of 8 bits as those of pictures.
    """
    y, x = np.mgrid[:size, :size] * 256 // size
    stripes = [abs((a * x + b * y) % 128 - 64) * 3 + 30 for a, b in ((3, 1), (0, 5), (-4, 2))]
    slope = [x // 4, y // 4, (510 - x - y) // 8]
    blocks = [230 - 110 * (x * 3 // 256 % 2), 230 - 80 * (y * 5 // 256 % 2), 250 - 90 * ((x + y) * 2 // 256 % 2)]
    noise = np.random.Generator(np.random.Philox(0)).integers(0, 256, (3, size, size))
    return torch.from_numpy(np.stack([stripes, slope, blocks, noise]).astype(np.uint8)) / 255


def refuse_without_gradients(encoder: Encoder, level: str = "backbone") -> None:
    """Raise a `UserError` unless gradients pass from a level to the images; that they vanish is another matter."""
    images = fixed_images(encoder.image_size)[[0, 3]].to(device_of(encoder)).requires_grad_()
    try:
        with torch.enable_grad():
            h = encoder(images)[level]
            reason = "" if h.requires_grad else "it computes without them (no_grad, detach or NumPy)"
            if not reason:
                (gradients,) = torch.autograd.grad(h.sum(), images, allow_unused=True)
                if gradients is None:
                    reason = "what it gives does not depend on the images"
                elif not gradients.isfinite().all():
                    reason = "they are NaN or infinite"
    except RuntimeError as error:  # a part that cannot be gone through backwards
        reason = f"{type(error).__name__}: {first_line(error)}"
    if reason:
        raise UserError(
            f"gradients do not pass through {encoder.name} at level {level!r}: {reason}",
            "an attack needs them; let the network and its preprocessing compute on tensors throughout",
        )
