"""The forward process, its schedules, and the reverse process, as the data make it and as the network does.

    x_t = a_t x_0 + s_t eps,    a_t^2 + s_t^2 = 1,    in 1,000 steps.

On K timesteps of a schedule, in which ``b_i`` is the share of signal in the variance (``b_{-1} = 1``) and
``beta_i = 1 - b_i / b_{i-1}``, the data make the step (Ho et al. 2020, equations 6 and 7)

    q(x_{i-1} | x_i, x_0) = N(m_i, v_i),    v_i = beta_i (1 - b_{i-1}) / (1 - b_i),
    m_i = sqrt(b_{i-1}) beta_i / (1 - b_i) x_0 + sqrt(1 - beta_i) (1 - b_{i-1}) / (1 - b_i) x_i.

The network puts what it takes for ``x_0`` in its place. Its variance is ``v_i``, or where it learned variances, with
the fraction ``f`` that it gives for each pixel, ``beta_i^f v_i^(1-f)`` (Nichol and Dhariwal 2021, equation 15).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from diffusers import DDPMScheduler

from rcdm_core.json_files import TEXT, TRUTH, Kind, number, one_of, or_none, several, whole, wrong

if TYPE_CHECKING:
    from rcdm_core.rcdm.network import NetworkSettings


def build_schedule() -> DDPMScheduler:
    """The schedule on which the embedded RCDM is trained; solvers take their settings from its ``config``."""
    return DDPMScheduler(
        num_train_timesteps=1000,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        clip_sample=True,
        timestep_spacing="trailing",
    )


def published_schedule(steps: int = 1000, noise: str = "linear") -> DDPMScheduler:
    """The schedule of the published checkpoints.

    Args:
        steps: Timesteps; a linear schedule of fewer takes larger ones.
        noise: ``"linear"``, or ``"squaredcos_cap_v2"`` for the cosine schedule.
    """
    return DDPMScheduler(
        num_train_timesteps=steps,
        beta_schedule=noise,
        beta_start=0.1 / steps,
        beta_end=20 / steps,
        prediction_type="epsilon",
        variance_type="learned_range",
        clip_sample=True,
        # The same clipping to [-1, 1], in the words that all solvers of diffusers know.
        thresholding=True,
        sample_max_value=1.0,
        timestep_spacing="linspace",
    )


SCHEDULES: Mapping[str, Kind] = {
    "_class_name": one_of("DDPMScheduler"),
    "_diffusers_version": TEXT,
    "num_train_timesteps": whole(2, 10_000),
    "beta_start": number(1e-9, 1),
    "beta_end": number(1e-9, 1),
    "beta_schedule": one_of("linear", "scaled_linear", "squaredcos_cap_v2"),
    "trained_betas": or_none(several(number(1e-9, 0.9999), 10_000)),
    "variance_type": one_of("fixed_small", "learned_range"),
    "clip_sample": TRUTH,
    "clip_sample_range": number(1, 1),
    "prediction_type": one_of("epsilon", "v_prediction"),
    "thresholding": TRUTH,
    "dynamic_thresholding_ratio": number(0.5, 1),
    "sample_max_value": number(1, 1),
    "timestep_spacing": one_of("leading", "linspace", "trailing"),
    "steps_offset": whole(0, 0),
    "rescale_betas_zero_snr": one_of(False),
}
"""What a schedule may say: what the solvers and `ReverseProcess` both follow, in the words of diffusers."""

_SAID = (
    *("_class_name", "num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "variance_type", "clip_sample"),
    *("prediction_type", "thresholding", "timestep_spacing"),
)


def schedule_fault(plain: Mapping[str, Any], *, learned_variances: bool) -> str:
    """Why plain JSON is no schedule of a network, in words; empty where it is one.

    Args:
        plain: As `diffusers.DDPMScheduler` writes it. What decides the noise has to be said: diffusers would put its
            own schedule in the place of one that is not.
        learned_variances: Whether the network gives variances.
    """
    if fault := wrong(plain, SCHEDULES, required=_SAID):
        return fault
    betas = plain.get("trained_betas")
    if betas is not None and len(betas) != plain["num_train_timesteps"]:
        return f"trained_betas has {len(betas)} values for {plain['num_train_timesteps']} timesteps"
    if plain["beta_start"] > plain["beta_end"]:
        return "beta_start is larger than beta_end"
    if learned_variances != (plain["variance_type"] == "learned_range"):
        return f"variance_type is {plain['variance_type']}, where learned_variances is {learned_variances}"
    return ""


def schedule_for(settings: NetworkSettings) -> DDPMScheduler:
    """The schedule on which a network of this shape is trained."""
    return published_schedule() if settings.learned_variances else build_schedule()


class ReverseProcess:
    """The steps between K timesteps of a schedule; step ``i`` leads from the timestep of that number to the one before.

    Args:
        schedule: The schedule that the network was trained on: its noise, how it spaces timesteps, and what the network
            predicts, the noise or the velocity.
        steps: K, at most those of the schedule.

    Attributes:
        timesteps: Of the schedule, rising, ``[K]``.
    """

    def __init__(self, schedule: DDPMScheduler, steps: int) -> None:
        spaced = DDPMScheduler.from_config(schedule.config)
        spaced.set_timesteps(steps)
        # One step is from pure noise, whatever the spacing: "linspace" and "leading" count from the clean end.
        self.timesteps: torch.Tensor = (
            spaced.timesteps.flip(0) if steps > 1 else torch.tensor([len(schedule.betas) - 1])
        )
        self._prediction, self._clips = schedule.config["prediction_type"], schedule.config["clip_sample"]
        self._signal = torch.cumprod(1 - schedule.betas.double(), 0)[self.timesteps]
        self._signal_before = torch.cat([torch.ones(1), self._signal[:-1]])
        self._beta = 1 - self._signal / self._signal_before
        variance = self._beta * (1 - self._signal_before) / (1 - self._signal)
        variance[0] = variance[1] if steps > 1 else self._beta[0]  # no variance at all has no logarithm
        self._variance = variance

    def diffuse(self, clean: torch.Tensor, noise: torch.Tensor, i: int | torch.Tensor) -> torch.Tensor:
        """Noisy images ``x_i`` from clean ones and noise, all ``[N, 3, S, S]``; ``i`` is one number or ``[N]``."""
        signal = self._signal
        return _at(signal.sqrt(), i, clean) * clean + _at((1 - signal).sqrt(), i, clean) * noise

    def of_data(
        self, clean: torch.Tensor, noisy: torch.Tensor, i: int | torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance of the step that the data make from ``x_i``, given ``x_0``."""
        beta, signal, before = self._beta, self._signal, self._signal_before
        from_clean = _at(before.sqrt() * beta / (1 - signal), i, clean)
        from_noisy = _at((1 - beta).sqrt() * (1 - before) / (1 - signal), i, clean)
        return from_clean * clean + from_noisy * noisy, _at(self._variance.log(), i, clean)

    def of_network(
        self, output: torch.Tensor, noisy: torch.Tensor, i: int | torch.Tensor, *, clip: bool | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance of the step that the network makes from ``x_i``.

        Args:
            output: Of the network, ``[N, 3, S, S]``, or with learned variances ``[N, 6, S, S]``.
            noisy: ``x_i``.
            i: Number of the step.
            clip: Whether what it takes for ``x_0`` is kept within [-1, 1]; by default as the schedule says.
        """
        predicted, fraction = output.split(noisy.shape[1], 1) if output.shape[1] > noisy.shape[1] else (output, None)
        clean = clean_of(self._prediction, predicted, noisy, _at(self._signal, i, noisy))
        if self._clips if clip is None else clip:
            clean = clean.clamp(-1, 1)
        mean, log_variance = self.of_data(clean, noisy, i)
        if fraction is not None:
            share = (fraction + 1) / 2
            log_variance = share * _at(self._beta.log(), i, noisy) + (1 - share) * log_variance
        return mean, log_variance


def clean_of(prediction: str, predicted: torch.Tensor, noisy: torch.Tensor, signal: torch.Tensor) -> torch.Tensor:
    """What a network takes for the clean image, given what it predicts, the noise (``epsilon``) or the velocity.

    ``signal`` is the share of signal in the variance, as many as images or one.
    """
    if prediction == "epsilon":
        return signal.rsqrt() * noisy - (1 / signal - 1).sqrt() * predicted
    return signal.sqrt() * noisy - (1 - signal).sqrt() * predicted


def prediction_of(prediction: str, clean: torch.Tensor, noisy: torch.Tensor, signal: torch.Tensor) -> torch.Tensor:
    """What a network would have to predict for a clean image: the inverse of `clean_of`."""
    if prediction == "epsilon":
        return (noisy - signal.sqrt() * clean) / (1 - signal).sqrt()
    return (signal.sqrt() * noisy - clean) / (1 - signal).sqrt()


def _at(values: torch.Tensor, i: int | torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The values of steps, to be multiplied with images."""
    return values.to(like.device, torch.float32)[i].reshape(-1, 1, 1, 1)
