"""How alike the representations of encoders and levels are, and how many dimensions each of them fills.

All see the same images. Debiased linear CKA and representational similarity analysis compare every two of them;
effective rank and participation ratio tell in how many directions a representation varies.

[bold]Examples[/]

rcdm-probe similarity

rcdm-probe similarity --encoder vicreg --encoder timm/resnet18 --data photos/ --images 2000
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from analyses.statistics import mean
from analyses.tables import estimate_of, tabulate
from probes.probe import Compared, Found, Needs, Probe, Settings, Show, option
from rcdm_core.errors import UserError
from rcdm_core.progress import track
from reports.style import TEXT_WIDTH, new_figure, theme

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from probes.context import Context

LEAST = 20  # images
ALIKE, FILLED = ("cka", "rsa"), ("effective_rank", "participation_ratio")
MOST_WRITTEN = 12  # representations, of more than which a matrix is shown without its numbers
HELD = 2048  # images, of no more than which the products of every two are held
_ROWS = 256  # of the products of more images that are worked on at once
_AT_ONCE = 16  # images that are left out at once


@dataclass(frozen=True, kw_only=True)
class Similarity(Settings):
    """What is compared, and on how much."""

    images: int = option(1000, "Images that all representations are of.", short="n", least=LEAST, metavar="N")
    ranked: int = option(300, "Of these, images whose distances are ranked (RSA).", least=LEAST, metavar="M")

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "ranked", min(self.ranked, self.images))


def ready(run: Context, settings: Similarity) -> None:
    """Refuse more images than there are."""
    if len(run.images) < settings.images:
        lack = f"{run.images.name} has {len(run.images)} images, not {settings.images}"
        raise UserError(lack, f"ask for at most {len(run.images)} with --images")


def measure(run: Context, settings: Similarity) -> Iterator[pd.DataFrame]:
    """Compare every two representations of the same images, and see how many dimensions each fills.

    A value is what an image adds to a number (`shares`): their mean is the number.

    =======================  ===========================================================================================
    measure                  value, one an image; ``condition``; ``strength``
    =======================  ===========================================================================================
    ``cka``                  debiased linear CKA; the other representation
    ``rsa``                  Spearman's correlation of the distances between images; the other representation
    ``effective_rank``       exponential of the entropy of the singular values; ``strength`` is the number of dimensions
    ``participation_ratio``  (tr C)^2 / tr C^2 of the covariance C; ``strength`` is the number of dimensions
    =======================  ===========================================================================================
    """
    chosen = run.draw(settings.images)
    ranked = chosen[: settings.ranked]
    inner: dict[str, Products] = {}
    apart: list[torch.Tensor] = []
    tell: dict[str, Any] = {}
    for one in run.each_encoder():
        by_level = one.represent(chosen)
        for level in run.each(one.levels, f"counting dimensions of {one.encoder.name}"):
            h, name = by_level[level].double(), f"{one.encoder.name}/{level}"
            inner[name], tell[name] = products(h), partial(one.records, level=level)
            apart.append(torch.pdist(h[: len(ranked)] - h.mean(0)))
            yield tell[name]("effective_rank", effective_rank(h), chosen, strength=h.shape[1])
            yield tell[name]("participation_ratio", participation_ratio(inner[name]), chosen, strength=h.shape[1])
    pairs = list(combinations(inner, 2))
    for first, second in run.each(pairs, "comparing representations"):
        yield tell[first]("cka", cka(inner[first], inner[second]), chosen, condition=second)
    if pairs:
        alike = rsa(torch.stack(apart))
        places = {name: place for place, name in enumerate(inner)}
        for first, second in pairs:
            yield tell[first]("rsa", alike[places[first], places[second]], ranked, condition=second)


# The numbers, each with what every image adds to it


def shares(whole: torch.Tensor, without: torch.Tensor) -> torch.Tensor:
    """What each image adds to a number: pseudo-values of the jackknife (Tukey 1958), their mean the number itself.

    The variance of their mean is the jackknife's estimate of the number's, so that resampling them gives its interval.

    Args:
        whole: The number on all images, ``[...]``.
        without: The same without each of them, ``[..., N]``.
    """
    count = without.shape[-1]
    return whole[..., None] + (count - 1) * (without.mean(-1, keepdim=True) - without)


@dataclass(frozen=True, eq=False)
class Products:
    """Inner products of N representations around their mean, in units of their mean square.

    Attributes:
        h: The representations so, ``[N, D]``.
        squares: Products of each with itself, ``[N]``.
        held: Those of every two, ``[N, N]``, 0 of each with itself; None where they are more than are held.
    """

    h: torch.Tensor
    squares: torch.Tensor
    held: torch.Tensor | None

    def blocks(self) -> Iterator[torch.Tensor]:
        """As `held`, some rows at a time."""
        if self.held is not None:
            yield self.held
            return
        for rows in torch.arange(len(self.h)).split(_ROWS):
            block = self.h[rows] @ self.h.T
            yield block.index_put((torch.arange(len(rows)), rows), block.new_zeros(()))

    def times(self, vector: torch.Tensor) -> torch.Tensor:
        """`held` times a vector ``[N]``."""
        return self.h @ (self.h.T @ vector) - self.squares * vector if self.held is None else self.held @ vector

    @cached_property
    def own(self) -> tuple[torch.Tensor, torch.Tensor]:
        """`hsic` of these with themselves."""
        return hsic(self, self)


def products(h: torch.Tensor) -> Products:
    """The `Products` of representations ``[N, D]``."""
    h = h - h.mean(0)
    unit = h.square().sum(1).mean()
    if len(h) > HELD:
        h = h / unit.sqrt()
        return Products(h, h.square().sum(1), None)
    whole = h @ h.T / unit
    return Products(h, whole.diag(), whole - torch.diag(whole.diag()))


def _hsic(total: Any, dot: Any, sums: Any, count: int) -> Any:
    """The unbiased estimate of Song et al. (2012) from ``tr KL``, ``1'KL1`` and ``1'K1 1'L1``, diagonals left out."""
    return (total + sums / ((count - 1) * (count - 2)) - 2 * dot / (count - 2)) / (count * (count - 3))


