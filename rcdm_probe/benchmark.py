"""What the embedded RCDM costs and gives: rates, ranks, and how near its network comes to the machine's peak.

Rates are of work alone, after a warm-up; compare them only within one run, on a machine that does nothing else. Where
two are compared they take turns in one process, so that whatever else the machine does strikes both:

- a real training and a bare loop, step by step. The bare loop does forward pass, backward pass and optimiser step on
  one batch that is there already; the training does all else besides: batches read from disk, noise, gradient norm,
  average of the weights, log. Medians leave out what strikes one;
- ranks in a large gallery and the bare matrix product in the same blocks, some queries each.
"""

from __future__ import annotations

import copy
import threading
import time
import timeit
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import torch
from torch.utils.flop_counter import FlopCounterMode

from rcdm_core.distances import retrieval_ranks
from rcdm_core.precision import device_of, lowered, matrix_precision
from rcdm_core.progress import current, showing, track
from rcdm_core.rcdm import DEFAULT_SOLVER, DEFAULT_STEPS
from rcdm_core.rcdm.diffusion import schedule_for
from rcdm_core.rcdm.network import Denoiser, NetworkSettings
from rcdm_core.rcdm.objective import RCDMLearner
from rcdm_core.rcdm_training.store import Condition, batches, fill_store
from rcdm_core.representations import encode
from rcdm_core.training import TrainingSettings, join_processes, train

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders import Encoder
    from rcdm_core.rcdm import RCDM

PUBLISHED_SOLVER, PUBLISHED_STEPS = "ddpm", 100  # Bordes et al. 2022: ancestral, 1,000 steps respaced to 100

GALLERY, DIMENSION = 50_000, 2_048  # as many as ImageNet's validation images, and features of a ResNet-50
_MATRIX = 2048  # side of the matrices whose product counts as the peak
_REPEATS = 5
_BLOCK, _TURN = 512, 1024  # as of `retrieval_ranks`; queries after which it is the other's turn
_EVERY = 0.01  # seconds between two looks at the memory


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
    encoder: Encoder, rcdm: RCDM, level: str, images: torch.Tensor, *, count: int, seed: int, batch_size: int
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
    represent = partial(encode, encoder, batch_size=batch_size)
    represent(images[:batch_size])  # warm-up
    begun = time.perf_counter()
    gallery = represent(images)[level]
    encoding_rate = len(images) / (time.perf_counter() - begun)

    def sampling(solver: str, steps: int) -> Sampling:
        h, condition = gallery[:count], f"{encoder.name}/{level}"
        draw = partial(rcdm.sample, condition=condition, solver=solver, seed=seed, batch_size=batch_size)
        draw(h[:batch_size], steps=2)  # warm-up
        begun = time.perf_counter()
        samples = draw(h, steps=steps)
        seconds = time.perf_counter() - begun
        ranks = retrieval_ranks(represent(samples)[level], gallery, torch.arange(count))
        return Sampling(solver, steps, count / seconds, ranks.double().reciprocal().numpy())

    default, published = sampling(DEFAULT_SOLVER, DEFAULT_STEPS), sampling(PUBLISHED_SOLVER, PUBLISHED_STEPS)
    device = device_of(rcdm)
    a, b = (torch.randn(_MATRIX, _MATRIX, device=device, dtype=matrix_precision(device)) for _ in range(2))
    peak = 2 * _MATRIX**3 / _fastest(lambda: a @ b, device)
    return Benchmark(default, published, encoding_rate, _denoiser_flops(rcdm, batch_size), peak)


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


