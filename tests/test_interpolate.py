"""The interpolation probe in a world where every factor is written in the picture, so that all answers are known.

And its command from arguments to what it leaves behind, drawn by a tiny RCDM of random weights.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from left_behind import tables_left_out
from PIL import Image
from planted_encoders import encoder
from probing import measured, planted
from scipy.stats import spearmanr, wilcoxon
from torch import nn
from typer.testing import Result as Ended

import rcdm_probe
from analyses.records import COLUMNS, join, records
from analyses.statistics import mean
from probes.interpolate import (
    PATHS,
    PROBE,
    Interpolate,
    beyond_chance,
    decisive,
    distances_of,
    in_order,
    linear,
    of_pairs,
    placed,
    positions,
    spearman,
    spherical,
    word_of,
)
from rcdm_core.data.imageset import ImageSet
from rcdm_core.data.registry import open_given
from rcdm_core.data.scenes import CIRCULAR, LINEAR, RANGES, Scenes
from rcdm_core.encoders import load_encoder
from rcdm_core.errors import UserError
from rcdm_core.rcdm import save_rcdm
from rcdm_core.rcdm.diffusion import build_schedule
from rcdm_core.rcdm.network import Denoiser, NetworkSettings
from rcdm_probe.conduct import Result
from rcdm_probe.known_probes import load_probe

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

    @property
    def numbers(self) -> np.ndarray:
        return np.arange(len(self))

    @property
    def keys(self) -> np.ndarray:
        return self.numbers

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


SMALL = Interpolate(pairs=30, points=5, gallery=40, pictures=1)


def probe(
    encode: Callable[[torch.Tensor], torch.Tensor],
    draw: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    *,
    images: ImageSet | None = None,
    chosen: Interpolate = SMALL,
    workdir: Path | None = None,
) -> Result:
    looked_at, reader = images or Stripes(), Reader()
    return measured(
        PROBE, encoder("planted", encode), looked_at, chosen, rcdm=Decoder(draw), judge=reader, workdir=workdir
    )  # type: ignore[arg-type]


def from_h(h: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    return paint(h)


def random_numbers(images: torch.Tensor) -> torch.Tensor:
    """Nothing but noise, the same for the same picture."""
    seeds = [zlib.crc32(image.numpy().tobytes()) for image in images]
    return torch.stack([torch.rand(COMPONENTS, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


def verdict(found: Result) -> str:
    (only,) = found.verdicts
    assert (only.finding, only.aspect, only.level) == (4, "interpolation", "backbone")
    return only.word


@pytest.fixture(scope="module")
def transparent() -> Result:
    """An encoder that reads every stripe, a decoder that paints them again."""
    return probe(stripes, from_h)


def table_of(name: str, found: Result | pd.DataFrame) -> pd.DataFrame:
    """One table alone, which is quicker than all; of a result, or of planted records."""
    return PROBE.tables[name](found if isinstance(found, Result) else planted(PROBE, found))


def row(table: pd.DataFrame, **keys: object) -> pd.Series:
    (only,) = (line for _, line in table.iterrows() if all(line[name] == value for name, value in keys.items()))
    return only


# Planted truths


def test_what_is_read_and_drawn_exactly_is_in_order_and_in_place(transparent: Result) -> None:
    tables = {name: table_of(name, transparent) for name in ("factors", "classes", "distances")}
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
    transparent: Result,
) -> None:
    table = table_of("trajectories", transparent).query("path == 'linear'")
    for factor, rows in table.groupby("factor"):
        way = rows.sort_values("position")["progress"].to_numpy()
        assert (np.diff(way) >= 0).all()
        if factor in LINEAR:
            assert way == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=1e-5)
    assert row(table, factor="hue", position=0.5)["progress"] == pytest.approx(0.5, abs=1e-4)


def test_of_an_encoder_that_is_linear_in_the_pixels_the_cross_fade_is_the_linear_path(transparent: Result) -> None:
    table = table_of("comparison", transparent).query("versus == 'cross-fade'")
    assert table["difference"].to_numpy() == pytest.approx(0, abs=1e-9)
    assert (table["p_holm"] == 1).all()
    beside = table_of("comparison", transparent).query("versus == 'wrong end'")
    assert beside["difference_low"].item() > 0


def test_noise_is_not_supported_though_its_samples_seem_near_their_points() -> None:
    found = probe(random_numbers, lambda h, noise: paint(random_numbers(h)))
    assert abs(row(table_of("orders", found), path="linear")["spearman"]) < 0.25
    distances = row(table_of("distances", found), path="linear")
    assert distances["own_point"] > 0.6  # what would look like success: the middle is near to everything
    assert distances["own_point"] == pytest.approx(distances["own_point_chance"], abs=0.1)
    assert distances["beyond_chance_high"] < 0.5
    assert distances["approach_low"] < 0.1
    assert verdict(found) == "not supported"


def test_a_sample_that_ignores_h_has_the_rank_of_chance_exactly() -> None:
    found = probe(stripes, lambda h, noise: paint(noise.flatten(1)[:, :COMPONENTS].sigmoid()))
    distances = row(table_of("distances", found), path="linear")
    assert distances["own_point"] == pytest.approx(distances["own_point_chance"])
    assert distances["beyond_chance"] == pytest.approx(0)
    assert distances["rank"] == pytest.approx(distances["rank_chance"])
    assert distances["approach"] == 0
    assert row(table_of("orders", found), path="linear")["spearman"] == 0
    assert verdict(found) == "not supported"


def test_one_factor_alone_is_in_order_and_the_others_are_not() -> None:
    """What sees only one stripe interpolates that, wherever its samples lie."""
    place = CLASSES + LINEAR.index("brightness")
    only = partial(torch.mul, torch.nn.functional.one_hot(torch.tensor(place), COMPONENTS))
    found = probe(lambda images: only(stripes(images)), from_h)
    table = table_of("factors", found).query("path == 'linear'").set_index("factor")
    assert table.loc["brightness", "spearman"] == pytest.approx(1)
    assert table.drop("brightness")["spearman"].to_numpy() == pytest.approx(0)
    assert row(table_of("classes", found), path="linear")["once"] == 0
    assert row(table_of("distances", found), path="linear")["own_point"] == 1
    assert verdict(found) == "not supported"


def test_a_constant_encoder_is_refused_as_collapsed() -> None:
    with pytest.raises(UserError, match="collapsed"):
        probe(lambda images: torch.ones(len(images), COMPONENTS), from_h)


def test_without_known_factors_the_verdict_rests_on_distances(transparent: Result) -> None:
    found = probe(stripes, from_h, images=Stripes(known=False))  # type: ignore[arg-type]
    assert set(found.records["measure"]) == {"partner", "distance", "offset"}
    assert table_of("orders", found).empty
    assert table_of("factors", found).empty
    assert table_of("classes", found).empty
    found.run["encoder_card"]["self_supervised"] = False
    (only,) = found.verdicts
    assert only.word == "supported"
    assert "distances alone" in only.rule
    assert "for comparison" in only.claim
    for text in (only.statistic, only.rule, only.sentence):
        assert "nearer to their own point" in text
        assert "both ends" in text
    assert set(table_of("comparison", found)["measure"]) == {"own point"}


# The measurement


def test_records_are_tidy_and_no_image_is_in_two_pairs(transparent: Result) -> None:
    table = transparent.records
    assert {name: str(kind) for name, kind in table.dtypes.items()} == COLUMNS
    assert not table.duplicated([name for name in COLUMNS if name != "value"]).any()
    assert table["value"].notna().all()
    partners = table[table["measure"] == "partner"]
    assert len({*partners["image"], *partners["value"].astype(int)}) == 2 * SMALL.pairs
    counts = table.groupby("measure").size()
    assert counts["reading"] == 30 * 5 * 9 * 3
    assert counts["distance"] == 30 * 5 * 5 * 3


def test_every_number_comes_again_from_the_file_of_records(transparent: Result, tmp_path: Path) -> None:
    transparent.records.to_parquet(tmp_path / "records.parquet")
    again = planted(PROBE, pd.read_parquet(tmp_path / "records.parquet")).tables
    for name, table in transparent.tables.items():
        pd.testing.assert_frame_equal(table, again[name])


def test_all_of_a_pair_starts_from_the_noise_of_its_first_image_and_ends_are_drawn_once() -> None:
    decoder = Decoder(from_h)
    measured(PROBE, encoder("planted", stripes), Stripes(), SMALL, rcdm=decoder)  # type: ignore[arg-type]
    noise = torch.cat(decoder.noises)
    per_pair = 2 + 3 * (SMALL.points - 2)
    assert len(noise) == SMALL.pairs * per_pair
    by_pair = noise.unflatten(0, (SMALL.pairs, per_pair))
    assert (by_pair == by_pair[:, :1]).all()
    assert (by_pair[0] != by_pair[1]).any()


def test_an_interrupted_measurement_goes_on_and_draws_nothing_twice(tmp_path: Path, transparent: Result) -> None:
    images, chosen = Stripes(), replace(SMALL, batch_size=50)
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
    found = probe(stripes, from_h, images=Stripes(25), chosen=replace(SMALL, pairs=80))  # type: ignore[arg-type]
    partners = found.records[found.records["measure"] == "partner"]
    assert len(partners) == 12
    assert len({*partners["image"], *partners["value"].astype(int)}) == 24


def test_strips_hold_the_images_and_every_path(transparent: Result) -> None:
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
        ({"pictures": 0}, "at least 1"),
        ({"gallery": 3}, "at least 20"),
        ({"paths": ()}, "no path was named"),
        ({"pair": ("a.png",)}, "two ends"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        Interpolate(**wrong)  # type: ignore[arg-type]


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
    there = readings_of(0.85, 0.15, [0.85, 0.9, 0.0, 0.1, 0.2], "hue")
    way = table_of("trajectories", there)["progress"].to_numpy()
    assert way == pytest.approx([0, 1 / 6, 1 / 2, 5 / 6, 7 / 6])
    assert table_of("factors", there)["spearman"].item() == pytest.approx(1)
    back = table_of("factors", readings_of(0.15, 0.85, [0.85, 0.9, 0.0, 0.1, 0.2], "hue"))
    assert back["spearman"].item() == pytest.approx(-1)


@pytest.mark.parametrize(
    "factor, first, second, counts",
    [("hue", 0.95, 0.06, False), ("hue", 0.95, 0.08, True), ("x", -0.2, -0.11, False), ("x", -0.2, -0.09, True)],
)
def test_factors_count_from_a_quarter_of_the_largest_difference_on(
    factor: str, first: float, second: float, counts: bool
) -> None:
    assert len(table_of("factors", readings_of(first, second, [0.0, 0.1, 0.2], factor))) == counts


@pytest.mark.parametrize(
    "read, once, ends",
    [([1, 1, 2, 2], 1, 1), ([1, 2, 1, 2], 0, 1), ([1, 0, 2, 2], 0, 1), ([0, 1, 2, 2], 0, 0), ([1, 1, 1, 1], 0, 0)],
)
def test_a_class_that_changes_once(read: list[float], once: int, ends: int) -> None:
    table = table_of("classes", readings_of(1, 2, read, "class"))
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


def test_one_failure_of_three_counts_against_a_claim_only_by_its_corrected_interval(transparent: Result) -> None:
    values, word = np.random.default_rng(0).normal(size=40), partial(word_of, transparent)
    usual, corrected = (transparent.interval(values, mean, 1 - rate).high for rate in (0.05, 0.05 / 3))
    assert usual < corrected
    failing, passing = (values, mean, (usual + corrected) / 2), (values, mean, -9.0)
    assert word(passing, passing, passing) == "supported"
    assert word(failing) == "not supported"
    assert word(failing, passing, passing) == "inconclusive"
    assert word((values, mean, corrected + 0.1), passing, passing) == "not supported"


def of_turning_hues(aside: float, pairs: int = 40) -> Result:
    """Pairs whose hue is read exactly all along, and whose samples lie at their own points, but for ``aside``."""
    rng, at, numbers = np.random.default_rng(0), np.linspace(0, 1, 5), np.arange(pairs)
    first, way = rng.uniform(0, 1, pairs), rng.choice([-0.4, 0.4], pairs)
    common = {"encoder": "e", "level": "backbone"}
    rows = [
        records("partner", np.full(pairs, -1.0), numbers, encoder="e"),
        records("from", first, numbers, encoder="e", condition="hue"),
        records("to", (first + way) % 1, numbers, encoder="e", condition="hue"),
    ]
    for origin, place in enumerate(at):
        rows.append(records("offset", np.zeros(pairs), numbers, condition="linear", strength=place, **common))
        read = (first + way * place) % 1
        rows.append(records("reading", read, numbers, condition="linear: hue", strength=place, sample=0, **common))
        for point in at:
            apart = abs(place - point) + aside * rng.uniform(0, 1, pairs)
            rows.append(
                records("distance", apart, numbers, condition=f"linear: {origin}", strength=point, sample=0, **common)
            )
    return planted(PROBE, join(rows))


def test_a_failure_is_told_by_the_number_and_the_p_of_what_fails() -> None:
    """Readings follow the path exactly; samples lie anywhere."""
    found = of_turning_hues(aside=100.0)
    (only,) = found.verdicts
    distances = row(found.tables["distances"], path="linear")
    ((_, apart, *_),) = distances_of(found.records)
    near, possible = beyond_chance(apart).T
    assert only.word == "not supported"
    assert row(found.tables["orders"], path="linear")["spearman"] == pytest.approx(1)
    assert (only.value, only.low, only.high) == tuple(distances[f"beyond_chance{end}"] for end in ("", "_low", "_high"))
    assert only.p_value == pytest.approx(wilcoxon(near - 0.5 * possible).pvalue)
    assert f"both ends is {only.value:.2f} [{only.low:.2f}, {only.high:.2f}] (p < 0.0001 against 0.5)" in only.sentence
    assert only.sentence.endswith("What decides is the own point.")


def test_support_is_told_by_the_number_and_the_p_of_the_least_sure_of_three() -> None:
    """Another end is often on the same side, so that fewer pairs speak for the gain than for the correlation."""
    found = of_turning_hues(aside=0.0)
    (only,) = found.verdicts
    (order,), (wrong,) = (of_pairs(in_order(found.records, shift)).values() for shift in (0, 1))
    gain = (order - wrong).dropna()
    assert only.word == "supported"
    assert only.value == pytest.approx(gain.mean())
    assert only.p_value == pytest.approx(wilcoxon(gain[gain != 0]).pvalue)
    assert only.p_value > 100 * wilcoxon(order - 0.5).pvalue
    assert only.n == len(gain) < len(order) == 40
    assert f"{only.value:.2f} [{only.low:.2f}, {only.high:.2f}] more than towards another image" in only.sentence
    assert only.sentence.endswith("What decides is its gain over that towards another image.")


YES, NO, OPEN = "supported", "not supported", "inconclusive"


@pytest.mark.parametrize(
    "words, p_values, place",
    [
        ((YES, YES, YES), (0.01, 0.03, 0.02), 1),
        ((YES, NO, NO), (0.9, 0.03, 0.02), 2),
        ((NO, OPEN, YES), (0.03, 0.9, 0.9), 0),
        ((OPEN, YES, OPEN), (0.2, 0.9, 0.3), 2),
        ((OPEN, OPEN, YES), (0.2, np.nan, 0.9), 1),
    ],
)
def test_what_decides_is_furthest_from_support(words, p_values, place) -> None:
    assert decisive(words, p_values) == place


def test_a_single_pair_has_numbers_but_no_verdict(transparent: Result) -> None:
    table = transparent.records
    one = table[table["image"] == table["image"].iloc[0]]
    found = planted(PROBE, one)
    assert found.verdicts == ()
    orders = table_of("orders", found)
    assert orders["spearman"].notna().all()
    assert orders["spearman_low"].isna().all()
    assert orders["wrong_end"].isna().all()


# The command

BRIEF = ("--points", 4, "--steps", 1)
FEW = (*BRIEF, "--pairs", 10, "--pictures", 1)


@pytest.fixture(scope="module")
def rcdm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an RCDM of an embedded encoder's backbone."""
    torch.manual_seed(0)
    encoder = load_encoder("vicreg")
    shape = NetworkSettings(image_size=32, patch=4, channels=(32, 32), attention=(False, False))
    denoiser = Denoiser(shape, {"vicreg/backbone": encoder.dimensions["backbone"]})
    folder = tmp_path_factory.mktemp("tiny")
    save_rcdm(denoiser, build_schedule(), folder, card={})
    return folder


