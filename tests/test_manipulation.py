"""The manipulation probe finds what was planted: encoders and decoders whose parts are known by construction."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from analyses.manipulation import (
    ALL,
    ENCODED,
    direction_table,
    edit_table,
    level_table,
    manipulation_verdicts,
    removal_table,
    response_table,
    transplant_table,
)
from probes.manipulation import Given, ManipulationSettings, Measurement, measure
from probes.manipulation.directions import find_directions
from probes.manipulation.editing import EDITS, edited, first_of, random_orders, reach
from probes.manipulation.rule import common_dimensions, find_rule, is_sparse
from probes.manipulation.settings import LEAST_IMAGES
from probes.manipulation.study import prepare
from probes.records import COLUMNS
from rcdm_core.data.garments import load_garments
from rcdm_core.data.imageset import ImageSet
from rcdm_core.data.registry import load_data
from rcdm_core.data.scenes import CIRCULAR, LINEAR, RANGES, render
from rcdm_core.encoders.encoder import Encoder
from rcdm_core.errors import UserError
from rcdm_core.progress import silent
from rcdm_core.zoo.judge import Judge, load_judge
from reports.manipulation import Content
from reports.manipulation.protocol import measured
from reports.manipulation.sections import edits

Function = Callable[[torch.Tensor], torch.Tensor]

SMALL = ManipulationSettings(images=30, gallery=200, moved=20, strengths=(-2.0, 2.0), pictures=2)


class Plain(nn.Module):
    """A trunk that is a plain function of the images."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.function(images)


def encoder(name: str, backbone: Function) -> Encoder:
    size = backbone(torch.rand(2, 3, 32, 32)).shape[1]
    return Encoder(
        name,
        preprocess=nn.Identity(),
        trunk=Plain(backbone),
        projector=None,
        dimensions={"backbone": size},
        is_ssl=True,
    )


class Known:
    """Draws from ``h`` by a rule that the test knows, with as little noise as is asked for."""

    image_size, card, fingerprint = 32, {}, "known"

    def __init__(self, network: Encoder, draw: Function, noise: float = 0.0) -> None:
        self.conditions = {f"{network.name}/backbone": network.dimensions["backbone"]}
        self.draw, self.noise = draw, noise

    def sample(self, h: torch.Tensor, condition: str, *, noise: torch.Tensor, **_: object) -> torch.Tensor:
        assert condition in self.conditions
        return (self.draw(h) + self.noise * noise).clamp(0, 1)


QUARTERS = 12  # numbers: the mean colours of the four quarters of a picture


def quarters(images: torch.Tensor) -> torch.Tensor:
    return nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)


def hashed(images: torch.Tensor, size: int) -> torch.Tensor:
    """Numbers that depend on the image, and say nothing of it that could be seen."""
    seeds = (images.double().mean((1, 2, 3)) * 1e9).long()
    return torch.stack([torch.randn(size, generator=torch.Generator().manual_seed(int(seed))) for seed in seeds])


def with_rest(images: torch.Tensor, *, seen: float, rest: float) -> torch.Tensor:
    """Quarters beside numbers that draw nothing; neighbours agree on the larger part."""
    return torch.cat([seen * quarters(images), rest * hashed(images, 36)], 1)


def paint(h: torch.Tensor, *, seen: float) -> torch.Tensor:
    colours = (h[:, :QUARTERS] / seen).unflatten(1, (3, 2, 2))
    return nn.functional.interpolate(colours, size=(32, 32), mode="bilinear")


@pytest.fixture(scope="module")
def scenes() -> ImageSet:
    return load_data("scenes", image_size=32, limit=200, seed=0)


@pytest.fixture(scope="module")
def judge() -> Judge:
    return load_judge()


@pytest.fixture(scope="module")
def parts(scenes: ImageSet, judge: Judge) -> Measurement:
    """What neighbours share is what is drawn; 36 dimensions of small numbers draw nothing."""
    network = encoder("parts", partial(with_rest, seen=10.0, rest=0.1))
    rcdm = Known(network, partial(paint, seen=10.0))
    return measure(network, scenes, rcdm=rcdm, judge=judge, settings=SMALL)  # type: ignore[arg-type]


def words(records: pd.DataFrame) -> dict[str, str]:
    return {v.aspect: v.word for v in manipulation_verdicts(records, is_ssl=True, resamples=200)}


# The rule and the edits


