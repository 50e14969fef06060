"""An RCDM in training: a batch of images, grouped by the condition that each is drawn from, with all that is random."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from rcdm_core.rcdm.diffusion import hybrid_loss, v_prediction_loss
from rcdm_core.rcdm.reverse import ReverseProcess
from rcdm_core.training import Learner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from diffusers import DDPMScheduler

    from rcdm_core.rcdm.draws import Draws
    from rcdm_core.rcdm.network import Denoiser

Batch = tuple[torch.Tensor, "Sequence[tuple[str, torch.Tensor]]", "Draws"]
"""Images ``[N, 3, S, S]`` in [0, 1], their representations grouped as in `Denoiser.embed`, noise and timesteps."""


class RCDMLearner(Learner):
    """Denoiser and objective: the forward pass is the loss.

    Args:
        denoiser: The network to train; the hybrid objective where it learns variances, else velocity.
        schedule: The schedule to train it on, as of `rcdm_core.rcdm.diffusion.schedule_for`.
    """

    def __init__(self, denoiser: Denoiser, schedule: DDPMScheduler) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.objective: Callable[..., torch.Tensor]
        if denoiser.settings.learned_variances:
            process = ReverseProcess(schedule, schedule.config["num_train_timesteps"])
            self.objective = partial(hybrid_loss, process=process)
        else:
            self.objective = partial(v_prediction_loss, schedule=schedule)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Mean loss of the images of a batch."""
        images, groups, draws = batch
        return self.objective(self.denoiser, images, self.denoiser.embed(groups), draws=draws)
