"""Displacement is in units of the distance to another image; ranks give nothing away for free."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rcdm_core.distances import (
    cosine,
    mean_reciprocal_rank,
    nearest,
    relative_displacement,
    retrieval_ranks,
    typical_distance,
    typical_error,
)
from rcdm_core.errors import UserError
from rcdm_core.fidelity import fidelity_scores
from rcdm_core.precision import differ
from rcdm_core.readout import binary_scores


def cloud(count: int, dimension: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed))


def test_typical_distance_is_the_median_of_all_pairs() -> None:
    points = torch.tensor([[0.0], [1.0], [3.0]])  # distances 1, 2, 3
    assert typical_distance(points) == pytest.approx(2)


def test_typical_distance_of_random_images_agrees_with_all() -> None:
    points = torch.randn(2000, 8, generator=torch.Generator().manual_seed(0))
    few = [typical_distance(points, images=500, seed=seed) for seed in range(2)]
    assert few == pytest.approx([typical_distance(points)] * 2, rel=0.03)
    assert few[0] != few[1]


def test_typical_distance_survives_a_large_common_offset() -> None:
    points = cloud(50, 4).double()
    assert typical_distance(points + 1e6) == pytest.approx(typical_distance(points), rel=1e-6)


def test_another_image_is_displaced_by_one_and_the_same_image_by_nothing() -> None:
    points = cloud(300, 64)
    typical = typical_distance(points)
    assert relative_displacement(points, points, typical).max() == 0
    assert relative_displacement(points.roll(1, 0), points, typical).median() == pytest.approx(1, abs=0.05)


@given(scale=st.floats(1e-3, 1e3))
@settings(max_examples=20, deadline=None)
def test_relative_displacement_has_no_unit(scale: float) -> None:
    points = cloud(30, 6)
    moved = points + 0.1 * cloud(30, 6, seed=1)
    reference = relative_displacement(moved, points, typical_distance(points))
    scaled = relative_displacement(moved * scale, points * scale, typical_distance(points * scale))
    torch.testing.assert_close(scaled, reference, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("points", [torch.ones(2, 3), torch.cat([torch.ones(9, 3), cloud(3, 3)])])
def test_there_is_no_unit_where_most_images_are_copies(points: torch.Tensor) -> None:
    with pytest.raises(UserError, match="one and the same"):
        typical_distance(points)


def test_cosine() -> None:
    a = torch.tensor([[1.0, 0], [1, 0], [1, 0]])
    b = torch.tensor([[2.0, 0], [0, 3], [-1, 0]])
    assert cosine(a, b).tolist() == pytest.approx([1, 0, -1])


@given(count=st.integers(1, 40), gallery=st.integers(1, 60), dimension=st.integers(1, 8), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_ranks_are_those_of_sorting(count: int, gallery: int, dimension: int, seed: int) -> None:
    queries, rows = cloud(count, dimension, seed), cloud(gallery, dimension, seed + 1000)
    targets = torch.randint(gallery, (count,), generator=torch.Generator().manual_seed(seed))
    distances = torch.cdist(queries.double(), rows.double())
    expected = 1 + (distances < distances.gather(1, targets[:, None]) * (1 - 1e-4)).sum(1)
    at_most = 1 + (distances < distances.gather(1, targets[:, None]) * (1 + 1e-4)).sum(1)
    ranks = retrieval_ranks(queries, rows, targets, block=7)
    assert ((ranks >= expected) & (ranks <= at_most)).all()
    assert ranks.dtype == torch.int64


def test_an_image_is_its_own_nearest() -> None:
    points = cloud(1000, 32)
    assert (retrieval_ranks(points, points, torch.arange(1000)) == 1).all()


@pytest.mark.parametrize("value", [0.0, 1.0, 123.456])
def test_a_constant_encoder_ranks_as_chance(value: float) -> None:
    constant = torch.full((101, 17), value)
    assert (retrieval_ranks(constant, constant, torch.arange(101)) == 51).all()


def test_a_duplicate_in_the_gallery_costs_the_first_rank() -> None:
    points = cloud(50, 8)
    gallery = torch.cat([points, points[:10]])
    ranks = retrieval_ranks(points, gallery, torch.arange(50))
    assert (ranks[:10] == 2).all()
    assert (ranks[10:] == 1).all()


def test_ranks_do_not_depend_on_blocks_or_on_a_common_offset() -> None:
    queries, gallery, targets = cloud(100, 20), cloud(300, 20, 1), torch.arange(100)
    ranks = retrieval_ranks(queries, gallery, targets)
    assert torch.equal(ranks, retrieval_ranks(queries, gallery, targets, block=13))
    shifted = retrieval_ranks(queries.double() + 1000, gallery.double() + 1000, targets)
    assert torch.equal(ranks, shifted)


@pytest.mark.parametrize("far", [1e3, 1e5, 1e7])
def test_an_outlier_in_the_gallery_does_not_tie_the_others(far: float) -> None:
    generator = torch.Generator().manual_seed(0)
    gallery, aside = torch.randn(300, 8, generator=generator), torch.randn(2, 8, generator=generator)
    queries = gallery[:40] + torch.randn(40, 8, generator=generator)
    gallery[[123, 288]] = 30 * aside
    expected = retrieval_ranks(queries, gallery, torch.arange(40))
    assert expected.unique().numel() > 3
    gallery[[123, 288]] = far * aside
    assert torch.equal(retrieval_ranks(queries, gallery, torch.arange(40)), expected)


def test_mean_reciprocal_rank() -> None:
    assert mean_reciprocal_rank(torch.tensor([1, 2, 4])) == pytest.approx((1 + 0.5 + 0.25) / 3)


def test_the_median_of_an_even_number_of_ranks_lies_between_the_two_in_the_middle():
    h = torch.tensor([[0.0], [1.0], [9.0]])
    assert fidelity_scores(torch.tensor([[0.0], [0.4]]), h) == {"MRR": 0.75, "mean rank": 1.5, "median rank": 1.5}


@pytest.mark.parametrize("count", [60, 300])
def test_the_error_of_the_typical_distance_is_what_it_scatters_by(count: int) -> None:
    drawn = [torch.randn(count, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(120)]
    drawn = [h * (1 + h[:, :1].abs()) for h in drawn]
    scatter = np.std([typical_distance(h) for h in drawn]) / np.mean([typical_distance(h) for h in drawn])
    told = np.mean([typical_error(h) for h in drawn])
    assert told == pytest.approx(scatter, rel=0.25)
    assert typical_error(1e-5 * drawn[0]) == pytest.approx(typical_error(drawn[0]), rel=1e-3)


@pytest.mark.parametrize("power", [-100, -40, 66, 110])
def test_the_scale_of_an_encoder_changes_no_number(power: int) -> None:
    gallery, targets, scale = cloud(60, 6), torch.arange(60), 2.0**power
    queries, applied = gallery + cloud(60, 6, seed=1), gallery[:, 0] > 0
    for number in (
        cosine,
        lambda a, b: retrieval_ranks(a, b, targets),
        lambda a, b: nearest(a, b)[1],
        lambda a, b: binary_scores(b, applied),
        lambda a, b: torch.tensor([differ(a, b, b, 1e-7), differ(b, b, b, 1e-7)]),
    ):
        torch.testing.assert_close(number(queries * scale, gallery * scale), number(queries, gallery), rtol=0, atol=0)


def test_the_nearest_image_is_found_far_from_zero() -> None:
    gallery = (cloud(60, 6) + 1e4).double()
    queries = gallery + 0.1 * cloud(60, 6, seed=1)
    assert nearest(queries.float(), gallery.float())[1].equal(torch.cdist(queries, gallery).argmin(1))