def test_a_sparse_level_takes_the_papers_rule_and_a_dense_one_the_quantiles() -> None:
    gallery = torch.rand(100, 6)
    gallery[:, :4] = 0
    rule = find_rule(gallery, shared=2, quantile=0.75)
    assert is_sparse(rule.zeros)
    neighbours = torch.zeros(1, 4, 6)
    neighbours[0, :3, 1] = 0.1  # three of four, and a small number is not zero
    neighbours[0, :2, 2] = 9.0
    assert rule.common(neighbours).tolist() == [[False, True, False, False, False, False]]
    assert (rule.rest == 0).all()

    rule = find_rule(torch.linspace(0, 1, 101)[:, None].repeat(1, 3), shared=2, quantile=0.75)
    assert not is_sparse(rule.zeros)
    neighbours = torch.tensor([[[0.8, 0.1, 0.8], [0.9, 0.2, 0.1], [1.0, 0.0, 0.9], [0.5, 0.5, 0.2]]])
    assert rule.common(neighbours).tolist() == [[True, True, False]]  # the third is beyond, on two sides
    assert rule.rest == pytest.approx([0.5] * 3)


def test_an_image_is_no_neighbour_of_itself() -> None:
    gallery = torch.tensor([[5.0, 0.0], [5.0, 1.0], [5.1, 1.0], [-5.0, 0.0], [-5.0, 0.0]])
    rule = find_rule(gallery, shared=0, quantile=0.5)
    alone, known = (common_dimensions(rule, gallery[:1], gallery, torch.tensor([row]), neighbours=1) for row in (-1, 0))
    assert alone.tolist() == [[False, False]]  # the nearest is the image itself, in the middle of both dimensions
    assert known.tolist() == [[False, True]]


