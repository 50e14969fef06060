"""How the heads of an RCDM begin: whitened, with the best linear guess of the image (`rcdm_core.rcdm.heads`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from rcdm_core.rcdm.heads import RepresentationHead, embedded_images

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        _begin(denoiser.head(condition), h, targets)


@torch.no_grad()
def hand_over_heads(
    denoiser: Denoiser, former: Mapping[str, torch.Tensor], representations: Mapping[str, torch.Tensor]
) -> None:
    """Let heads read an encoder that was trained further, as nearly as they read it before.

    Args:
        denoiser: Its heads of the conditions named are set, others stay.
        former: Representations that the heads were trained on, ``[N, D]`` for each condition.
        representations: Those of the same images now.
    """
    for condition, h in representations.items():
        head = denoiser.head(condition)
        _begin(head, h, head(former[condition].to(head.mean.device)))


def _begin(head: RepresentationHead, h: torch.Tensor, targets: torch.Tensor) -> None:
    h = h.to(targets.device)
    head.fit(h)
    head.guess(h, targets)
