"""The representation-conditional diffusion model (Bordes, Balestriero, Vincent 2022): images from representations."""

from __future__ import annotations

import inspect
import zlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from rcdm_core.errors import UserError, unknown_name
from rcdm_core.fingerprint import fingerprint
from rcdm_core.progress import Progress, silent
from rcdm_core.rcdm.diffusion import build_schedule
from rcdm_core.rcdm.solvers import build_solver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rcdm_core.rcdm.network import Denoiser

DEFAULT_SOLVER, DEFAULT_STEPS = "dpmsolver++", 12


class RCDM(nn.Module):
    """A trained denoiser that samples images from representations.

    Args:
        denoiser: Trained network.
        card: How it was trained and what it scores.
    """

    def __init__(self, denoiser: Denoiser, *, card: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.denoiser, self.schedule, self.card = denoiser, build_schedule(), dict(card or {})
        self.eval().requires_grad_(False)

    @property
    def conditions(self) -> dict[str, int]:
        """Dimension of each condition, as ``{"vicreg/backbone": 384}``."""
        return self.denoiser.conditions

    @property
    def image_size(self) -> int:
        """Side of the images in pixels."""
        return self.denoiser.settings.image_size

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights."""
        return fingerprint(self)

    def noise(self, count: int, *, seed: int) -> torch.Tensor:
        """Starting noise ``[count, 3, S, S]``; the first images of a longer draw are those of a shorter one."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(count, 3, self.image_size, self.image_size, generator=generator)

    @torch.inference_mode()
    def sample(
        self,
        h: torch.Tensor,
        condition: str,
        *,
        noise: torch.Tensor | None = None,
        steps: int = DEFAULT_STEPS,
        solver: str = DEFAULT_SOLVER,
        seed: int = 0,
        batch_size: int = 256,
        progress: Progress = silent,
    ) -> torch.Tensor:
        """One image for each representation, without guidance.

        Args:
            h: Representations ``[N, D]``; repeat one to sample it several times.
            condition: Encoder and level they come from, a key of `conditions`.
            noise: Starting noise ``[N, 3, S, S]``; by default drawn from ``seed``. Equal noise for two representations
                gives images whose difference comes from the representation.
            steps: Network evaluations for each image.
            solver: A key of `rcdm_core.rcdm.solvers.SOLVERS`.
            seed: Of the starting noise, and of the noise that the ancestral solver adds.
            batch_size: Images at once.
            progress: Wraps the loop over batches.

        Returns:
            Images ``[N, 3, S, S]`` in [0, 1], on the CPU.

        Raises:
            UserError: Unknown condition or solver, or representations of another dimension.
        """
        if condition not in self.conditions:
            raise unknown_name("condition of this RCDM", condition, self.conditions)
        if steps < 1:
            raise UserError(f"{steps} solver steps", "take at least one")
        noise = self.noise(len(h), seed=seed) if noise is None else noise
        if len(noise) != len(h):
            raise UserError(f"{len(noise)} noises for {len(h)} representations", "give one for each")
        starts = range(0, len(h), batch_size)
        batches = [
            self._solve(
                h[i : i + batch_size],
                condition,
                noise[i : i + batch_size],
                build_solver(solver, self.schedule, steps),
                seed,
            )
            for i in progress(starts, "sampling", len(starts))
        ]
        return torch.cat(batches) if batches else torch.zeros(0, 3, self.image_size, self.image_size)

    def _solve(self, h: torch.Tensor, condition: str, noise: torch.Tensor, solver: Any, seed: int) -> torch.Tensor:
        device = next(self.denoiser.parameters()).device
        x = noise.to(device) * solver.init_noise_sigma
        embedding = self.denoiser.embed([(condition, h.to(device))])
        draws = "generator" in inspect.signature(solver.step).parameters
        stochastic = {"generator": [_continuation(row, seed) for row in noise]} if draws else {}
        for t in solver.timesteps:
            with torch.autocast(device.type, torch.bfloat16):
                predicted = self.denoiser(solver.scale_model_input(x, t), t, embedding)
            x = solver.step(predicted.float(), t, x, **stochastic).prev_sample
        return ((x + 1) / 2).clamp(0, 1).cpu()


def _continuation(noise: torch.Tensor, seed: int) -> torch.Generator:
    """What a stochastic solver draws from after one starting noise: equal starts go on equally, in any batch."""
    return torch.Generator().manual_seed(seed ^ zlib.crc32(noise.cpu().contiguous().numpy().tobytes()))
