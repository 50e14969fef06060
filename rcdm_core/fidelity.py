"""Is a decoder to be trusted? Its samples, encoded again, beside the representations that they were drawn from.

*Ranks*: how many images of a gallery lie nearer to the sample's representation than the one it was drawn from (Bordes
et al. 2022, table 1).

*Frechet distance* between the Gaussians that fit two sets of representations (Heusel et al. 2017, there in Inception's
space, here in any):

    d^2 = |m_a - m_b|^2 + tr C_a + tr C_b - 2 T,    T = tr (C_a C_b)^(1/2),

where with centred rows ``A / sqrt(n_a)`` and ``B / sqrt(n_b)`` as ``A`` and ``B``, T is the nuclear norm of ``A B^T``,
in which the triangular factors of A and B may stand for them: exact also for fewer images than dimensions. It falls
with the number of images even between equal distributions, so that only distances over equal numbers can be compared.

*Inception score* of class probabilities ``p_i`` with mean ``p`` (Salimans et al. 2016): ``exp mean KL(p_i | p)``.

*Precision and recall* (Kynkaanniemi et al. 2019): the share of samples within the balls that reach from each real image
to its k-th nearest, and the other way round.

Frechet distance and Inception score belong to a set. To let them vary with the images, as a bootstrap does, they are
given as *contributions*: the value plus the influence of each image, that is the derivative of the value as the image
gains weight (the infinitesimal jackknife; Jaeckel 1972, Efron 1982). Their mean is the value, and the spread of a
resampled mean that of the value to first order. Resampling the images instead would count some of them twice, which
by itself moves distances and manifolds.
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
        "median rank": ranks.double().quantile(0.5).item(),  # the mean of the two in the middle
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
    a, b = _scaled(a), _scaled(b)
    common = torch.linalg.svdvals(_triangle(a) @ _triangle(b).T).sum()
    squared = means + a.square().sum() + b.square().sum() - 2 * common
    return squared.clamp(min=0).sqrt().item()


def frechet_contributions(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The squared distance ``d^2``, image by image.

    An image ``a_i`` at ``x_i = a_i - m_a`` moves d^2 by ``2 (m_a - m_b) x_i + (|x_i|^2 - tr C_a) - (z_i - T)`` for each
    unit of weight, where ``z_i`` is the squared length of ``x_i`` under the optimal transport from a to b. With
    ``A B^T = U S V^T`` it is ``N (U S U^T)_ii``.

    Args:
        a: ``[N, D]``, N >= 2.
        b: ``[N, D]``, in any order: rows of two sets that were drawn apart are paired by chance.

    Returns:
        ``[N]`` float64 with mean d^2, in squared units of the representations.
    """
    a, b = a.double(), b.double()
    shift = a.mean(0) - b.mean(0)
    (of_a, r_a), (of_b, r_b) = torch.linalg.qr(_scaled(a)), torch.linalg.qr(_scaled(b))
    u, s, v = torch.linalg.svd(r_a @ r_b.T)
    contributions = shift.square().sum() + torch.zeros(len(a), dtype=torch.float64)
    for rows, basis, sign in ((a, of_a @ u, 2), (b, of_b @ v.T, -2)):
        centred = rows - rows.mean(0)
        transported = len(rows) * basis.square() @ s
        contributions += centred.square().sum(1) - transported + sign * centred @ shift
    return contributions


def inception_contributions(probabilities: torch.Tensor) -> torch.Tensor:
    """The Inception score, image by image: ``IS (1 + KL(p_i | p) - log IS)``.

    Args:
        probabilities: Of classes, ``[N, C]``, rows sum to 1.

    Returns:
        ``[N]`` float64 with mean IS, which lies in 1 .. C.
    """
    p = probabilities.double()
    divergences = (torch.special.xlogy(p, p) - torch.special.xlogy(p, p.mean(0))).sum(1)
    return divergences.mean().exp() * (1 + divergences - divergences.mean())


def in_manifold(points: torch.Tensor, manifold: torch.Tensor, *, neighbours: int = 3) -> torch.Tensor:
    """Which points lie within a manifold: nearer to one of its images than that is to its k-th nearest.

    Args:
        points: ``[N, D]``.
        manifold: ``[M, D]``, M > ``neighbours``.
        neighbours: k.

    Returns:
        ``[N]`` bool.
    """
    manifold = manifold.double()
    radii = torch.cdist(manifold, manifold).kthvalue(neighbours + 1).values  # the nearest is the image itself
    return (torch.cdist(points.double(), manifold) <= radii).any(1)


def _scaled(rows: torch.Tensor) -> torch.Tensor:
    """Centred rows, such that the product with their transpose is their covariance."""
    return (rows - rows.mean(0)) / len(rows) ** 0.5


def _triangle(a: torch.Tensor) -> torch.Tensor:
    """The factor ``R`` ``[min(N, D), D]`` of ``A = Q R``."""
    return torch.linalg.qr(a, mode="r").R
