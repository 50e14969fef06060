"""What is decided before an RCDM is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rcdm_core.errors import UserError, unknown_name
from rcdm_core.rcdm.files import read_card
from rcdm_core.rcdm.network import NetworkSettings
from rcdm_core.rcdm.presets import network_settings
from rcdm_core.training import TrainingSettings

if TYPE_CHECKING:
    from pathlib import Path

PRECISIONS = ("bf16", "no")
LEARNING_RATES = {"embedded": 8e-4, "small": 4e-4, "base": 2e-4, "published": 1e-4}
"""Plateau of the learning rate for each network of `rcdm_core.rcdm.presets.NETWORKS`: larger ones take less."""


@dataclass(frozen=True, kw_only=True)
class RCDMTraining:
    """How an RCDM is trained.

    Attributes:
        network: Shape of the denoiser; it decides the side of the images, and the objective too.
        loop: Steps, batches, rates.
        every: Steps between two looks at held-out images.
        looked_at: Held-out images that are sampled at each look, for each level.
    """

    network: NetworkSettings
    loop: TrainingSettings
    every: int = 250
    looked_at: int = 100


def default_settings(
    *,
    image_size: int = 32,
    network: str | None = None,
    start: Path | None = None,
    every: int = 250,
    looked_at: int = 100,
    learning_rate: float | None = None,
    **loop: Any,
) -> RCDMTraining:
    """Settings by which a few hundred images train for some minutes on a laptop.

    Args:
        image_size: Side in pixels at which the RCDM draws.
        network: A key of `rcdm_core.rcdm.presets.NETWORKS`; None takes the shape of ``start``, else ``"embedded"``.
        start: Folder of an RCDM whose U-Net to begin with.
        every: Steps between two looks at held-out images.
        looked_at: Held-out images sampled at each look.
        learning_rate: None takes that of `LEARNING_RATES`, 4e-4 for a shape without a name.
        **loop: Fields of `TrainingSettings`, where they are not the defaults.

    Raises:
        UserError: An unknown network or precision, images that the network cannot halve, or a number out of range.
    """
    if network is None and start is not None:
        shape = replace(NetworkSettings.from_dict(read_card(start)["network"]), image_size=image_size, whitening=True)
        _require_halving(shape)
    else:
        network = network or "embedded"
        shape = network_settings(network, image_size)
    chosen = {
        "steps": 1000,
        "batch_size": 32,
        "weight_decay": 0.01,
        "ema_decay": 0.999,
        "learning_rate": LEARNING_RATES.get(network or "", 4e-4) if learning_rate is None else learning_rate,
        **loop,
    }
    chosen.setdefault("warmup", max(1, min(100, chosen["steps"] // 10)))
    settings = TrainingSettings(**chosen)
    if settings.precision not in PRECISIONS:
        raise unknown_name("precision", settings.precision, PRECISIONS)
    least = {
        "steps": settings.steps,
        "batch size": settings.batch_size,
        "accumulate": settings.accumulate,
        "every": every,
        "looked at": looked_at - 1,  # a Frechet distance takes two
    }
    for name, value in least.items():
        if value < 1:
            raise UserError(f"{name} is too small", "take at least 1, and look at 2 images or more")
    if not 0 <= settings.ema_decay < 1:
        raise UserError(f"a moving average with decay {settings.ema_decay}", "take 0 for none, or less than 1")
    if not settings.learning_rate > 0:
        raise UserError(f"a learning rate of {settings.learning_rate}", "take one above 0")
    return RCDMTraining(network=shape, loop=settings, every=every, looked_at=looked_at)


def _require_halving(shape: NetworkSettings) -> None:
    divisor = shape.patch * 2 ** (len(shape.channels) - 1)
    if shape.image_size % divisor:
        raise UserError(
            f"this network cannot halve images of {shape.image_size} pixels often enough",
            f"take a multiple of {divisor} pixels",
        )
