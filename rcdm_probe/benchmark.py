"""What the embedded RCDM costs and gives: rates, ranks, and how near its network comes to the machine's peak.

Rates are of work alone, after a warm-up; compare them only within one run, on a machine that does nothing else.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

from rcdm_core.distances import retrieval_ranks
from rcdm_core.placement import device_of
from rcdm_core.precision import lowered, matrix_precision
from rcdm_core.rcdm import DEFAULT_SOLVER, DEFAULT_STEPS
from rcdm_core.representations import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from rcdm_core.encoders import Encoder
    from rcdm_core.rcdm import RCDM

PUBLISHED_SOLVER, PUBLISHED_STEPS = "ddpm", 100  # Bordes et al. 2022: ancestral, 1,000 steps respaced to 100

_MATRIX = 2048  # side of the matrices whose product counts as the peak
_REPEATS = 5


@dataclass(frozen=True)
class Sampling:
    """How a solver did.

    Attributes:
        solver: Its name.
        steps: Its steps.
        rate: Samples a second.
        reciprocal_ranks: 1 / rank of each conditioning representation, seen from its sample's, ``[N]``.
    """

    solver: str
    steps: int
    rate: float
    reciprocal_ranks: np.ndarray


@dataclass(frozen=True)
class Benchmark:
    """What one run measured.

    Attributes:
        default: The default solver.
        published: The published setting, on the same network, representations and noise.
        encoding_rate: Representations a second.
        denoiser_flops: Operations a second in the denoiser's forward pass.
        peak_flops: Operations a second in a large matrix product of the same precision.
    """

    default: Sampling
    published: Sampling
    encoding_rate: float
    denoiser_flops: float
    peak_flops: float


def run_benchmark(
    encoder: Encoder,
    rcdm: RCDM,
    level: str,
    images: torch.Tensor,
    *,
    count: int,
    seed: int,
    batch_size: int,
) -> Benchmark:
    """Encode the images, sample from the first of their representations with two solvers, and see where that leads.

    Args:
        encoder: Encodes images and samples.
        rcdm: Draws the samples; on the encoder's device.
        level: Level of the encoder.
        images: ``[M, 3, S, S]``; their representations are the gallery of the ranks.
        count: How many of them are sampled, one picture each.
        seed: Of the starting noise, and of the noise that the ancestral solver adds.
        batch_size: Images, and samples, at once.
    """
    encode(encoder, images[:batch_size], batch_size=batch_size)  # warm-up
    begun = time.perf_counter()
    gallery = encode(encoder, images, batch_size=batch_size)[level]
    encoding_rate = len(images) / (time.perf_counter() - begun)

    def sampling(solver: str, steps: int) -> Sampling:
        h, condition = gallery[:count], f"{encoder.name}/{level}"
        rcdm.sample(h[:batch_size], condition, steps=2, solver=solver)  # warm-up
        begun = time.perf_counter()
        samples = rcdm.sample(h, condition, steps=steps, solver=solver, seed=seed, batch_size=batch_size)
        seconds = time.perf_counter() - begun
        of_samples = encode(encoder, samples, batch_size=batch_size)[level]
        ranks = retrieval_ranks(of_samples, gallery, torch.arange(count))
        return Sampling(solver, steps, count / seconds, ranks.double().reciprocal().numpy())

    return Benchmark(
        default=sampling(DEFAULT_SOLVER, DEFAULT_STEPS),
        published=sampling(PUBLISHED_SOLVER, PUBLISHED_STEPS),
        encoding_rate=encoding_rate,
        denoiser_flops=_denoiser_flops(rcdm, batch_size),
        peak_flops=_peak_flops(device_of(rcdm)),
    )


def _denoiser_flops(rcdm: RCDM, batch_size: int) -> float:
    """Operations a second in the denoiser's forward pass; a multiply-add counts as two."""
    device = device_of(rcdm)
    images, t = torch.rand(batch_size, 3, rcdm.image_size, rcdm.image_size, device=device), torch.tensor(500).to(device)
    condition, dimension = next(iter(rcdm.conditions.items()))

    @torch.inference_mode()
    def forward() -> None:
        embedding = rcdm.denoiser.embed([(condition, torch.zeros(batch_size, dimension, device=device))])
        with lowered(device):
            rcdm.denoiser(images, t, embedding)

    with FlopCounterMode(display=False) as counter:
        forward()
    return counter.get_total_flops() / _fastest(forward, device)


def _peak_flops(device: torch.device) -> float:
    """Operations a second in a large matrix product, in the precision of the denoiser."""
    a, b = (torch.randn(_MATRIX, _MATRIX, device=device, dtype=matrix_precision(device)) for _ in range(2))
    return 2 * _MATRIX**3 / _fastest(lambda: a @ b, device)


def _fastest(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of the fastest of several runs, the first one left out."""
    work()
    seconds = []
    for _ in range(_REPEATS):
        wait_for(device)
        begun = time.perf_counter()
        work()
        wait_for(device)
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def wait_for(device: torch.device) -> None:
    """Return when a GPU has done what it was told, so that a clock may be read."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
