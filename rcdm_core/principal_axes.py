"""Standardised columns and their principal axes: the coordinates in which linear readers are fitted.

A ridge or a logistic regression is the same in any rotation of its coordinates, so that nothing is lost in these, and
where there are fewer rows than columns, there are fewer of them.
"""

from __future__ import annotations

import torch


def standardise(x: torch.Tensor) -> torch.Tensor:
    """Columns of ``x [N, D]`` with mean 0 and deviation 1; those without variance become zero."""
    scale, mean = column_scale(x)
    return (x - mean) * scale


def column_scale(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What standardises columns ``[N, D]``: one over their deviation, or 0 without one, and their mean, ``[D]``."""
    deviation, mean = torch.std_mean(x, 0)
    alive = deviation > 1e-7 * deviation.max().clamp(min=1e-30)
    return torch.where(alive, 1 / deviation.where(alive, 1.0), 0.0), mean


def principal_coordinates(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Standardised ``[N, D]`` along its principal axes, ``[N, R]`` float64, and the sum of squares of each, ``[R]``."""
    z = standardise(x.double())
    squares, axes = principal_axes(z)
    return z @ axes, squares


def principal_axes(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums of squares ``[R]``, ascending, along the principal axes ``[D, R]`` of centred ``[N, D]`` of rank R."""
    if len(x) >= x.shape[1]:
        return spectrum(x.T @ x)
    squares, left = spectrum(x @ x.T)
    return squares, x.T @ (left / squares.sqrt())


def spectrum(gram: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Eigenvalues ``[R]``, ascending, and eigenvectors ``[D, R]`` of a positive semi-definite ``[D, D]`` of rank R."""
    values, vectors = torch.linalg.eigh(gram)
    present = values > values[-1:] * 1e-12 * len(gram)
    return values[present], vectors[:, present]
