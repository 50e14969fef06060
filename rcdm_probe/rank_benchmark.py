"""What ranks among a large gallery cost, beside the bare matrix product in the same blocks.

Time is taken of both in turn, some queries each, so that a machine that slows down slows both.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import psutil
import torch

from rcdm_core.distances import retrieval_ranks
from rcdm_core.progress import track
from rcdm_probe.benchmark import wait_for

GALLERY, DIMENSION = 50_000, 2_048  # as many as ImageNet's validation images, and features of a ResNet-50
_BLOCK, _TURN = 512, 1024  # as of `retrieval_ranks`; queries after which it is the other's turn
_EVERY = 0.01  # seconds between two looks at the memory


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
        begun = _now(held.device)
        for rows in held.split(_BLOCK):
            for query in part.split(_BLOCK):
                query @ rows.T
        middle = _now(held.device)
        with _Watch(held.device) as watch:
            retrieval_ranks(part, held, targets, block=_BLOCK)
        seconds, bare = seconds + _now(held.device) - middle, bare + middle - begun
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


def _now(device: torch.device) -> float:
    wait_for(device)
    return time.perf_counter()
