"""Multinomial logistic regression: many problems on the same rows, solved at once.

Folds and penalties are columns of one convex problem, solved by L-BFGS. Its variables are weights of principal
coordinates, each divided by the root of its curvature at zero, ``variance / classes + penalty``: the Hessian starts as
the identity and a few tens of iterations suffice.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F


def solve_logistic(
    z: torch.Tensor,
    variances: torch.Tensor,
    codes: torch.Tensor,
    trains: torch.Tensor,
    penalties: torch.Tensor,
    *,
    tolerance: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights ``[R, P, C]`` and biases ``[P, C]`` of P softmax regressions.

    Args:
        z: Principal coordinates ``[N, R]`` float32.
        variances: Their variances ``[R]``.
        codes: Classes ``[N]``, in 0 .. C-1.
        trains: Which rows each problem is fitted on, ``[N, P]``.
        penalties: Of each problem, on ``|W|^2 / 2`` beside the mean cross-entropy, ``[P]``.
        tolerance: Largest gradient at which to stop, in nats over the preconditioned unit.
    """
    problems, classes = len(penalties), int(codes.max()) + 1
    unit = (variances[:, None] / classes + penalties).rsqrt()[:, :, None]  # [R, P, 1]
    weight = trains / trains.sum(0)
    scaled = torch.zeros(z.shape[1], problems, classes, requires_grad=True)
    bias = torch.zeros(problems, classes, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [scaled, bias],
        max_iter=100,
        tolerance_grad=tolerance,
        tolerance_change=1e-7,
        history_size=10,  # more costs more than the iterations it saves
        line_search_fn="strong_wolfe",
    )
    rows = torch.arange(len(z))

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        weights = scaled * unit
        misfit = -(log_probabilities(z, weights, bias)[rows, :, codes] * weight).sum()
        loss = misfit + 0.5 * (weights.square().sum((0, 2)) * penalties).sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    return (scaled * unit).detach(), bias.detach()


def log_probabilities(z: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Log-probabilities ``[N, P, C]`` of rows ``[N, R]`` under each of P problems, as `solve_logistic` gives them."""
    return F.log_softmax((z @ weights.flatten(1)).unflatten(1, bias.shape) + bias, dim=-1)