def _fastest(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of the fastest of several runs, the first one left out."""
    return min(timeit.repeat(lambda: (work(), clock(device)), number=1, repeat=1 + _REPEATS)[1:])


def clock(device: torch.device) -> float:
    """The time when a GPU has done what it was told."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter()


def training_rates(
    encoder: Encoder,
    level: str,
    images: ImageSet,
    network: NetworkSettings,
    *,
    batch_size: int,
    steps: int,
    seed: int = 0,
) -> tuple[float, float]:
    """Images a second of the training of a fresh network, and of as many bare steps between its own.

    Args:
        encoder: Encoder to train for, on the device to be measured.
        level: Its level.
        images: Some images.
        network: Shape of the network.
        batch_size: Images a step.
        steps: Steps that are measured; one before them and one after them are not.
        seed: Seed of the training.
    """
    device = device_of(encoder)
    condition = f"{encoder.name}/{level}"
    torch.manual_seed(seed)
    learner = RCDMLearner(Denoiser(network, {condition: encoder.dimensions[level]}), schedule_for(network)).to(device)
    settings = TrainingSettings(
        steps=steps + 2,
        batch_size=batch_size,
        learning_rate=1e-4,
        ema_decay=0.999,
        seed=seed,
        checkpoint_every=steps + 2,
    )
    trained: list[float] = []
    bare: list[float] = []
    with TemporaryDirectory() as folder:
        processes, rows = join_processes(device.type), np.arange(len(images))
        place, size = Path(folder) / "store", network.image_size
        store = fill_store(place, encoder, (level,), images, image_size=size, processes=processes)
        draw = batches([Condition(encoder, level, store)], rows, batch_size=batch_size, seed=seed, device=device)
        bared, batch = copy.deepcopy(learner).train(), draw(0, slice(0, batch_size))
        optimizer = torch.optim.AdamW(bared.parameters(), lr=1e-4, fused=True)
        shown = current()

        def in_turn(items: Iterable[Any], description: str, total: int | None = None) -> Iterator[Any]:
            for item in shown(items, description, total):
                begun = time.perf_counter()
                yield item
                middle = clock(device)
                with lowered(device):
                    loss = bared(batch)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                trained.append(middle - begun)
                bare.append(clock(device) - middle)

        with showing(in_turn):
            train(learner, draw, settings, folder=Path(folder) / "training", device=device.type)
    return batch_size / median(trained[1:-1]), batch_size / median(bare[1:-1])


@dataclass(frozen=True)
class RankCost:
    """What ranks cost.

    Attributes:
        queries: How many representations were ranked.
        gallery: Among how many.
        seconds: Time of the ranks.
        bare: Time of the matrix product alone.
        memory: Bytes that the process held at most while it ranked, beyond what it held before; on a GPU, its memory.
    """

    queries: int
    gallery: int
    seconds: float
    bare: float
    memory: int


def rank_cost(queries: int, *, gallery: int = GALLERY, seed: int, device: str | torch.device) -> RankCost:
    """Rank random representations of `DIMENSION` dimensions among random ones.

    Args:
        queries: How many are ranked, at most ``gallery``.
        gallery: Among how many.
        seed: Of the representations.
        device: Where to compute.
    """
    generator = torch.Generator().manual_seed(seed)
    held = torch.randn(gallery, DIMENSION, generator=generator).to(device)
    looking = held[:queries] + 0.1 * torch.randn(queries, DIMENSION, generator=generator).to(device)
    parts = list(zip(looking.split(_TURN), torch.arange(queries, device=held.device).split(_TURN), strict=True))
    retrieval_ranks(looking[:1], held[:_BLOCK], parts[0][1][:1])  # warm-up
    seconds, bare, memory = 0.0, 0.0, 0
    for part, targets in track(parts, "ranks in a large gallery", len(parts)):
        begun = clock(held.device)
        for rows in held.split(_BLOCK):
            for query in part.split(_BLOCK):
                query @ rows.T
        middle = clock(held.device)
        with _Watch(held.device) as watch:
            retrieval_ranks(part, held, targets, block=_BLOCK)
        seconds, bare = seconds + clock(held.device) - middle, bare + middle - begun
        memory = max(memory, watch.most)
    return RankCost(queries, gallery, seconds, bare, memory)


class _Watch:
    """Looks at the memory while the block runs.

    Attributes:
        most: Bytes held at most, beyond those held at the start.
    """

    def __init__(self, device: torch.device) -> None:
        self.most, self._device, self._done = 0, device, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> _Watch:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        self._before = self._held()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        if self._device.type == "cuda":
            self.most = torch.cuda.max_memory_allocated(self._device) - self._before

    def _look(self) -> None:
        while not self._done.wait(_EVERY):
            self.most = max(self.most, self._held() - self._before)

    def _held(self) -> int:
        if self._device.type == "cuda":
            return torch.cuda.memory_allocated(self._device)
        return psutil.Process().memory_info().rss
