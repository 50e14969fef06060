"""Scenes are a pure function of (split, index, seed), and their factors are what is drawn."""

from __future__ import annotations

import gzip
import math
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rcdm_core.data.garments import load_garments
from rcdm_core.data.scenes import CIRCULAR, LINEAR, RANGES, SIZE, Scenes, render
from rcdm_core.errors import UserError

SCENES = Scenes("test", seed=0)


def test_the_package_holds_ten_thousand_garments_of_ten_classes():
    garments, labels = load_garments("test")
    assert garments.shape == (10_000, 28, 28)
    assert torch.bincount(labels).tolist() == [1000] * 10


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 9_999), min_size=1, max_size=5), st.integers(0, 2**31))
def test_a_scene_does_not_depend_on_the_others_drawn_with_it(indices, seed):
    scenes = Scenes("test", seed=seed)
    together = scenes[indices]
    alone = torch.cat([scenes[[i]] for i in indices])
    assert torch.equal(together, alone)
    assert together.shape == (len(indices), 3, SIZE, SIZE)
    assert together.min() >= 0
    assert together.max() <= 1


def test_factors_fill_their_ranges_and_do_not_correlate():
    factors = SCENES.factors()
    for name, (low, high) in RANGES.items():
        assert low <= factors[name].min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < factors[name].max() <= high
    correlations = factors[list(RANGES)].corr().to_numpy() - np.eye(len(RANGES))
    assert np.abs(correlations).max() < 0.05
    assert set(CIRCULAR) | set(LINEAR) == set(RANGES)


def test_another_seed_and_another_pass_draw_other_factors():
    first = Scenes("test", seed=0).factors([0])
    for other in (Scenes("test", seed=1).factors([0]), SCENES.factors([10_000])):
        assert other["class"].item() == first["class"].item()
        assert not np.allclose(other[list(RANGES)], first[list(RANGES)])


@pytest.mark.parametrize("axis, factor", [(-1, "x"), (-2, "y")])
def test_position_moves_the_garment_by_that_many_half_sides(axis, factor):
    factors = SCENES.factors([0]).assign(x=0.0, y=0.0, angle=0.0, scale=0.75, brightness=0.3, direction=0.0)
    garment = torch.zeros(1, 28, 28)
    garment[:, 10:18, 10:18] = 1

    def centre(value: float) -> float:
        image = render(garment, factors.assign(**{factor: value}))
        mask = (image - render(torch.zeros_like(garment), factors)).abs().sum(1)[0] > 0.1
        profile = mask.float().sum(0 if axis == -1 else 1)
        return (profile * torch.arange(SIZE)).sum().item() / profile.sum().item()

    assert centre(0.2) - centre(-0.2) == pytest.approx(0.4 * SIZE / 2, abs=0.5)


def test_angle_turns_the_garment_clockwise():
    factors = SCENES.factors([0]).assign(x=0.0, y=0.0, angle=30.0, scale=1.0)
    bar = torch.zeros(1, 28, 28)
    bar[:, 2:26, 12:16] = 1  # upright
    drawn = (render(bar, factors) - render(torch.zeros_like(bar), factors)).abs().sum(1)[0] > 0.1
    rows, columns = torch.nonzero(drawn, as_tuple=True)
    assert columns[rows < 10].float().mean() > columns[rows > 22].float().mean() + 5  # the top leans right


def test_hue_tints_the_cloth_and_background_hue_the_rest():
    factors = SCENES.factors([0]).assign(hue=0.0, background_hue=1 / 3, x=0.0, y=0.0, scale=1.0, angle=0.0)
    image = render(torch.ones(1, 28, 28) * 0.9, factors)[0]
    assert image[:, 16, 16].argmax() == 0  # red cloth
    empty = render(torch.zeros(1, 28, 28), factors)[0]
    assert (empty.argmax(0) == 1).all()  # green background


def test_missing_training_garments_say_what_to_bring(tmp_path):
    with pytest.raises(UserError, match="train-images-idx3-ubyte.gz"):
        load_garments("train", tmp_path)


def idx(*shape: int) -> bytes:
    """An IDX file of zeros."""
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + bytes(math.prod(shape))


def test_training_garments_may_be_unpacked(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(3, 28, 28))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(3)))
    garments, labels = load_garments("train", tmp_path)
    assert garments.shape == (3, 28, 28)
    assert labels.tolist() == [0, 0, 0]


def test_garments_without_labels_or_damaged_get_one_line(tmp_path):
    images, labels = (tmp_path / f"train-{kind}.gz" for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"))
    images.write_bytes(gzip.compress(idx(3, 28, 28)))
    with pytest.raises(UserError, match="no Fashion-MNIST train files in .*labels-idx1-ubyte.gz"):
        load_garments("train", tmp_path)
    labels.write_bytes(gzip.compress(idx(3)))
    for content in (gzip.compress(idx(3, 28, 28))[:-12], b"no gzip", gzip.compress(idx(3, 28, 28)[:-5]), b""):
        images.write_bytes(content)
        with pytest.raises(UserError, match="images-idx3-ubyte.gz is damaged .*download it again"):
            load_garments("train", tmp_path)