def saved(path: Path, width: int, height: int, seed: int) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((width, height)).save(path)
    return path


def test_many_pairs_leave_a_whole_run(command: Callable[..., Ended], rcdm: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = command("interpolate", "-e", "vicreg", "--rcdm", rcdm, *FEW, "--out", out)
    assert result.exit_code == 0, result.output
    assert "Finding 4, interpolation" in result.output
    assert (out / "report.pdf").read_bytes().startswith(b"%PDF")
    facts = json.loads((out / "run.json").read_text())
    assert facts["finished"]
    assert facts["probe"] == "interpolate"
    assert all(len(facts["hashes"][name]) == 64 for name in ("encoder", "rcdm", "judge", "data"))
    names = {path.stem for path in (out / "tables").glob("*.csv")}
    assert names >= {"orders", "factors", "trajectories", "distances", "approach", "comparison", "verdicts"}
    document = json.loads((out / "report.json").read_text())
    assert any("does not know this level" in str(section) for section in document["sections"])  # the projector
    figures = [block["path"] for section in document["sections"] for block in section["blocks"] if "path" in block]
    assert all((out / path).is_file() for path in figures)
    assert not tables_left_out(out)

    records = pd.read_parquet(out / "records.parquet")
    again = planted(PROBE, records)
    for name, table in again.tables.items():
        if len(table):
            pd.testing.assert_frame_equal(pd.read_csv(out / "tables" / f"{name}.csv"), table, check_dtype=False)
    (verdict,) = again.verdicts
    kept = pd.read_csv(out / "tables" / "verdicts.csv").iloc[0]
    assert (kept["word"], kept["aspect"], kept["level"]) == (verdict.word, "interpolation", "backbone")


def test_two_files_of_different_sizes_make_a_strip(command: Callable[..., Ended], rcdm: Path, tmp_path: Path) -> None:
    first, second = saved(tmp_path / "a.png", 40, 70, 0), saved(tmp_path / "b #1.jpg", 90, 32, 1)
    out = tmp_path / "run"
    result = command(
        "interpolate", first, second, "-e", "vicreg", "-l", "backbone", "--rcdm", rcdm, "--path", "spherical", *BRIEF,
        "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert (out / "figures" / "strip-1.png").is_file()
    facts = json.loads((out / "run.json").read_text())
    assert facts["arguments"]["pair"] == [str(first), str(second)]
    assert facts["command"].startswith(f"rcdm-probe interpolate {first} '{second}' --encoder vicreg")
    records = pd.read_parquet(out / "records.parquet")
    assert set(records["image"]) == {-1}  # of the user, and no image of the data set
    assert set(records[records["measure"] == "offset"]["condition"]) == {"spherical", "cross-fade"}
    document = json.loads((out / "report.json").read_text())
    assert document["verdicts"] == []
    assert "judge reads off them" in str(document)


@pytest.mark.parametrize(
    "arguments, says",
    [
        (("here.png", "gone.png"), "cannot read gone.png as an image"),
        (("here.png",), "1 images were given"),
        (("here.png", "scenes:99999"), "there is no scene '99999'"),
        (("--rcdm", "none"), "there is nothing to draw with"),
        (("--path", "straight"), "unknown path 'straight'"),
        (("--points", 3), "'--points'"),
    ],
)
def test_mistakes_get_one_line(
    command: Callable[..., Ended], arguments: tuple[object, ...], says: str, tmp_path: Path
) -> None:
    saved(tmp_path / "here.png", 40, 40, 0)
    result = command("interpolate", *arguments, "-e", "vicreg")
    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_given_scenes_have_factors_and_files_have_none(tmp_path: Path) -> None:
    scenes = open_given(["scenes:3", "scenes:8"], image_size=32)
    torch.testing.assert_close(scenes.images, Scenes().images([3, 8]))
    assert scenes.factors is not None
    assert scenes.factors["hue"].tolist() == Scenes().factors([3, 8])["hue"].tolist()
    mixed = open_given(["scenes:3", saved(tmp_path / "a.png", 9, 50, 0)], image_size=16)
    assert mixed.images.shape == (2, 3, 16, 16)
    assert mixed.factors is None
    assert mixed.fingerprint != scenes.fingerprint
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(UserError, match="broken.png"):
        open_given([tmp_path / "broken.png", "scenes:0"], image_size=32)


def test_it_is_found_by_its_one_name_and_still_by_the_former() -> None:
    assert load_probe("interpolate") is PROBE
    with pytest.warns(DeprecationWarning, match="is called interpolate now"):
        assert rcdm_probe.interpolation is rcdm_probe.interpolate


def test_the_words_of_a_verdict_follow_its_word(transparent: Result) -> None:
    (verdict,) = transparent.verdicts
    assert "planted is drawn as images that change from A to B: the factors" in verdict.sentence
    assert "Supported where three 95% intervals" in verdict.rule
