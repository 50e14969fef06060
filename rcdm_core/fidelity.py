"""Is a decoder to be trusted? Its samples, encoded again, beside the representations that they were drawn from.

*Ranks*: how many images of a gallery lie nearer to the sample's representation than the one it was drawn from (Bordes
et al. 2022, table 1).

*Frechet distance* between the Gaussians that fit two sets of representations (Heusel et al. 2017, there in Inception's
space, here in the encoder's own):

    d^2 = |m_a - m_b|^2 + tr C_a + tr C_b - 2 tr (C_a C_b)^(1/2),

where with centred rows ``A`` and ``B`` the last trace is the nuclear norm of ``A B^T / sqrt(n_a n_b)``, in which the
triangular factors of A and B may stand for them: exact also for fewer images than dimensions. It falls with the number
of images even between equal distributions, so that only distances over equal numbers can be compared.
"""

from __future__ import annotations

import torch

from rcdm_core.distances import mean_reciprocal_rank, retrieval_ranks


def fidelity_scores(of_samples: torch.Tensor, conditioning: torch.Tensor) -> dict[str, float]:
    """Ranks of the conditioning representations among ``[M, D]``, seen from samples of the first N, ``[N, D]``."""
    ranks = retrieval_ranks(of_samples, conditioning, torch.arange(len(of_samples)))
    return {
        "MRR": mean_reciprocal_rank(ranks),
        "mean rank": ranks.double().mean().item(),
        "median rank": ranks.double().median().item(),
    }


def frechet_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """The distance ``d`` of two sets of representations.

    Args:
        a: ``[N, D]``, N >= 2.
        b: ``[M, D]``, M >= 2.

    Returns:
        In the units of the representations; 0 for equal means and covariances.
    """
    a, b = a.double(), b.double()
    means = (a.mean(0) - b.mean(0)).square().sum()
    a, b = (a - a.mean(0)) / len(a) ** 0.5, (b - b.mean(0)) / len(b) ** 0.5
    common = torch.linalg.svdvals(_triangle(a) @ _triangle(b).T).sum()
    squared = means + a.square().sum() + b.square().sum() - 2 * common
    return squared.clamp(min=0).sqrt().item()


def _triangle(a: torch.Tensor) -> torch.Tensor:
    """The factor ``R`` ``[min(N, D), D]`` of ``A = Q R``."""
    return torch.linalg.qr(a, mode="r").R
