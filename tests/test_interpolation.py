"""The interpolation probe in a world where every factor is written in the picture, so that all answers are known."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_encoders import encoder
from scipy.stats import spearmanr
from torch import nn

from analyses import interpolation as analysis
from analyses.interpolation.paths import beyond_chance, placed, spearman
from analyses.interpolation.verdicts import Criterion, word_of
from analyses.statistics import mean
from probes.interpolation import InterpolationSettings, Measurement, measure
from probes.interpolation.pairs import draw_pairs
from probes.interpolation.paths import PATHS, linear, positions, spherical
from probes.records import COLUMNS, join, records
from rcdm_core.data.imageset import ImageSet
from rcdm_core.data.scenes import CIRCULAR, LINEAR, RANGES
from rcdm_core.errors import UserError

SIDE, CLASSES = 32, 3
COMPONENTS = CLASSES + len(LINEAR) + 2 * len(CIRCULAR)
"""A picture of this world is a stack of stripes, and each stripe is one component of its factors in [0, 1]."""


def components(factors: pd.DataFrame) -> torch.Tensor:
    """One-hot class, linear factors over their range, cosine and sine of circular ones: ``[N, COMPONENTS]``."""
    columns = [(factors["class"] == number).astype(float) for number in range(CLASSES)]
    columns += [(factors[name] - RANGES[name][0]) / (RANGES[name][1] - RANGES[name][0]) for name in LINEAR]
    turns = [2 * np.pi * factors[name] for name in CIRCULAR]
    columns += [(1 + part(turn)) / 2 for turn in turns for part in (np.cos, np.sin)]
    return torch.tensor(np.stack(columns, 1), dtype=torch.float32)


def paint(values: torch.Tensor) -> torch.Tensor:
    """Pictures ``[N, 3, 32, 32]`` of components."""
    stripes = nn.functional.pad(values, (0, SIDE - COMPONENTS))
    return stripes[:, None, :, None].expand(-1, 3, SIDE, SIDE).clamp(0, 1).contiguous()


def stripes(images: torch.Tensor) -> torch.Tensor:
    """Components of pictures."""
    return images.mean((1, 3))[:, :COMPONENTS]


class Reader:
    """A judge that reads stripes, and so is never wrong."""

    def read(self, images: torch.Tensor) -> pd.DataFrame:
        values = stripes(images).double().numpy()
        table: dict[str, np.ndarray] = {"class": values[:, :CLASSES].argmax(1)}
        for place, name in enumerate(LINEAR, CLASSES):
            low, high = RANGES[name]
            table[name] = low + (high - low) * values[:, place]
        for place, name in enumerate(CIRCULAR):
            cosine, sine = (2 * values[:, CLASSES + len(LINEAR) + 2 * place + part] - 1 for part in (0, 1))
            table[name] = (np.arctan2(sine, cosine) / (2 * np.pi)) % 1
        return pd.DataFrame(table)


class Stripes:
    """A set of striped pictures with random factors."""

    name, image_size, class_names, labels, fingerprint = "stripes", SIDE, ("a", "b", "c"), None, "s"
    skipped, passed_over, remarks = (), {}, ()

    def __init__(self, count: int = 60, *, known: bool = True) -> None:
        rng = np.random.default_rng(0)
        ranges = {name: rng.uniform(*bounds, count) for name, bounds in RANGES.items()}
        self.table, self.known = pd.DataFrame({"class": rng.integers(0, CLASSES, count), **ranges}), known

    def __len__(self) -> int:
        return len(self.table)

    def images(self, indices: np.ndarray) -> torch.Tensor:
        return paint(components(self.table.iloc[np.asarray(indices)]))

    def factors(self, indices: np.ndarray) -> pd.DataFrame | None:
        return self.table.iloc[np.asarray(indices)] if self.known else None


class Decoder:
    """In place of an RCDM: draws from ``h`` and the starting noise what it is told to."""

    image_size, fingerprint = SIDE, "decoder"

    def __init__(self, draw: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], size: int = COMPONENTS) -> None:
        self.draw, self.conditions = draw, {"planted/backbone": size}
        self.card: dict[str, object] = {}
        self.noises: list[torch.Tensor] = []

    def sample(self, h: torch.Tensor, condition: str, *, noise: torch.Tensor, **settings: object) -> torch.Tensor:
        self.noises.append(noise)
        return self.draw(h, noise)


SMALL = InterpolationSettings(pairs=30, points=5, gallery=40, pictures=1)


def probe(
    encode: Callable[[torch.Tensor], torch.Tensor],
    draw: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    *,
    images: ImageSet | None = None,
    chosen: InterpolationSettings = SMALL,
    **more: object,
) -> Measurement:
    return measure(
        encoder("planted", encode), images or Stripes(), rcdm=Decoder(draw), judge=Reader(), settings=chosen, **more
    )  # type: ignore[arg-type]


def from_h(h: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    return paint(h)


def random_numbers(images: torch.Tensor) -> torch.Tensor:
    """Nothing but noise, the same for the same picture."""
    seeds = [zlib.crc32(image.numpy().tobytes()) for image in images]
    return torch.stack([torch.rand(COMPONENTS, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


def verdict(found: Measurement) -> str:
    (only,) = analysis.interpolation_verdicts(found.records, is_ssl=True, resamples=200)
    assert (only.finding, only.aspect, only.level) == (4, "interpolation", "backbone")
    return only.word


@pytest.fixture(scope="module")
def transparent() -> Measurement:
    """An encoder that reads every stripe, a decoder that paints them again."""
    return probe(stripes, from_h)


def row(table: pd.DataFrame, **keys: object) -> pd.Series:
    (only,) = (line for _, line in table.iterrows() if all(line[name] == value for name, value in keys.items()))
    return only


# Planted truths


def test_what_is_read_and_drawn_exactly_is_in_order_and_in_place(transparent: Measurement) -> None:
    tables = {
        "factors": analysis.factor_table(transparent.records, resamples=50),
        "classes": analysis.class_table(transparent.records, resamples=50),
        "distances": analysis.distance_table(transparent.records, resamples=50),
    }
    straight = tables["factors"].query("path == 'linear'")
    assert set(straight["factor"]) == {*LINEAR, *CIRCULAR}
    assert straight["spearman"].to_numpy() == pytest.approx(1)
    assert straight["at_first"].to_numpy() == pytest.approx(0, abs=1e-5)
    assert straight["at_second"].to_numpy() == pytest.approx(1, abs=1e-5)
    assert straight["wrong_end"].mean() < 0.7
    assert row(tables["classes"], path="linear")["once"] == 1
    straight = row(tables["distances"], path="linear")
    assert (straight["own_point"], straight["beyond_chance"], straight["rank"]) == (1, 1, 1)
    assert straight["own_point_chance"] < 0.8
    assert straight["approach"] == pytest.approx(1)
    assert straight["own"] == pytest.approx(0, abs=1e-5)
    assert straight["offset"] == pytest.approx(0, abs=1e-5)
    assert row(tables["distances"], path="spherical")["offset"] > 0
    assert verdict(transparent) == "supported"


def test_linear_factors_move_at_constant_speed_and_circular_ones_along_the_shorter_arc(
    transparent: Measurement,
) -> None:
    table = analysis.trajectory_table(transparent.records, resamples=20).query("path == 'linear'")
    for factor, rows in table.groupby("factor"):
        way = rows.sort_values("position")["progress"].to_numpy()
        assert (np.diff(way) >= 0).all()
        if factor in LINEAR:
            assert way == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=1e-5)
    assert row(table, factor="hue", position=0.5)["progress"] == pytest.approx(0.5, abs=1e-4)


def test_of_an_encoder_that_is_linear_in_the_pixels_the_cross_fade_is_the_linear_path(transparent: Measurement) -> None:
    table = analysis.comparison_table(transparent.records, resamples=50).query("versus == 'cross-fade'")
    assert table["difference"].to_numpy() == pytest.approx(0, abs=1e-9)
    assert (table["p_holm"] == 1).all()
    beside = analysis.comparison_table(transparent.records, resamples=50).query("versus == 'wrong end'")
    assert beside["difference_low"].item() > 0


def test_noise_is_not_supported_though_its_samples_seem_near_their_points() -> None:
    found = probe(random_numbers, lambda h, noise: paint(random_numbers(h)))
    factors = analysis.order_table(found.records, resamples=200)
    assert abs(row(factors, path="linear")["spearman"]) < 0.25
    distances = row(analysis.distance_table(found.records, resamples=200), path="linear")
    assert distances["own_point"] > 0.6  # what would look like success: the middle is near to everything
    assert distances["own_point"] == pytest.approx(distances["own_point_chance"], abs=0.1)
    assert distances["beyond_chance_high"] < 0.5
    assert distances["approach_low"] < 0.1
    assert verdict(found) == "not supported"


def test_a_sample_that_ignores_h_has_the_rank_of_chance_exactly() -> None:
    found = probe(stripes, lambda h, noise: paint(noise.flatten(1)[:, :COMPONENTS].sigmoid()))
    distances = row(analysis.distance_table(found.records, resamples=50), path="linear")
    assert distances["own_point"] == pytest.approx(distances["own_point_chance"])
    assert distances["beyond_chance"] == pytest.approx(0)
    assert distances["rank"] == pytest.approx(distances["rank_chance"])
    assert distances["approach"] == 0
    assert row(analysis.order_table(found.records, resamples=50), path="linear")["spearman"] == 0
    assert verdict(found) == "not supported"


def test_one_factor_alone_is_in_order_and_the_others_are_not() -> None:
    """What sees only one stripe interpolates that, wherever its samples lie."""
    place = CLASSES + LINEAR.index("brightness")
    only = partial(torch.mul, torch.nn.functional.one_hot(torch.tensor(place), COMPONENTS))
    found = probe(lambda images: only(stripes(images)), from_h)
    table = analysis.factor_table(found.records, resamples=50).query("path == 'linear'").set_index("factor")
    assert table.loc["brightness", "spearman"] == pytest.approx(1)
    assert table.drop("brightness")["spearman"].to_numpy() == pytest.approx(0)
    assert row(analysis.class_table(found.records, resamples=50), path="linear")["once"] == 0
    assert row(analysis.distance_table(found.records, resamples=50), path="linear")["own_point"] == 1
    assert verdict(found) == "not supported"


def test_a_constant_encoder_is_refused_as_collapsed() -> None:
    with pytest.raises(UserError, match="collapsed"):
        probe(lambda images: torch.ones(len(images), COMPONENTS), from_h)


def test_without_known_factors_the_verdict_rests_on_distances(transparent: Measurement) -> None:
    found = probe(stripes, from_h, images=Stripes(known=False))  # type: ignore[arg-type]
    assert set(found.records["measure"]) == {"partner", "distance", "offset"}
    assert analysis.order_table(found.records).empty
    assert analysis.factor_table(found.records).empty
    assert analysis.class_table(found.records).empty
    (only,) = analysis.interpolation_verdicts(found.records, is_ssl=False, resamples=50)
    assert only.word == "supported"
    assert "distances alone" in only.rule
    assert "for comparison" in only.claim
    for text in (only.statistic, only.rule, only.sentence):
        assert "nearer to their own point" in text
        assert "both ends" in text
    assert set(analysis.comparison_table(found.records, resamples=50)["measure"]) == {"own point"}


# The measurement


def test_records_are_tidy_and_no_image_is_in_two_pairs(transparent: Measurement) -> None:
    table = transparent.records
    assert {name: str(kind) for name, kind in table.dtypes.items()} == COLUMNS
    assert not table.duplicated([name for name in COLUMNS if name != "value"]).any()
    assert table["value"].notna().all()
    partners = table[table["measure"] == "partner"]
    assert len({*partners["image"], *partners["value"].astype(int)}) == 2 * SMALL.pairs
    counts = table.groupby("measure").size()
    assert counts["reading"] == 30 * 5 * 9 * 3
    assert counts["distance"] == 30 * 5 * 5 * 3


def test_every_number_comes_again_from_the_file_of_records(transparent: Measurement, tmp_path: Path) -> None:
    transparent.records.to_parquet(tmp_path / "records.parquet")
    again = pd.read_parquet(tmp_path / "records.parquet")
    for name in ("order", "factor", "trajectory", "class", "distance", "approach", "comparison"):
        table = getattr(analysis, f"{name}_table")
        pd.testing.assert_frame_equal(table(transparent.records, resamples=20), table(again, resamples=20))


def test_all_of_a_pair_starts_from_the_noise_of_its_first_image_and_ends_are_drawn_once() -> None:
    decoder = Decoder(from_h)
    measure(encoder("planted", stripes), Stripes(), rcdm=decoder, judge=None, settings=SMALL)  # type: ignore[arg-type]
    noise = torch.cat(decoder.noises)
    per_pair = 2 + 3 * (SMALL.points - 2)
    assert len(noise) == SMALL.pairs * per_pair
    by_pair = noise.unflatten(0, (SMALL.pairs, per_pair))
    assert (by_pair == by_pair[:, :1]).all()
    assert (by_pair[0] != by_pair[1]).any()


def test_an_interrupted_measurement_goes_on_and_draws_nothing_twice(tmp_path: Path, transparent: Measurement) -> None:
    images, chosen = Stripes(), InterpolationSettings(pairs=30, points=5, gallery=40, pictures=1, batch_size=50)
    calls = []

    def draw(h: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        calls.append(len(h))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return paint(h)

    go = partial(probe, stripes, draw, images=images, chosen=chosen, workdir=tmp_path)  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        go()
    found = go()
    assert sum(calls) == 30 * 11 + 50  # the batch that was interrupted
    pd.testing.assert_frame_equal(found.records, transparent.records, atol=1e-5)


def test_a_small_data_set_gives_the_pairs_it_has() -> None:
    pairs = draw_pairs(Stripes(25), count=80, seed=0)  # type: ignore[arg-type]
    assert len(pairs) == 12
    assert len(set(pairs.numbers.flatten().tolist())) == 24


def test_strips_hold_the_images_and_every_path(transparent: Measurement) -> None:
    (strip,) = transparent.panels
    assert strip.columns == ("A", "1/4", "1/2", "3/4", "B")
    assert strip.rows == (
        "pixels, cross-faded", "backbone, linear", "backbone, spherical", "backbone, h of cross-fade"
    )  # fmt: skip
    torch.testing.assert_close(strip.images[0], strip.images[1], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"paths": ("linaer",)}, "did you mean linear"),
        ({"points": 3}, "at least 4"),
        ({"pairs": 3}, "at least 10"),
        ({"solver": "dpm"}, "unknown solver"),
        ({"pictures": 0}, "at least one"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        InterpolationSettings(**wrong)  # type: ignore[arg-type]


# Paths

VECTORS = st.lists(st.floats(-5, 5).map(lambda x: round(x, 3)), min_size=4, max_size=4).map(
    lambda values: torch.tensor([values], dtype=torch.float64)
)


@settings(max_examples=40, deadline=None)
@given(VECTORS, VECTORS)
def test_every_path_meets_its_ends_and_stays_finite(a: torch.Tensor, b: torch.Tensor) -> None:
    for path in PATHS.values():
        points = path(a, b, positions(5))
        assert points.shape == (1, 5, 4)
        assert points.isfinite().all()
        assert (points[:, 0] == a).all()
        assert (points[:, -1] == b).all()


@settings(max_examples=40, deadline=None)
@given(VECTORS, VECTORS)
def test_a_spherical_path_turns_at_constant_speed_and_its_norm_goes_linearly(a: torch.Tensor, b: torch.Tensor) -> None:
    points = spherical(a, b, positions(5))[0]
    torch.testing.assert_close(points.norm(dim=1), torch.lerp(a.norm(), b.norm(), positions(5)))
    if min(a.norm(), b.norm()) < 0.1:
        return
    directions = nn.functional.normalize(points, dim=1)
    turns = (directions[1:] - directions[:-1]).norm(dim=1)
    torch.testing.assert_close(turns, turns[:1].expand(4), atol=1e-6, rtol=1e-4)


def test_degenerate_directions() -> None:
    a, zero = torch.tensor([[1.0, 2.0, 0.0]]), torch.zeros(1, 3)
    t = positions(5)
    torch.testing.assert_close(spherical(a, 3 * a, t), linear(a, 3 * a, t))
    torch.testing.assert_close(spherical(zero, a, t), linear(zero, a, t))
    assert (spherical(zero, zero, t) == 0).all()
    opposite = spherical(a, -a, t)[0]
    torch.testing.assert_close(opposite.norm(dim=1), a.norm().expand(5))
    torch.testing.assert_close(opposite[2] @ a[0], torch.tensor(0.0), atol=1e-6, rtol=0)


# Statistics


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_spearman_is_scipys_and_0_where_nothing_changes(values: list[int]) -> None:
    expected = spearmanr(range(6), values).statistic if len(set(values)) > 1 else 0.0
    assert spearman(np.array([values], dtype=float)) == pytest.approx([expected])


def readings_of(first: float, second: float, read: list[float], factor: str) -> pd.DataFrame:
    common = {"encoder": "e", "condition": f"linear: {factor}", "level": "backbone", "sample": 0}
    return join(
        [
            records("from", [first], [7], encoder="e", condition=factor),
            records("to", [second], [7], encoder="e", condition=factor),
            *(records("reading", [v], [7], strength=k / (len(read) - 1), **common) for k, v in enumerate(read)),
        ]
    )


def test_a_circular_reading_is_unwrapped_around_the_middle_of_the_shorter_arc() -> None:
    table = readings_of(0.85, 0.15, [0.85, 0.9, 0.0, 0.1, 0.2], "hue")
    way = analysis.trajectory_table(table)["progress"].to_numpy()
    assert way == pytest.approx([0, 1 / 6, 1 / 2, 5 / 6, 7 / 6])
    assert analysis.factor_table(table)["spearman"].item() == pytest.approx(1)
    back = analysis.factor_table(readings_of(0.15, 0.85, [0.85, 0.9, 0.0, 0.1, 0.2], "hue"))
    assert back["spearman"].item() == pytest.approx(-1)


@pytest.mark.parametrize(
    "factor, first, second, counts",
    [("hue", 0.95, 0.06, False), ("hue", 0.95, 0.08, True), ("x", -0.2, -0.11, False), ("x", -0.2, -0.09, True)],
)
def test_factors_count_from_a_quarter_of_the_largest_difference_on(
    factor: str, first: float, second: float, counts: bool
) -> None:
    assert len(analysis.factor_table(readings_of(first, second, [0.0, 0.1, 0.2], factor))) == counts


@pytest.mark.parametrize(
    "read, once, ends",
    [([1, 1, 2, 2], 1, 1), ([1, 2, 1, 2], 0, 1), ([1, 0, 2, 2], 0, 1), ([0, 1, 2, 2], 0, 0), ([1, 1, 1, 1], 0, 0)],
)
def test_a_class_that_changes_once(read: list[float], once: int, ends: int) -> None:
    table = analysis.class_table(readings_of(1, 2, read, "class"))
    assert (table["once"].item(), table["ends"].item()) == (once, ends)


def test_distances_on_a_line_are_placed_as_computed_by_hand() -> None:
    """Points at 0, 1, 2, 3; samples near them, then samples that all lie at 1."""
    points = np.arange(4.0)
    apart = np.abs(np.array([[0, 1.2, 2.1, 3], [1, 1, 1, 1]])[:, :, None] - points)
    place = placed(apart)
    assert place["own_point"].tolist() == [1, 0.5]
    # The sample at 1.2 is nearer to the point 2 than to both ends, as is the one at 2.1 to the point 1: 0.8 < 1.2, not
    # 1.1 < 0.9. Samples at 1 are nearest to the point 1, wherever they come from.
    assert place["own_point_chance"].tolist() == [0.5, 0.5]
    assert place["rank"].tolist() == [1, 1.75]
    assert place["rank_chance"].tolist() == [2.5, 1.75]
    assert place["approach"].tolist() == [1, 0]
    assert place["own"] == pytest.approx([0.15, 0.5])
    assert place["end"] == pytest.approx([1.05, 1])
    assert beyond_chance(apart).tolist() == [[0.5, 0.5], [0, 0.5]]


def test_one_failure_of_three_counts_against_a_claim_only_by_its_corrected_interval() -> None:
    values = np.random.default_rng(0).normal(size=40)
    criterion = partial(Criterion, values, mean, resamples=400, seed=0)
    usual, corrected = (criterion(0.0).estimate(rate).high for rate in (0.05, 0.05 / 3))
    assert usual < corrected
    failing, passing = criterion((usual + corrected) / 2), criterion(-9.0)
    assert word_of((passing, passing, passing)) == "supported"
    assert word_of((failing,)) == "not supported"
    assert word_of((failing, passing, passing)) == "inconclusive"
    assert word_of((criterion(corrected + 0.1), passing, passing)) == "not supported"


def test_a_single_pair_has_numbers_but_no_verdict(transparent: Measurement) -> None:
    table = transparent.records
    one = table[table["image"] == table["image"].iloc[0]]
    assert analysis.interpolation_verdicts(one, is_ssl=True) == ()
    orders = analysis.order_table(one)
    assert orders["spearman"].notna().all()
    assert orders["spearman_low"].isna().all()
    assert orders["wrong_end"].isna().all()
