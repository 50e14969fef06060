"""Samples from representations: which noise each starts from, and how they are drawn batch by batch.

The starting noise of a sample is a function of ``(seed, image, number of the sample)`` alone. So samples of one image
from its backbone and from its projector, or from ``h(x)`` and from ``h(T(x))``, start from equal noise, and a
difference between two such pictures comes from the representation.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from rcdm_core.errors import UserError
from rcdm_core.progress import track
from rcdm_core.rcdm import DEFAULT_SOLVER, DEFAULT_STEPS
from rcdm_core.rcdm.rcdm import unknown_condition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probes.stages import Stages
    from rcdm_core.encoders.encoder import Encoder
    from rcdm_core.rcdm import RCDM


@dataclass(frozen=True, kw_only=True)
class RenderingSettings:
    """How samples are drawn.

    Attributes:
        steps: Solver steps of a sample.
        solver: Name of the solver.
        seed: Seed of the starting noise, and of the noise that an ancestral solver adds.
        batch_size: Samples at once; an interrupted run loses at most one batch.
    """

    steps: int = DEFAULT_STEPS
    solver: str = DEFAULT_SOLVER
    seed: int = 0
    batch_size: int = 128


@dataclass(frozen=True, eq=False)
class Renderer:
    """An RCDM at work on the representations of one encoder.

    Attributes:
        rcdm: The decoder.
        encoder: Name of the encoder.
        settings: How samples are drawn.
        stages: Keeps every finished batch.
    """

    rcdm: RCDM
    encoder: str
    settings: RenderingSettings
    stages: Stages

    def render(
        self, name: str, level: str, h: torch.Tensor, images: Sequence[int], samples: Sequence[int]
    ) -> torch.Tensor:
        """Samples of representations, each from the noises of the image it belongs to.

        Args:
            name: Names the files of the samples.
            level: Level of the representations.
            h: Representations ``[N, D]``.
            images: Position in the data set of the image that each belongs to, ``[N]``.
            samples: Numbers of the K samples that each is given.

        Returns:
            ``[N, K, 3, S, S]`` in [0, 1], at the size of the RCDM.
        """
        settings, condition = self.settings, f"{self.encoder}/{level}"
        rows = [(row, image, sample) for row, image in enumerate(images) for sample in samples]
        batches = [rows[i : i + settings.batch_size] for i in range(0, len(rows), settings.batch_size)]

        def draw(batch: list[tuple[int, int, int]]) -> torch.Tensor:
            return self.rcdm.sample(
                h[[row for row, _, _ in batch]],
                condition,
                noise=starting_noise(self.rcdm.image_size, [key for _, *key in batch], seed=settings.seed),
                steps=settings.steps,
                solver=settings.solver,
                seed=settings.seed,
                batch_size=settings.batch_size,
            )

        source = hashlib.sha256(h.numpy().tobytes()).hexdigest()
        kept = self.stages.under(self.rcdm.fingerprint, condition, settings, source)
        drawn = [
            kept.under(batch).tensor(f"samples-{name}-{level.replace('/', '-')}", partial(draw, batch))
            for batch in track(batches, f"sampling from {condition}", len(batches))
        ]
        return torch.cat(drawn).unflatten(0, (len(images), len(samples)))


def starting_noise(size: int, keys: Sequence[Sequence[int]], *, seed: int) -> torch.Tensor:
    """Standard normal noise ``[N, 3, size, size]`` of N pairs (position of the image, number of the sample)."""
    rows = [np.random.default_rng([seed, *key]).standard_normal((3, size, size), dtype=np.float32) for key in keys]
    return torch.from_numpy(np.stack(rows))


def drawable(encoder: Encoder, levels: Sequence[str], rcdm: RCDM) -> tuple[str, ...]:
    """Those of an encoder's levels that the RCDM was trained on."""
    return tuple(level for level in levels if f"{encoder.name}/{level}" in rcdm.conditions)


def check_match(encoder: Encoder, levels: Sequence[str], rcdm: RCDM) -> None:
    """Raise a `UserError` unless the RCDM was trained on this encoder, with these weights, at one of these levels."""
    known = drawable(encoder, levels, rcdm)
    if not known:
        raise unknown_condition(f"{encoder.name}/{levels[0]}", rcdm.conditions)
    for level in known:
        trained = rcdm.conditions[f"{encoder.name}/{level}"]
        if trained != encoder.dimensions[level]:
            raise UserError(
                f"{encoder.name}/{level} has {encoder.dimensions[level]} dimensions, "
                f"this RCDM was trained on {trained}",
                "use the RCDM that was trained for this encoder and level",
            )
    weights = encoder.network_fingerprint
    if rcdm.card.get("encoders", {}).get(encoder.name, weights) != weights:
        raise UserError(
            f"this RCDM was trained on other weights of {encoder.name}",
            "use the RCDM that was trained for them",
        )
