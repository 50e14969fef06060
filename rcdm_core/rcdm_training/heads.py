"""How the heads of an RCDM begin: whitened, with the best linear guess of the image (`rcdm_core.rcdm.heads`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rcdm_core.rcdm.heads import embedded_images

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from rcdm_core.rcdm.network import Denoiser

MOMENTS = 8192
"""Images from which heads take their moments and first guess."""


def begin_heads(denoiser: Denoiser, images: torch.Tensor, representations: Mapping[str, torch.Tensor]) -> None:
    """Whiten representations and guess the heads.

    Args:
        denoiser: Its heads of the conditions named are set, others stay.
        images: ``[N, 3, S, S]`` in [0, 1], on the denoiser's device.
        representations: Those of the images for each condition, ``[N, D]``.
    """
    targets = embedded_images(images, denoiser.settings.embedding)
    for condition, h in representations.items():
        head = denoiser.head(condition)
        head.fit(h)
        head.guess(h, targets)
