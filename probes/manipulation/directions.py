"""The direction of a factor in a representation: the way ``h`` changes where a linear readout of the factor does.

A ridge regression reads the factor, ``y = W' h + b``. Its weights say what to look at, not how representations differ:
they may point where no representation lies. The *pattern* does (Haufe et al. 2014),

    a = Cov(h) W u / (u' Cov(y) u),

the regression of ``h`` on its readout along ``u``, which is 1 for a factor that is one number. Since ``u' W' a = 1``,
moving ``h`` by ``a s`` moves the readout by exactly ``s``. A step of one is one standard deviation of the readout over
the gallery, along ``u``; it takes ``h`` one standard deviation away from where it was, however well the factor is read.

A circular factor is read as cosine and sine, and moved along the circle: ``u`` is at right angles to the radius at the
place where ``h`` has it now, in the sense of growing angles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.linear_model import RidgeCV

from rcdm_core.readout import RIDGE_PENALTIES

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, eq=False)
class Direction:
    """The direction of one factor; C is 1, or 2 for cosine and sine.

    Attributes:
        weights: ``W``, ``[D, C]`` float64.
        offset: ``b``, ``[C]``.
        loadings: Covariance of ``h`` and the readout, ``Cov(h) W``, ``[D, C]``.
        covariance: Of the readout over the gallery, ``[C, C]``.
        r2: Of the readout on images that it was not fitted on, leave one out.
    """

    weights: torch.Tensor
    offset: torch.Tensor
    loadings: torch.Tensor
    covariance: torch.Tensor
    r2: float

    def read(self, h: torch.Tensor) -> torch.Tensor:
        """The readout of ``h [N, D]``, ``[N, C]`` float64."""
        return h.double() @ self.weights + self.offset

    def move(self, h: torch.Tensor, steps: float) -> torch.Tensor:
        """Representations ``[N, D]`` moved by so many standard deviations of the readout."""
        if self.weights.shape[1] == 1:
            along = torch.ones(len(h), 1, dtype=torch.float64)
        else:
            cosine, sine = self.read(h).T
            along = torch.nn.functional.normalize(torch.stack([-sine, cosine], 1))
        deviation = torch.einsum("nc,cd,nd->n", along, self.covariance, along).clamp(min=0).sqrt()
        scale = torch.where(deviation > 0, steps / deviation, 0.0)
        return (h.double() + scale[:, None] * (along @ self.loadings.T)).float()


def find_directions(h: torch.Tensor, parts: Mapping[str, np.ndarray]) -> dict[str, Direction]:
    """The direction of every factor that is a number.

    Args:
        h: Representations ``[M, D]``.
        parts: Components of the factors as `probes.factors.components` gives them, each ``[M]``.

    Returns:
        By name of the factor; ``class`` has none.
    """
    x = h.double()
    deviation, centre = torch.std_mean(x, 0)
    scale = torch.where(deviation > 1e-7 * deviation.max(), 1 / deviation, 0.0)
    z = (x - centre) * scale
    largest = float(torch.linalg.matrix_norm(z, 2)) ** 2
    names = [name.partition(".")[0] for name in parts if name != "class"]
    targets = np.stack([values for name, values in parts.items() if name != "class"], 1)
    penalties = [p * largest for p in RIDGE_PENALTIES]
    # Of the ways to the leave-one-out errors, the singular vectors of z are the fastest for many penalties.
    ridge = RidgeCV(penalties, gcv_mode="svd", alpha_per_target=True).fit(z.numpy(), targets)
    found = {}
    for factor in factor_names(parts):
        columns = [place for place, name in enumerate(names) if name == factor]
        y = targets[:, columns]
        weights = scale[:, None] * torch.from_numpy(ridge.coef_[columns].T)
        offset = torch.from_numpy(ridge.intercept_[columns]) - centre @ weights
        read = (x - centre) @ weights
        covariance = read.T @ read / len(read)
        loadings = (x - centre).T @ read / len(read)
        r2 = 1 + float(np.sum(ridge.best_score_[columns]) / y.var(0).sum())
        found[factor] = Direction(weights, offset, loadings, covariance, r2)
    return found


def factor_names(parts: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """The factors that are numbers, circular ones once."""
    return tuple(dict.fromkeys(name.partition(".")[0] for name in parts if name != "class"))