def hsic(first: Products, second: Products) -> tuple[torch.Tensor, torch.Tensor]:
    """Debiased HSIC of two `products`: on all images, and without each of them, ``[N]``.

    Its expectation is the squared Frobenius norm of the cross-covariance of the two representations.
    """
    count = len(first.h)
    rows = [
        torch.stack([a.sum(1), b.sum(1), (a * b).sum(1)])
        for a, b in zip(first.blocks(), second.blocks(), strict=True)
    ]  # fmt: skip
    row_a, row_b, row_ab = torch.cat(rows, 1)
    whole = _hsic(row_ab.sum(), row_a @ row_b, row_a.sum() * row_b.sum(), count)
    dot = row_a @ row_b - row_a * row_b - second.times(row_a) - first.times(row_b) + row_ab
    sums = (row_a.sum() - 2 * row_a) * (row_b.sum() - 2 * row_b)
    return whole, _hsic(row_ab.sum() - 2 * row_ab, dot, sums, count - 1)


def cka(first: Products, second: Products) -> torch.Tensor:
    """Debiased linear CKA (Kornblith et al. 2019, Murphy et al. 2024) of two `products`: `shares` ``[N]``.

    1 where one representation is the other up to rotation, scale and shift; 0 in expectation where they are
    independent, so that a value may be a little below. NaN where one does not vary.
    """
    (both, both_), (one, one_), (other, other_) = hsic(first, second), first.own, second.own
    return shares(both / (one * other).sqrt(), both_ / (one_ * other_).sqrt())


def participation_ratio(inner: Products) -> torch.Tensor:
    """``(tr C)^2 / tr C^2`` of the covariance C, both estimated without bias, of `products`: `shares` ``[N]``.

    D where all D dimensions vary alike and independently, 1 where all that varies is one direction.
    """
    squares = inner.squares
    count = len(squares)
    trace, without = squares.sum() / (count - 1), (squares.sum() - squares * count / (count - 1)) / (count - 2)
    whole, without_ = inner.own
    return shares(trace**2 / whole, without**2 / without_)


def effective_rank(h: torch.Tensor) -> torch.Tensor:
    """RankMe (Garrido et al. 2023) of representations ``[N, D]``: `shares` ``[N]``, by the infinitesimal jackknife.

    The exponential of the entropy of the singular values, which are taken as shares of their sum; at most min(N, D).
    """
    u, values, _ = torch.linalg.svd(h, full_matrices=False)
    share = values / values.sum()
    entropy = -torch.xlogy(share, share).sum()
    slope = -(share.clamp(min=1e-300).log() + entropy) * share / 2  # of the entropy by the weight of an image, over u^2
    return entropy.exp() * (1 + len(h) * u.square() @ slope)


