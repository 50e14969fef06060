"""Standardised columns and their principal axes: the coordinates in which linear readers are fitted."""

from __future__ import annotations

import torch


def standardise(x: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Columns of ``x [N, D]`` in units of the reference's mean and deviation; those without variance become zero."""
    scale, mean = column_scale(reference)
    return (x - mean) * scale


def column_scale(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What standardises columns ``[N, D]``: one over their deviation, or 0 without one, and their mean, ``[D]``."""
    deviation, mean = torch.std_mean(x, 0)
    alive = deviation > 1e-7 * deviation.max().clamp(min=1e-30)
    return torch.where(alive, 1 / deviation.where(alive, 1.0), 0.0), mean


def principal_axes(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared singular values ``[R]`` and right singular vectors ``[D, R]`` of centred ``[N, D]``, rank R."""
    if len(x) < x.shape[1]:
        squares, left = torch.linalg.eigh(x @ x.T)
        right = x.T @ (left / squares.clamp(min=1e-300).sqrt())
    else:
        squares, right = torch.linalg.eigh(x.T @ x)
    present = squares > squares[-1] * 1e-12 * max(x.shape)
    return squares[present], right[:, present]
