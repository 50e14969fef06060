"""What an RCDM in training makes of images that it is not trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from rcdm_core.fidelity import fidelity_scores, frechet_distance
from rcdm_core.precision import device_of, lowered
from rcdm_core.rcdm_training.material import Material, spread
from rcdm_core.representations import encode

if TYPE_CHECKING:
    from rcdm_core.rcdm.objective import Batch, RCDMLearner
    from rcdm_core.rcdm.rcdm import RCDM
    from rcdm_core.rcdm_training.store import Condition

PICTURED, SAMPLES = 8, 4  # rows of the picture, and its samples in a row for each level


@dataclass(frozen=True, eq=False)
class Observation:
    """How far a training has come.

    Attributes:
        step: Steps done.
        fidelity: One row a condition: ``level`` (with the encoder where there are several), ``MRR``, ``mean rank``,
            ``median rank`` (of the representation a sample
            was drawn from, among ``gallery`` images seen from the sample's representation), ``frechet`` (between
            ``samples`` samples and the images they were drawn from, in the encoder's units) and ``frechet relative``
            (over the root of the variance of those images' representations: 1 is as far as one image is from the mean).
        originals: Held-out images ``[R, 3, S, S]`` in [0, 1].
        samples: ``[R, K, 3, S, S]`` for each level; the K noises are the same for all rows and levels.
    """

    step: int
    fidelity: tuple[Mapping[str, Any], ...]
    originals: torch.Tensor
    samples: Mapping[str, torch.Tensor]


def observe(rcdm: RCDM, material: Material, step: int) -> Observation:
    """Sample held-out images at every condition after ``step`` steps, from equal noise, and encode the samples."""
    pictured = spread(material.held_out.rows, PICTURED)
    fidelity, samples = [], {}
    for label, one in material.labels.items():
        h = one.representations(material.held_out.rows)
        fidelity.append({"level": label, **scores(rcdm, material, one, h)})
        samples[label] = draw_repeatedly(rcdm, material, one, one.representations(pictured))
    return Observation(step, tuple(fidelity), material.images(pictured), samples)


def scores(rcdm: RCDM, material: Material, one: Condition, given: torch.Tensor) -> dict[str, Any]:
    """How well what is drawn from representations ``given`` ``[N, D]`` is known again as the held-out images."""
    held_out = material.held_out
    drawn = rcdm.sample(given, one.name, seed=material.seed, batch_size=128)
    of_samples = encode(one.encoder, drawn)[one.level]
    h = one.representations(held_out.rows)
    distance = frechet_distance(of_samples, h)
    return {
        **fidelity_scores(of_samples, one.representations(held_out.gallery)),
        "frechet": distance,
        "frechet relative": distance / (h - h.mean(0)).square().sum(1).mean().sqrt().item(),
        "samples": len(h),
        "gallery": len(held_out.gallery),
    }


def draw_repeatedly(rcdm: RCDM, material: Material, one: Condition, h: torch.Tensor) -> torch.Tensor:
    """`SAMPLES` samples of each representation ``[R, D]``, ``[R, K, 3, S, S]``; the K noises are the same for all."""
    noise = rcdm.noise(SAMPLES, material.seed).repeat(len(h), 1, 1, 1)
    again = h.repeat_interleave(SAMPLES, 0)
    drawn = rcdm.sample(again, one.name, noise=noise, seed=material.seed, batch_size=128)
    return drawn.unflatten(0, (len(h), SAMPLES))


def share_within(samples: torch.Tensor) -> float:
    """Share of the variance of samples ``[R, K, ...]`` that lies within the K of one h: 1 where h says nothing.

    Sample k of every h starts from noise k, so that what noises do to all alike is in no difference between the means
    over K. What these hold besides is a K-th of the interaction of h and noise, and is taken off.
    """
    rows, columns = samples.shape[:2]
    within, means = samples.var(1).mean(), samples.mean(1, keepdim=True)
    apart = samples - means - samples.mean(0, keepdim=True) + means.mean(0, keepdim=True)
    interaction = apart.square().sum((0, 1)).mean() / ((rows - 1) * (columns - 1))
    between = (means.var(0).mean() - interaction / columns).clamp(min=0)
    return (within / (within + between)).item()


@torch.no_grad()
def held_out_loss(learner: RCDMLearner, draw: Callable[[int, slice], Batch], batches: int, precision: str) -> float:
    """Mean loss of a learner in evaluation mode over the first ``batches`` that are drawn, the same at every look."""
    with lowered(device_of(learner), precision):
        losses = [learner(draw(step, slice(None))).item() for step in range(batches)]
    return sum(losses) / len(losses)
