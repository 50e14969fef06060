"""How far representations lie from each other, in units that two encoders share.

Raw distances of two encoders cannot be compared, so a displacement is divided by the *typical distance* of the level,
the median Euclidean distance between the representations of two different images: 0 is unchanged, 1 is as far as
another image. Retrieval asks the same question without a scale: how many images of a gallery lie nearer to the query
than its target does?
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F

from rcdm_core.errors import UserError

_TIE = 32 * torch.finfo(torch.float32).eps  # what rounding does to a squared distance, over |query|^2 + |gallery|^2

ROUNDING = 16 * torch.finfo(torch.float32).eps
"""Of representations, by their length: sums of many terms."""

NO_LENGTH = 1e-150
"""A shorter vector has no direction; the square of this is a float64 still."""

_ROWS = 512  # pairs that are compared at once
_VALUES = 2**23  # of each side of these pairs, at most
_MEDIAN_OF = 64  # rows at most


def typical_distance(representations: torch.Tensor, *, images: int = 3000, seed: int = 0) -> float:
    """Median Euclidean distance between the representations of two different images.

    Args:
        representations: ``[N, D]``, N >= 2, one row an image.
        images: Of more images than this many, random ones are taken; of these, all pairs.
        seed: Seed of the random images.

    Returns:
        The median distance, in the units of the representations, > 0.

    Raises:
        UserError: The median is 0: there is no distance to compare with.
    """
    if len(representations) < 2:
        raise ValueError("a distance between two images needs two images")
    typical = _apart(representations, images, seed).median().item()
    if not typical > 0:
        raise UserError(
            "most pairs of different images have one and the same representation",
            "the encoder has collapsed, or the images are copies of each other",
        )
    return typical


def typical_error(representations: torch.Tensor, *, images: int = 3000, seed: int = 0) -> float:
    """Standard error of the `typical_distance` over images, as a share of it.

    The median over all pairs is a quantile of a U-statistic: its variance is ``4 / N`` times that of the share of the
    others that lie nearer to an image than the median, over the squared density of distances there (Serfling 1980,
    section 5.7), which is that of the middle fifth of them.

    Args:
        representations: ``[N, D]``, one row an image.
        images: As in `typical_distance`.
        seed: As in `typical_distance`.
    """
    count, apart = min(len(representations), images), _apart(representations, images, seed)
    low, middle, high = (apart.kthvalue(max(1, round(share * len(apart)))).values for share in (0.4, 0.5, 0.6))
    nearer = torch.zeros(count, count, dtype=torch.bool)
    nearer[*torch.triu_indices(count, count, 1)] = apart < middle
    shares = (nearer.sum(0) + nearer.sum(1)).double() / (count - 1)
    return (2 * shares.std() / count**0.5 * (high - low) / 0.2 / middle).item()


def some(representations: torch.Tensor, images: int, seed: int) -> torch.Tensor:
    """Representations ``[N, D]`` of all images, or of as many random ones."""
    if len(representations) <= images:
        return representations
    return representations[torch.randperm(len(representations), generator=torch.Generator().manual_seed(seed))[:images]]


def _apart(representations: torch.Tensor, images: int, seed: int) -> torch.Tensor:
    """Distances of all pairs of some images, as `torch.pdist` orders them, float64."""
    values = some(representations, images, seed).double()
    return torch.pdist(values - values.mean(0))


def relative_displacement(moved: torch.Tensor, original: torch.Tensor, typical: float) -> torch.Tensor:
    """Distance from each original to its moved self, over the `typical_distance` of the level.

    Args:
        moved: Representations of the transformed images, ``[N, D]``.
        original: Representations of the same images untouched, ``[N, D]``.
        typical: `typical_distance` of the level.

    Returns:
        ``[N]``, float64: 0 is unchanged, 1 is as far away as another image.
    """
    return pair_by_pair(lambda a, b: torch.linalg.vector_norm(a - b, dim=1), moved, original) / typical


def pair_by_pair(
    compare: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], moved: torch.Tensor, original: torch.Tensor
) -> torch.Tensor:
    """What ``compare`` gives of some paired rows at a time, in float64, ``[N]``: memory holds no copy of a whole set.

    Results are written where they belong: kept one by one, between parts that are let go of, they would keep glibc's
    allocator from using the memory of these again.
    """
    found = moved.new_empty(len(moved), dtype=torch.float64)
    rows = min(_ROWS, max(1, _VALUES // moved.shape[1]))
    for place, a, b in zip(found.split(rows), moved.split(rows), original.split(rows), strict=True):
        place.copy_(compare(a.double(), b.double()))
    return found


@dataclass(frozen=True, eq=False)
class Whitening:
    """Makes every direction of representations vary alike, so that one dominating direction hides none of the others.

    It is the inverse root of their covariance, whose principal axes are trusted up to a tenth of the number of images:
    along those beyond, and along those on which nothing varies, it counts as large as along the last of these, so that
    what never varies is not blown up without bound.

    Attributes:
        axes: Trusted principal axes, ``[D, R]`` float64.
        gains: What differences along them are multiplied by, over ``rest``, less 1: ``[R]`` in (-1, 0].
        rest: What all others are multiplied by.
    """

    axes: torch.Tensor
    gains: torch.Tensor
    rest: torch.Tensor

    @classmethod
    def of(cls, representations: torch.Tensor, *, images: int = 2000, seed: int = 0) -> Whitening:
        """That of representations ``[N, D]`` of different images, N >= 2; of more than ``images``, of random ones.

        Raises:
            UserError: The representations do not vary.
        """
        values = some(representations, images, seed).double()
        rounding = ROUNDING**2 * values.square().sum(1).mean()
        values = values - values.mean(0)
        count, wide = len(values) - 1, values.shape[1] > len(values)
        # Of more dimensions than images, the axes follow from the products of the images, which are fewer.
        squared, axes = torch.linalg.eigh((values @ values.T if wide else values.T @ values) / count)  # ascending
        varying = int((squared > torch.maximum(1e-12 * squared[-1], rounding)).sum())
        if varying == 0 or not squared[-1] > 0:
            raise UserError("all images have one and the same representation", "the encoder has collapsed")
        trusted = min(varying, max(1, len(values) // 10))
        squared, axes = squared[-trusted:], axes[:, -trusted:]
        axes = values.T @ axes / (count * squared).sqrt() if wide else axes
        return cls(axes, (squared[0] / squared).sqrt() - 1, squared[0].rsqrt())

    def __call__(self, differences: torch.Tensor) -> torch.Tensor:
        """Representations, or differences of them, ``[N, D]``, whitened: float64."""
        differences = differences.double()
        return (differences + differences @ self.axes * self.gains @ self.axes.T) * self.rest


def cosine(moved: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """Cosine similarity of paired rows: ``[N, D]``, ``[N, D]`` -> ``[N]`` float64 in [-1, 1]; 0 where one is all 0."""
    return pair_by_pair(partial(F.cosine_similarity, dim=1, eps=NO_LENGTH), moved, original).clamp(-1, 1)


def power_of_two(parts: Iterable[torch.Tensor]) -> float:
    """A power of two near the largest number of some tensors, or of the rows of one, 1 where all are 0.

    Divided by it they keep every bit, and their squares neither overflow float32 nor vanish, however an encoder scales.
    """
    largest = max((part.abs().max().item() for part in parts if part.numel()), default=0.0)
    return 2.0 ** max(-120, math.frexp(largest)[1]) if largest > 0 else 1.0


def retrieval_ranks(
    queries: torch.Tensor, gallery: torch.Tensor, targets: torch.Tensor, *, block: int = 512
) -> torch.Tensor:
    """Rank of each query's target among the gallery, by Euclidean distance.

    Gallery images as near as the target (up to rounding) share their ranks: the target gets the middle one, rounded up.
    A constant encoder so has the rank of chance, (M + 1) / 2, and a target with a duplicate in the gallery is second.

    Args:
        queries: ``[N, D]``.
        gallery: ``[M, D]``.
        targets: Row of the gallery that each query looks for, ``[N]`` integers.
        block: Queries, and images of the gallery, compared at once. Whatever N and M, memory is some ``block * block``
            and ``block * D`` numbers; the time is that of the matrix product ``[N, D] @ [D, M]`` and little more.

    Returns:
        Ranks ``[N]``, int64 in 1 .. M; 1 is the nearest.
    """
    centre, unit = _frame(queries, gallery, block)
    blocks = []
    for i, (query, target) in enumerate(zip(queries.split(block), targets.split(block), strict=True)):
        query, own = _centred(query, centre, unit), _centred(gallery[target], centre, unit)
        length = query.square().sum(1)
        to_target = length + own.square().sum(1) - 2 * (query * own).sum(1)
        blocks.append((slice(i * block, i * block + len(query)), length[:, None], to_target[:, None]))
    nearer, tied = torch.zeros(2, len(queries), dtype=torch.long, device=queries.device)
    for rows in gallery.split(block):
        rows = _centred(rows, centre, unit)
        lengths = rows.square().sum(1)
        for here, length, to_target in blocks:
            size = length + lengths
            beyond = torch.addmm(size, _centred(queries[here], centre, unit), rows.T, alpha=-2).sub_(to_target)
            slack = size.mul_(_TIE)
            within = (beyond <= slack).sum(1, dtype=torch.int32)
            closer = (beyond < slack.neg_()).sum(1, dtype=torch.int32)
            nearer[here] += closer
            tied[here] += within - closer  # the target is one of them
    return 1 + nearer + tied // 2


def _frame(queries: torch.Tensor, gallery: torch.Tensor, block: int) -> tuple[torch.Tensor, float]:
    """A centre of a gallery, ``[D]`` float64, and what distances around it are counted in, block by block.

    It is the median of some rows: an outlier would move their mean away, and rounding with the distance to it.
    """
    centre = gallery[:: math.ceil(len(gallery) / _MEDIAN_OF)].double().median(0).values
    blocks = (rows for part in (queries, gallery) for rows in part.split(block))
    return centre, power_of_two(rows - centre.to(rows.dtype) for rows in blocks)


def _centred(rows: torch.Tensor, centre: torch.Tensor, unit: float) -> torch.Tensor:
    """Rows around a centre, in float32: small norms keep the rounding of |q|^2 + |g|^2 - 2 q.g small."""
    rows = rows if rows.dtype == torch.float64 else rows.float()
    return ((rows - centre.to(rows.dtype)) / unit).float()


def nearest(queries: torch.Tensor, gallery: torch.Tensor, *, block: int = 512) -> tuple[torch.Tensor, torch.Tensor]:
    """The nearest row of a gallery to each query, by Euclidean distance, at the speed of a matrix product.

    Args:
        queries: ``[N, D]``.
        gallery: ``[M, D]``, M >= 1.
        block: Queries, and rows of the gallery, compared at once: memory is bounded.

    Returns:
        Distances ``[N]``, float64, of the rows that are nearest in float32, and these rows, ``[N]`` int64.
    """
    best = torch.full((len(queries),), torch.inf)
    rows = torch.zeros(len(queries), dtype=torch.long)
    centre, unit = _frame(queries, gallery, block)
    for start in range(0, len(gallery), block):
        part = _centred(gallery[start : start + block], centre, unit)
        lengths = part.square().sum(1)
        for i in range(0, len(queries), block):
            here = slice(i, i + block)
            value, place = torch.addmm(lengths, _centred(queries[here], centre, unit), part.T, alpha=-2).min(1)
            nearer = value < best[here]
            best[here] = torch.where(nearer, value, best[here])
            rows[here] = torch.where(nearer, place + start, rows[here])
    apart = [
        torch.linalg.vector_norm(query.double() - gallery[row].double(), dim=1)
        for query, row in zip(queries.split(block), rows.split(block), strict=True)
    ]
    return torch.cat(apart), rows


def mean_reciprocal_rank(ranks: torch.Tensor) -> float:
    """Mean of 1 / rank, in (0, 1]; 1 where every target is the nearest."""
    return ranks.double().reciprocal().mean().item()
