"""The nearest of many images, in blocks: bounded memory, at the speed of a matrix product."""

from __future__ import annotations

import torch


def nearest(queries: torch.Tensor, gallery: torch.Tensor, *, block: int = 512) -> tuple[torch.Tensor, torch.Tensor]:
    """The nearest row of a gallery to each query, by Euclidean distance.

    Args:
        queries: ``[N, D]``.
        gallery: ``[M, D]``, M >= 1.
        block: Queries, and rows of the gallery, compared at once.

    Returns:
        Distances ``[N]``, float64, of the rows that are nearest in float32, and these rows, ``[N]`` int64.
    """
    best = torch.full((len(queries),), torch.inf)
    rows = torch.zeros(len(queries), dtype=torch.long)
    for start in range(0, len(gallery), block):
        part = gallery[start : start + block].float()
        lengths = part.square().sum(1)
        for i in range(0, len(queries), block):
            here = slice(i, i + block)
            value, place = torch.addmm(lengths, queries[here].float(), part.T, alpha=-2).min(1)
            nearer = value < best[here]
            best[here] = torch.where(nearer, value, best[here])
            rows[here] = torch.where(nearer, place + start, rows[here])
    apart = [
        torch.linalg.vector_norm(query.double() - gallery[row].double(), dim=1)
        for query, row in zip(queries.split(block), rows.split(block), strict=True)
    ]
    return torch.cat(apart), rows
