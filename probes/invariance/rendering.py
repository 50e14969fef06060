"""Samples from representations: which noise each starts from, and how they are drawn batch by batch.

The starting noise of a sample is a function of ``(seed, image, number of the sample)`` alone. So samples of one image
from its backbone and from its projector, or from ``h(x)`` and from ``h(T(x))``, start from equal noise, and a
difference between two such pictures comes from the representation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from rcdm_core.errors import UserError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probes.invariance.stages import Stages
    from probes.invariance.study import Study
    from rcdm_core.encoders.encoder import Encoder
    from rcdm_core.rcdm import RCDM


@dataclass(frozen=True, eq=False)
class Renderer:
    """An RCDM at work on a study.

    Attributes:
        rcdm: The decoder.
        study: The study.
        stages: Keeps every finished batch.
    """

    rcdm: RCDM
    study: Study
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
            ``[N, K, 3, S, S]`` in [0, 1].
        """
        settings, condition = self.study.settings, f"{self.study.encoder.name}/{level}"
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

        source = h.numpy().tobytes()
        drawn = [
            self.stages.under(source, batch).tensor(f"samples-{name}-{level}", partial(draw, batch))
            for batch in self.study.progress(batches, f"sampling from {condition}", len(batches))
        ]
        return torch.cat(drawn).unflatten(0, (len(images), len(samples)))


def starting_noise(size: int, keys: Sequence[Sequence[int]], *, seed: int) -> torch.Tensor:
    """Standard normal noise ``[N, 3, size, size]`` of N pairs (position of the image, number of the sample)."""
    rows = [np.random.default_rng([seed, *key]).standard_normal((3, size, size), dtype=np.float32) for key in keys]
    return torch.from_numpy(np.stack(rows))


def check_match(encoder: Encoder, levels: Sequence[str], rcdm: RCDM, image_size: int) -> None:
    """Raise a `UserError` unless the RCDM was trained on these levels of this encoder, and for images of this size."""
    for level in levels:
        condition = f"{encoder.name}/{level}"
        if condition not in rcdm.conditions:
            raise unknown_name("condition of this RCDM", condition, rcdm.conditions)
        if rcdm.conditions[condition] != encoder.dimensions[level]:
            raise UserError(
                f"{condition} has {encoder.dimensions[level]} dimensions, this RCDM was trained on "
                f"{rcdm.conditions[condition]}",
                "use the RCDM that was trained for this encoder and level",
            )
    if rcdm.card.get("encoders", {}).get(encoder.name, encoder.fingerprint) != encoder.fingerprint:
        raise UserError(
            f"this RCDM was trained on other weights of {encoder.name}",
            "use the RCDM that was trained for them, or the encoder that it was trained for",
        )
    if image_size != rcdm.image_size:
        raise UserError(
            f"images are {image_size} pixels wide, this RCDM draws {rcdm.image_size}",
            f"load the images at {rcdm.image_size} pixels",
        )
