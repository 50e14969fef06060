"""Standardised columns and their principal axes: the coordinates in which linear readers are fitted.

A ridge or a logistic regression is the same in any rotation of its coordinates, so that nothing is lost in these, and
where there are fewer rows than columns, there are fewer of them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from rcdm_core.allocator import give_back

WHOLE = 2**23
"""Numbers, rows times columns, up to which all are worked on at once, in float64."""

PART = 2**18
"""Numbers that are worked on at once of more: memory is then that of the rows, and not several times it in float64."""

_LARGE = 2**20  # numbers of a matrix, from which giving memory back is nothing beside decomposing it


def rows_at_once(x: torch.Tensor) -> int:
    """How many rows of ``[N, D]`` are worked on at once."""
    return max(1, len(x) if x.numel() <= WHOLE else PART // x.shape[1])


def standardise(x: torch.Tensor) -> torch.Tensor:
    """Columns of ``x [N, D]`` with mean 0 and deviation 1; those without variance become zero."""
    scale, mean = column_scale(x)
    return (x - mean) * scale


def column_scale(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What standardises columns ``[N, D]``: one over their deviation, or 0 without one, and their mean, ``[D]``."""
    deviation, mean = torch.std_mean(x, 0)
    return _scale(deviation), mean


def _scale(deviation: torch.Tensor) -> torch.Tensor:
    alive = deviation > 1e-7 * deviation.max()
    return torch.where(alive, 1 / deviation.where(alive, 1.0), 0.0)


def principal_coordinates(x: torch.Tensor, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Standardised ``[N, D]`` along its principal axes, ``[N, R]``, and the sum of squares of each, ``[R]`` float64."""
    at, squares = coordinates_of(x)
    if x.numel() <= WHOLE:
        return at(torch.arange(len(x))).to(dtype), squares
    z = torch.empty(len(x), len(squares), dtype=dtype)
    for rows in torch.arange(len(x)).split(rows_at_once(x)):
        z[rows] = at(rows).to(dtype)
    return z, squares


def coordinates_of(x: torch.Tensor) -> tuple[Callable[[torch.Tensor], torch.Tensor], torch.Tensor]:
    """What gives rows of ``[N, D]``, by number, in `principal_coordinates`; and the sums of squares ``[R]``."""
    count, columns = x.shape
    if x.numel() <= WHOLE:
        z = standardise(x.double())
        squares, axes = principal_axes(z)
        return (z @ axes).__getitem__, squares
    mean = _mean(x)
    spread = torch.zeros_like(mean)
    for part in x.split(rows_at_once(x)):
        spread += (part.double() - mean).square().sum(0)
    scale = _scale((spread / (count - 1)).sqrt())
    if count < columns:
        gram = x.new_zeros(count, count, dtype=torch.float64)
        for some in torch.arange(columns).split(max(1, PART // count)):
            z = (x[:, some].double() - mean[some]) * scale[some]
            gram.addmm_(z, z.T)
        squares, left = spectrum(gram)
        return (left * squares.sqrt()).__getitem__, squares
    squares, axes = spectrum(_products(x, mean, scale))
    return lambda rows: ((x[rows].double() - mean) * scale) @ axes, squares


def covariance(x: torch.Tensor) -> torch.Tensor:
    """Covariance ``[D, D]`` float64 of columns ``[N, D]``."""
    if x.numel() > WHOLE:
        return _products(x, _mean(x)) / (len(x) - 1)
    values = x.double()
    values = values - values.mean(0)
    return values.T @ values / (len(x) - 1)


def _mean(x: torch.Tensor) -> torch.Tensor:
    total = x.new_zeros(x.shape[1], dtype=torch.float64)
    for part in x.split(rows_at_once(x)):
        total += part.double().sum(0)
    return total / len(x)


def _products(x: torch.Tensor, mean: torch.Tensor, scale: torch.Tensor | float = 1.0) -> torch.Tensor:
    """Sums of products ``[D, D]`` of columns around their mean, scaled, of a part of the rows at a time."""
    products = x.new_zeros(x.shape[1], x.shape[1], dtype=torch.float64)
    for part in x.split(rows_at_once(x)):
        z = (part.double() - mean) * scale
        products.addmm_(z.T, z)
    return products


def principal_axes(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums of squares ``[R]``, ascending, along the principal axes ``[D, R]`` of centred ``[N, D]`` of rank R."""
    if len(x) >= x.shape[1]:
        return spectrum(x.T @ x)
    squares, left = spectrum(x @ x.T)
    return squares, x.T @ (left / squares.sqrt())


def spectrum(gram: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Eigenvalues ``[R]``, ascending, and eigenvectors ``[D, R]`` of a positive semi-definite ``[D, D]`` of rank R."""
    if is_large := gram.numel() > _LARGE:
        give_back()  # what its sums have taken: decomposing takes several times its size
    values, vectors = torch.linalg.eigh(gram)
    if is_large:
        give_back()  # and that, before coordinates take as much again
    present = values > values[-1:] * 1e-12 * len(gram)
    return values[present], vectors[:, present]