def rsa(distances: torch.Tensor) -> torch.Tensor:
    """Spearman's correlation of the distances between images (Kriegeskorte et al. 2008): `shares` ``[R, R, M]``.

    Args:
        distances: Of every two of M images, ``[R, M (M - 1) / 2]``, as `torch.pdist` orders them, one row a
            representation.
    """
    count = round((1 + (1 + 8 * distances.shape[1]) ** 0.5) / 2)
    members = torch.triu_indices(count, count, 1)
    ranked = [_ranked(row) for row in distances]
    whole = _rank_correlations(ranked, torch.zeros(1, distances.shape[1], dtype=torch.bool))[0]
    blocks = track(torch.arange(count).split(_AT_ONCE), "comparing distances", -(-count // _AT_ONCE))
    without = [_rank_correlations(ranked, (members[:, None] == block[:, None]).any(0)) for block in blocks]
    return shares(whole, torch.cat(without).permute(1, 2, 0))


def _ranked(distances: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Of distances ``[P]``: their order, and for each in that order where those that equal it begin and end."""
    ascending, order = distances.sort()
    return order, *(torch.searchsorted(ascending, ascending, right=right) for right in (False, True))


def _rank_correlations(ranked: Sequence[tuple[torch.Tensor, ...]], gone: torch.Tensor) -> torch.Tensor:
    """Spearman's correlations ``[B, R, R]`` of R times P distances without those that are gone, ``[B, P]`` bool."""
    remaining = (~gone).sum(1, keepdim=True)
    ranks = []
    for order, first, last in ranked:
        before = torch.nn.functional.pad(gone[:, order].cumsum(1), (1, 0))
        middle = (first + last - before[:, first] - before[:, last] - remaining) / 2  # of ties, around the mean
        centred = torch.empty(gone.shape, dtype=torch.float64)
        centred[:, order] = torch.where(gone[:, order], 0.0, middle.double())
        ranks.append(centred / centred.norm(dim=1, keepdim=True))
    both = torch.einsum("rbp,sbp->brs", *[torch.stack(ranks)] * 2)
    return (both + both.mT) / 2  # of one and the other as of the other and one, however a processor sums up


def comparable(records: pd.DataFrame) -> pd.DataFrame:
    """Records by which finished runs on two encoders are compared: no number tells any more which it is."""
    own = f"{records['encoder'].iloc[0]}/"
    return records.assign(condition=records["condition"].str.removeprefix(own), strength=np.nan)


# Tables, figure, page


def _summed(found: Found, measures: Sequence[str], second: str) -> dict[tuple[Any, ...], Any]:
    """Means over images of measures, by representation and a further column."""
    rows: dict[tuple[Any, ...], Any] = {}
    groups = found.measured(*measures).groupby(["encoder", "level", second, "measure"], sort=False)
    for (encoder, level, other, measure), part in groups:
        rows.setdefault((f"{encoder}/{level}", other), {})[measure] = found.interval(part["value"], mean)
    return rows


def pairs(found: Found) -> pd.DataFrame:
    """One row a (``first``, ``second``): ``cka`` and ``rsa``; ``images``."""
    table = tabulate(_summed(found, ALIKE, "condition"), ("first", "second"), ALIKE)
    return table.assign(**{f"{name}_high": table[f"{name}_high"].clip(upper=1) for name in ALIKE})  # they end there


def filled(found: Found) -> pd.DataFrame:
    """One row a (``representation``, ``dimensions``): ``effective_rank`` and ``participation_ratio``; ``images``."""
    rows = _summed(found, FILLED, "strength")
    return tabulate(rows, ("representation", "dimensions"), FILLED).astype({"dimensions": int})


def draw_matrices(found: Found) -> Figure:
    """CKA and RSA of every two representations, a matrix each."""
    table, names = found.tables["pairs"], list(found.tables["filled"]["representation"])
    with theme():
        figure = new_figure(TEXT_WIDTH, 30.0 + min(62.0, 9.0 * len(names)))
        plots = figure.subplots(1, 2)
        for axes, measure, title in zip(plots, ALIKE, ("linear CKA", "RSA"), strict=True):
            matrix = pd.DataFrame(1.0, index=names, columns=names)
            for _, row in table.iterrows():
                matrix.loc[row["first"], row["second"]] = matrix.loc[row["second"], row["first"]] = row[measure]
            _draw_matrix(axes, matrix, title)
        plots[1].set_yticks([])
        figure.tight_layout(pad=0.3, w_pad=1.0)
    return figure


def _draw_matrix(axes: Axes, matrix: pd.DataFrame, title: str) -> None:
    values, places = matrix.to_numpy(), range(len(matrix))
    axes.imshow(values, cmap="cividis", vmin=0, vmax=1)
    axes.set_title(title)
    axes.set_xticks(places, matrix.columns, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, matrix.index)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if len(matrix) <= MOST_WRITTEN:
        for (row, column), value in np.ndenumerate(values):
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", size=6, color="k" if value > 0.5 else "w")


def gist(found: Found) -> str:
    """Which two representations are most alike, and which least."""
    table, said = found.tables["pairs"].dropna(subset=["cka"]), found.probe.wording.parts("gist")
    if table.empty:
        return said["alone"]
    ends = (table.loc[getattr(table["cka"], which)()] for which in ("idxmax", "idxmin"))
    told = [(f"{row['first']} and {row['second']}", estimate_of(row, "cka")) for row in ends]
    return said["one pair" if len(table) == 1 else "pairs"].format(*told)


PROBE = Probe(
    "similarity",
    Similarity,
    measure,
    ready,
    lambda found: {"ranked": f"{found.settings.ranked:,}"},
    needs=Needs(encoders="several", decoder="no", images=LEAST),
    tables={"pairs": pairs, "filled": filled},
    gist=gist,
    page={
        "Which representations are alike": [
            Show("figure", "similarity", draw_matrices, when=lambda found: len(found.tables["pairs"]) > 0),
            Show("table", "pairs"),
        ],
        "How many dimensions are filled": [Show("table", "filled")],
    },
    compared={
        **dict.fromkeys(FILLED, Compared(shares=True, whole=True)),
        "cka": Compared(shares=True, whole=True, called="linear CKA with another level"),
        "rsa": Compared(rests_on=("ranked",), shares=True, whole=True, called="RSA with another level"),
    },
    comparable=comparable,
    quick={"images": 300, "ranked": 150},
)