@given(st.integers(0, 9), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_random_dimensions_are_as_many_or_go_as_far(count: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    h, target = (torch.randn(3, 9, generator=generator) for _ in range(2))
    theirs = first_of(random_orders(seed + 100, 1, [0, 1, 2], 9), torch.full((3,), count))
    rule = find_rule(torch.randn(50, 9, generator=generator), shared=14, quantile=0.75)
    made = edited(h, target, rule, theirs, theirs, seed=seed, images=[4, 5, 6])
    assert tuple(made) == EDITS
    moved = {name: values != h for name, values in made.items()}
    assert all((part.sum(1) == count).all() for name, part in moved.items() if name != "transplanted_far")
    assert torch.equal(made["transplanted"][moved["transplanted"]], target[theirs])
    lengths = {name: (values - h).norm(dim=1) for name, values in made.items()}
    assert (lengths["transplanted_far"] >= lengths["transplanted"] - 1e-5).all()
    again = edited(h[1:], target[1:], rule, theirs[1:], theirs[1:], seed=seed, images=[5, 6])
    assert all(torch.equal(values[1:], again[name]) for name, values in made.items())


def test_reach_takes_no_more_than_it_needs() -> None:
    orders, gap = torch.arange(4)[None], torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    for mask, wanted in (([0, 1, 0, 0], 2), ([0, 0, 0, 1], 4), ([1, 0, 0, 0], 1), ([0, 0, 0, 0], 0)):
        assert reach(orders, gap, torch.tensor([mask])).tolist() == [wanted]


# Directions


def test_a_step_moves_the_readout_by_its_deviation_and_nothing_that_is_independent() -> None:
    rng = np.random.default_rng(0)
    values = {"x": rng.normal(size=2000), "y": rng.normal(size=2000)}
    angle = rng.uniform(0, 2 * np.pi, 2000)
    values |= {"hue.cos": np.cos(angle), "hue.sin": np.sin(angle)}
    mixing = np.linalg.qr(rng.normal(size=(9, 9)))[0]
    h = torch.from_numpy(np.stack([*values.values(), *rng.normal(size=(5, 2000))], 1) @ mixing).float()
    directions = find_directions(h, {"class": np.zeros(2000), **values})
    assert list(directions) == ["x", "y", "hue"]
    assert all(direction.r2 > 0.95 for direction in directions.values())

    moved = directions["x"].move(h, 2.0).double() @ torch.from_numpy(mixing.T)
    before = h.double() @ torch.from_numpy(mixing.T)
    assert (moved - before)[:, 0].mean() == pytest.approx(2.0, abs=0.1)
    assert (moved - before)[:, 1:].abs().mean() < 0.1
    step = directions["hue"].move(h, 0.5).double() @ torch.from_numpy(mixing.T)
    turned = (torch.atan2(step[:, 3], step[:, 2]).numpy() - angle + np.pi) % (2 * np.pi) - np.pi
    assert np.median(turned) == pytest.approx(np.arctan(0.5 * np.sqrt(0.5)), abs=0.05)  # along the tangent
    assert np.std(turned) < 0.1


def true_factors(judge: Judge) -> tuple[Encoder, Known]:
    """An encoder of exactly the factors, mixed, and a decoder that renders the scene they belong to."""
    mixing = torch.linalg.qr(torch.randn(11, 11, generator=torch.Generator().manual_seed(0)))[0]
    cloth = load_garments("test", None)[0][3].float() / 255

    def read(images: torch.Tensor) -> torch.Tensor:
        _, linear, circular = judge(images)
        return torch.cat([linear, circular.flatten(1)], 1) @ mixing

    def draw(h: torch.Tensor) -> torch.Tensor:
        linear, circular = (h @ mixing.T).split([len(LINEAR), 2 * len(CIRCULAR)], dim=1)
        table = {name: (torch.atan2(*circular.unflatten(1, (3, 2))[:, i].flip(1).T) / (2 * np.pi)) % 1
                 for i, name in enumerate(CIRCULAR)}  # fmt: skip
        for place, name in enumerate(LINEAR):
            low, high = RANGES[name]
            table[name] = low + (high - low) * (linear[:, place].clamp(-1.3, 1.3) + 1) / 2
        return render(cloth.expand(len(h), -1, -1), pd.DataFrame({n: v.numpy() for n, v in table.items()}))

    network = encoder("factors", read)
    return network, Known(network, draw)


def test_directions_of_an_encoder_of_factors_are_clean_knobs(scenes: ImageSet, judge: Judge) -> None:
    network, rcdm = true_factors(judge)
    chosen = ManipulationSettings(images=24, gallery=200, moved=24, strengths=(-1.0, 1.0), pictures=1)
    records = measure(network, scenes, rcdm=rcdm, judge=judge, settings=chosen).records  # type: ignore[arg-type]
    assert words(records)["directions"] == "supported"
    table = direction_table(records, resamples=50).set_index(["moved", "read"])["change"]
    for factor in ("brightness", "x", "y"):
        assert table[factor, factor] == pytest.approx(1.0, abs=0.25)
        assert abs(table[factor, "background_hue"]) < 0.2
    curve = response_table(records, resamples=50).query("factor == 'x'").set_index("strength")["change"]
    assert curve[1.0] > 0.6
    assert curve[-1.0] < -0.6


# Verdicts


def test_records_are_tidy_and_every_level_says_its_rule(parts: Measurement) -> None:
    records = parts.records
    assert {name: str(kind) for name, kind in records.dtypes.items()} == COLUMNS
    assert not records.duplicated([name for name in COLUMNS if name != "value"]).any()
    assert records["value"].notna().all()
    (row,) = level_table(records).to_dict("records")
    assert row["rule"] == "quantile"
    assert 0 < row["own"] < 48
    assert {panel.name for panel in parts.panels} == {
        "edits_backbone",
        "directions_backbone_1",
        "directions_backbone_2",
    }


def test_common_dimensions_that_carry_the_picture_are_found(parts: Measurement) -> None:
    assert words(parts.records)["manipulation"] == "supported"
    table = transplant_table(parts.records, resamples=100).set_index("factor")
    assert table.loc[ALL, "gain_low"] > 0
    assert table.loc[ENCODED, "common"] > 0.3 > table.loc[ENCODED, "random"]
    moved = edit_table(parts.records, resamples=50).set_index("edit")["moved"]
    assert moved["transplanted_far"] >= moved["transplanted"] > moved["transplanted_random"]


def test_common_dimensions_that_draw_nothing_are_not_supported(scenes: ImageSet, judge: Judge) -> None:
    """Neighbours agree on a class-like code of which nothing is drawn; what is drawn, they do not share."""

    def code(images: torch.Tensor) -> torch.Tensor:
        groups = (images.mean((1, 2, 3)) * 1e6).long() % 4
        return torch.cat([quarters(images), 50 * nn.functional.one_hot(groups, 4).repeat(1, 3).float()], 1)

    network = encoder("empty", code)
    rcdm = Known(network, partial(paint, seen=1.0))
    records = measure(network, scenes, rcdm=rcdm, judge=judge, settings=SMALL).records  # type: ignore[arg-type]
    assert words(records)["manipulation"] != "supported"


def test_noise_is_not_supported(scenes: ImageSet, judge: Judge) -> None:
    network = encoder("noise", partial(hashed, size=40))
    rcdm = Known(network, lambda h: torch.full((len(h), 3, 32, 32), 0.5), noise=0.2)
    records = measure(network, scenes, rcdm=rcdm, judge=judge, settings=SMALL).records  # type: ignore[arg-type]
    assert "supported" not in words(records).values()


def test_a_constant_encoder_is_refused(scenes: ImageSet) -> None:
    network = encoder("constant", lambda images: torch.ones(len(images), 8))
    with pytest.raises(UserError, match="collapsed"):
        measure(network, scenes, rcdm=Known(network, lambda h: h), settings=SMALL)  # type: ignore[arg-type]


# Tables


def test_shares_are_those_computed_by_hand(parts: Measurement) -> None:
    """The samples of these encodings are the encodings: the share of the way follows from h alone."""
    records = parts.records
    gap = records.query("measure == 'sample_gap'").set_index("image")["value"]
    progress = records.query("measure == 'sample_progress' and condition == 'transplanted'").set_index("image")["value"]
    table = transplant_table(records, resamples=50).set_index("factor")
    assert table.loc[ENCODED, "common"] == pytest.approx(progress.sum() / gap.sum())

    reading = {
        version: records.query("measure == @measure and condition == 'x'").set_index("image")["value"]
        for version, measure in (("a", "rendered_untouched"), ("b", "rendered_target"), ("m", "rendered_transplanted"))
    }
    way, moved = reading["b"] - reading["a"], reading["m"] - reading["a"]
    assert table.loc["x", "common"] == pytest.approx((moved * way).sum() / (way**2).sum())
    classes = {
        version: records.query("measure == @measure and condition == 'class'").set_index("image")["value"]
        for version, measure in (("a", "rendered_untouched"), ("b", "rendered_target"), ("m", "rendered_transplanted"))
    }
    other = classes["a"] != classes["b"]
    hits = (classes["m"] == classes["b"])[other].mean() if other.any() else np.nan
    assert table.loc["class", "common"] == pytest.approx(hits, nan_ok=True)


def test_removal_is_measured_in_deviations_of_the_factor(parts: Measurement) -> None:
    records = parts.records
    before, after = (
        records.query("measure == @measure and condition == 'brightness'").set_index("image")["value"]
        for measure in ("rendered_untouched", "rendered_removed")
    )
    spread = records.query("measure == 'spread' and condition == 'brightness'")["value"].item()
    low, high = RANGES["brightness"]
    assert spread == pytest.approx((high - low) / 12**0.5, rel=0.1)
    table = removal_table(records, resamples=50).set_index("factor")
    assert table.loc["brightness", "common"] == pytest.approx((after - before).abs().mean() / spread)


def test_without_factors_the_verdict_rests_on_what_is_encoded_again(parts: Measurement) -> None:
    rows = parts.records[~parts.records["measure"].str.startswith(("rendered", "spread", "readable"))]
    (verdict,) = manipulation_verdicts(rows, is_ssl=False, resamples=100)
    assert verdict.word == "supported"
    assert "encoded again" in verdict.statistic
    assert "for comparison" in verdict.claim
    assert len(removal_table(rows)) == len(direction_table(rows)) == len(response_table(rows)) == 0


def test_the_report_says_how_pairs_were_made_and_which_levels_were_not_drawn_from(parts: Measurement) -> None:
    run = {
        "arguments": {
            "encoder": "parts", "images": 30, "gallery": 20, "neighbours": 20, "shared": 14, "quantile": 0.7,
        },
        "encoder_card": {"levels": {"backbone": 48, "projector": 8}},
        "data_card": {"images": 200},
    }  # fmt: skip
    known = parts.records
    for rows in (known, known[~known["measure"].str.startswith(("rendered", "spread", "readable"))]):
        content = Content(
            levels=level_table(rows),
            edits=edit_table(rows, resamples=10),
            removal=removal_table(rows, resamples=10),
            transplant=transplant_table(rows, resamples=10),
            directions=direction_table(rows, resamples=10),
            responses=response_table(rows, resamples=10),
            panels=(),
            verdicts=(),
            run=run,
        )
        assert "No pictures were drawn from projector." in str(edits(content))
        pairs, common, *_ = measured(content)
        assert "no image is in two pairs" in pairs
        assert "among 60 images" in common


# Runs


@pytest.mark.parametrize("asked, drawn, pairs", [(30, 80, 30), (90, 180, 90), (300, 200, 100)])
def test_no_image_is_in_two_pairs_and_half_of_the_gallery_is_left_to_fit_on(
    scenes: ImageSet, asked: int, drawn: int, pairs: int
) -> None:
    network = encoder("colours", lambda images: images.mean((2, 3)))
    chosen = ManipulationSettings(images=asked, moved=asked, gallery=80)
    study = prepare(network, scenes, chosen, None, cache=None, progress=silent)
    used = torch.cat([study.sources.rows, study.targets.rows])
    assert len(study.gallery) == drawn
    assert len(study.numbers) == pairs
    assert len(used.unique()) == len(used) == 2 * pairs
    assert np.array_equal(study.numbers, study.gallery[study.sources.rows.numpy()])
    assert drawn - pairs >= max(drawn // 2, LEAST_IMAGES // 2)


def test_a_given_image_is_manipulated_beside_its_target_and_has_no_verdict(scenes: ImageSet, judge: Judge) -> None:
    network = encoder("parts", partial(with_rest, seen=10.0, rest=0.1))
    rcdm = Known(network, partial(paint, seen=10.0), noise=0.02)
    image, target = scenes.images([0, 1])
    chosen = ManipulationSettings(gallery=100, samples=3, strengths=(2.0,))
    run = partial(measure, network, scenes, rcdm=rcdm, judge=judge, settings=chosen)
    found = run(given=Given(image, target))
    assert set(found.records.query("measure == 'sample_gap'")["sample"]) == {0, 1, 2}
    assert set(found.records.query("image >= 0")["image"]) == {200}
    assert manipulation_verdicts(found.records, is_ssl=True) == ()
    assert torch.equal(found.panels[0].images[0, -1], target)
    assert not torch.equal(run(given=Given(image)).panels[0].images[0, -1], target)


def test_an_interrupted_measurement_goes_on_and_gives_the_same(scenes: ImageSet, judge: Judge, tmp_path: Path) -> None:
    network = encoder("parts", partial(with_rest, seen=10.0, rest=0.1))
    rcdm = Known(network, partial(paint, seen=10.0))
    chosen = ManipulationSettings(images=20, gallery=80, moved=4, strengths=(2.0,))
    run = partial(measure, network, scenes, rcdm=rcdm, judge=judge, settings=chosen, workdir=tmp_path)
    whole = run().records
    kept = sorted(tmp_path.iterdir())
    kept[0].unlink()
    made = {path: path.stat().st_mtime_ns for path in kept[1:]}
    pd.testing.assert_frame_equal(run().records, whole)
    assert {path: path.stat().st_mtime_ns for path in kept[1:]} == made


@pytest.mark.parametrize(
    "wrong, says",
    [
        ({"images": 1}, "no targets"),
        ({"samples": 0}, "at least one"),
        ({"gallery": 10}, "gallery"),
        ({"shared": 20}, "in more than 20 of 20"),
        ({"neighbours": 0}, "neighbours"),
        ({"quantile": 0.2}, "upper quantile"),
        ({"strengths": (0.0,)}, "moves anything"),
        ({"strengths": (1.0, 2.0, 1.0)}, "each once"),
        ({"strengths": (1.0, float("nan"))}, "finite"),
        ({"moved": 0}, "moved along directions"),
        ({"pictures": 0}, "at least one"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        ManipulationSettings(**wrong)


@pytest.mark.parametrize("available, used", [(10_000, "2,000"), (300, "300")])
def test_the_protocol_says_among_how_many_images_neighbours_were_sought(available: int, used: str) -> None:
    arguments = {"gallery": 2000, "images": 64, "neighbours": 20, "shared": 14}
    run = {"arguments": arguments, "data_card": {"images": available}}
    gallery = SimpleNamespace(run=run)
    content: Any = SimpleNamespace(run=run, quantile="0.9", given=False, gallery=Content.gallery.fget(gallery))
    assert f"among {used} images" in measured(content)[1]
