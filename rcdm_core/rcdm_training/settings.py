"""What is decided before an RCDM is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from rcdm_core.bounds import LARGEST_COUNT, check_numbers, check_whole
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.precision import PRECISIONS
from rcdm_core.rcdm.network import NetworkSettings, network_settings
from rcdm_core.training import TrainingSettings

if TYPE_CHECKING:
    from rcdm_core.rcdm.rcdm import RCDM

LEARNING_RATES = {"embedded": 8e-4, "small": 4e-4, "base": 2e-4, "published": 1e-4}
"""Plateau of the learning rate for each network of `rcdm_core.rcdm.network.NETWORKS`: larger ones take less."""

OTHER_LEARNING_RATE = 4e-4
"""The same for a shape that has no name."""


@dataclass(frozen=True)
class RCDMTraining:
    """How an RCDM is trained.

    Attributes:
        network: Shape of the denoiser; it decides the side of the images, and the objective too.
        loop: Steps, batches, rates.
        every: Steps between two looks at held-out images.
        looked_at: Held-out images that are sampled at each look, for each level.
        images: How many are taken at most, a seeded random choice; None takes all.
        start: An RCDM whose U-Net to begin with, of the shape of ``network``; heads begin by what it reads
            (`rcdm_core.rcdm_training.beginning`). None for none.
        shares: Images of a condition such as ``"vicreg/backbone"`` for each one of a condition that is not named.
        calls: Of ``start`` as it is, the steps of DDIM that it is taught to draw in; 0 trains on the images themselves.

    Raises:
        UserError: An unknown precision, or a number out of range.
    """

    network: NetworkSettings
    loop: TrainingSettings
    every: int = 250
    looked_at: int = 100
    images: int | None = None
    start: RCDM | None = None
    shares: Mapping[str, int] = field(default_factory=dict)
    calls: int = 0

    def __post_init__(self) -> None:
        loop = self.loop
        check_numbers(loop, steps=(1, LARGEST_COUNT))
        check_numbers(self)
        if loop.precision not in PRECISIONS:
            raise unknown_name("precision", loop.precision, PRECISIONS)
        if min(loop.steps, loop.batch_size, loop.accumulate, self.every) < 1 or self.looked_at < 2:
            raise UserError(
                "steps, batch size, accumulate and every are at least 1, looked at at least 2",
                f"they are {loop.steps}, {loop.batch_size}, {loop.accumulate}, {self.every} and {self.looked_at}",
            )
        if not 0 <= loop.ema_decay < 1:
            raise UserError(f"a moving average with decay {loop.ema_decay}", "take 0 for none, or less than 1")
        if not loop.learning_rate > 0:
            raise UserError(f"a learning rate of {loop.learning_rate}", "take one above 0")
        if self.calls and self.start is None:
            raise UserError("there is nothing to distil", "give the RCDM to start with")


def default_settings(
    *,
    image_size: int = 32,
    network: str | None = None,
    start: RCDM | None = None,
    learning_rate: float | None = None,
    steps: int = 1000,
    **given: Any,
) -> RCDMTraining:
    """Settings by which a few hundred images train for some minutes on a laptop.

    Args:
        image_size: Side in pixels at which the RCDM draws.
        network: A key of `rcdm_core.rcdm.network.NETWORKS`; None takes the shape of ``start``, else ``"embedded"``.
        start: An RCDM whose U-Net to begin with; None for a fresh one.
        learning_rate: None takes that of the network's name.
        steps: Optimiser steps.
        **given: Other fields of `RCDMTraining` and `TrainingSettings`, where they are not the defaults.

    Raises:
        UserError: An unknown network or precision, a network of another shape than ``start``, images that the network
            cannot halve, or a number out of range.
    """
    _refuse_distilled(start)
    name = network if network is not None or start is not None else "embedded"
    rate = LEARNING_RATES.get(name or "", OTHER_LEARNING_RATE) if learning_rate is None else learning_rate
    shape = _shape(name, None if start is None else start.denoiser.settings, image_size)
    loop, besides = _loop(
        given,
        steps=steps,
        batch_size=32,
        learning_rate=rate,
        weight_decay=0.01,
        warmup=max(1, min(100, steps // 10)),
        ema_decay=0.999,
    )
    return RCDMTraining(shape, loop, start=start, **besides)


def _loop(given: Mapping[str, Any], **usual: Any) -> tuple[TrainingSettings, dict[str, Any]]:
    """The loop of settings that are given, the others as usual; and those that are not of a loop."""
    of_loop = {one.name for one in fields(TrainingSettings)}
    chosen = {name: value for name, value in given.items() if name in of_loop}
    return TrainingSettings(**{**usual, **chosen}), {k: v for k, v in given.items() if k not in of_loop}


def _shape(name: str | None, start: NetworkSettings | None, image_size: int) -> NetworkSettings:
    """The shape of a name, or of what is begun with; where both are given they must agree."""
    if start is None:
        return network_settings(name or "embedded", image_size)
    theirs = replace(start, image_size=image_size, whitening=True)  # heads are made anew
    if image_size % theirs.multiple:
        raise UserError(
            f"the network of --start cannot halve images of {image_size} pixels often enough",
            f"take a multiple of {theirs.multiple} pixels",
        )
    if name is None:
        return theirs
    ours = network_settings(name, image_size)
    mine = asdict(ours)
    differing = [f"{key} {value}, not {mine[key]}" for key, value in asdict(theirs).items() if value != mine[key]]
    if differing:
        raise UserError(f"the network of --start is not {name}: it has {', '.join(differing)}", "leave out --network")
    return ours


def _refuse_distilled(rcdm: RCDM | None) -> None:
    """Raise a `UserError` for what has lost how it drew in many steps, which training goes by."""
    if rcdm is not None and rcdm.calls is not None:
        raise UserError(f"this RCDM was distilled already, to {rcdm.calls} steps", "take the one that it was made of")


def distillation_settings(rcdm: RCDM, *, calls: int, **given: Any) -> RCDMTraining:
    """Settings by which an RCDM comes to draw in few steps.

    Args:
        rcdm: The RCDM.
        calls: Steps of DDIM.
        **given: Other fields of `RCDMTraining` and `TrainingSettings`, where they are not the defaults.

    Raises:
        UserError: It was distilled already, is several that were joined, or a number is out of range.
    """
    _refuse_distilled(rcdm)
    if "members" in rcdm.card:
        raise UserError("several RCDMs that were joined are not one", "distil each of them")
    check_whole("calls", calls, 1, min(64, rcdm.schedule.config["num_train_timesteps"]))
    loop, besides = _loop(given, batch_size=64, weight_decay=0.0, warmup=50, ema_decay=0.995)
    return RCDMTraining(rcdm.denoiser.settings, loop, start=rcdm, calls=calls, **besides)


@dataclass(frozen=True)
class Adaptation:
    """How heads for new encoders are put on a denoiser.

    Attributes:
        rcdm: Whose denoiser; with a third stage it is this very one that is trained.
        heads: Loop of the second stage, with its most steps.
        whole: Loop of the third; None for none.
        every: Steps of the second stage between two looks at the loss on held-out images.
        patience: Looks without a better one after which it ends.
        looked_at: Held-out images that are sampled after each stage, for each level.
        images: How many are taken at most, a seeded random choice; None takes all.

    Raises:
        UserError: An unknown precision, or a number out of range.
    """

    rcdm: RCDM
    heads: TrainingSettings
    whole: TrainingSettings | None = None
    every: int = 50
    patience: int = 4
    looked_at: int = 100
    images: int | None = None

    def __post_init__(self) -> None:
        for loop in (self.heads, *([self.whole] if self.whole else [])):
            both = {name: getattr(self, name) for name in ("every", "looked_at", "images")}
            RCDMTraining(self.rcdm.denoiser.settings, loop, **both)  # refuses what no training takes


def adaptation_settings(
    rcdm: RCDM, *, steps: int, whole: int, learning_rate: float, whole_rate: float, **given: Any
) -> Adaptation:
    """Settings of both loops.

    Args:
        rcdm: Whose denoiser.
        steps: Of the second stage, at most.
        whole: Of the third; 0 for none.
        learning_rate: Of the second.
        whole_rate: Of the third.
        **given: Other fields of `Adaptation` and `TrainingSettings`.
    """
    _refuse_distilled(rcdm)
    usual = {"weight_decay": 0.0, "warmup": 20, "ema_decay": 0.99}
    loop, besides = _loop(given, steps=steps, learning_rate=learning_rate, **usual)
    further = replace(loop, steps=whole, learning_rate=whole_rate, weight_decay=0.01, ema_decay=0.999)
    return Adaptation(rcdm, loop, further if whole else None, **besides)
