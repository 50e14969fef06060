"""Standardised columns and their principal axes: the coordinates in which linear readers are fitted.

A ridge or a logistic regression is the same in any rotation of its coordinates, so that nothing is lost in these, and
where there are fewer rows than columns, there are fewer of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

WHOLE = 2**14
"""Rows up to which all are worked on at once, in float64."""

PART = 2**12
"""Rows of more that are worked on at once: memory is then that of the rows, and not several times that in float64."""


def standardise(x: torch.Tensor) -> torch.Tensor:
    """Columns of ``x [N, D]`` with mean 0 and deviation 1; those without variance become zero."""
    scale, mean = column_scale(x)
    return (x - mean) * scale


def column_scale(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What standardises columns ``[N, D]``: one over their deviation, or 0 without one, and their mean, ``[D]``."""
    deviation, mean = torch.std_mean(x, 0)
    return _scale(deviation), mean


def _scale(deviation: torch.Tensor) -> torch.Tensor:
    alive = deviation > 1e-7 * deviation.max().clamp(min=1e-30)
    return torch.where(alive, 1 / deviation.where(alive, 1.0), 0.0)


def principal_coordinates(x: torch.Tensor, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Standardised ``[N, D]`` along its principal axes, ``[N, R]``, and the sum of squares of each, ``[R]`` float64."""
    at, squares = coordinates_of(x)
    if len(x) <= WHOLE:
        return at(torch.arange(len(x))).to(dtype), squares
    z = torch.empty(len(x), len(squares), dtype=dtype)
    for rows in torch.arange(len(x)).split(PART):
        z[rows] = at(rows).to(dtype)
    return z, squares


def coordinates_of(x: torch.Tensor) -> tuple[Callable[[torch.Tensor], torch.Tensor], torch.Tensor]:
    """What gives rows of ``[N, D]``, by number, in `principal_coordinates`; and the sums of squares ``[R]``."""
    if len(x) <= WHOLE:
        z = standardise(x.double())
        squares, axes = principal_axes(z)
        return (z @ axes).__getitem__, squares
    parts = x.split(PART)
    mean = torch.stack([part.double().sum(0) for part in parts]).sum(0) / len(x)
    spread = torch.stack([(part.double() - mean).square().sum(0) for part in parts]).sum(0)
    scale, gram = _scale((spread / (len(x) - 1)).sqrt()), torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64)
    for part in parts:
        z = (part.double() - mean) * scale
        gram.addmm_(z.T, z)
    squares, axes = spectrum(gram)
    return lambda rows: ((x[rows].double() - mean) * scale) @ axes, squares


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
