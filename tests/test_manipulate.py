"""Manipulation finds what was planted: encoders and decoders whose parts are known by construction; and its command."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from left_behind import tables_left_out
from probing import measured, planted
from torch import nn
from typer import testing

import rcdm_probe
from analyses.bootstrap import Estimate
from analyses.records import COLUMNS, join, records
from probes.context import Context
from probes.manipulate import (
    ALL,
    EDITS,
    ENCODED,
    LEAST,
    PROBE,
    SPARSE,
    Manipulate,
    common_dimensions,
    directed,
    edited,
    find_directions,
    find_rule,
    first_of,
    judged,
    random_orders,
    reach,
    sides,
    squares,
)
from probes.page import document
from rcdm_core.data.garments import load_garments
from rcdm_core.data.imageset import ImageSet
from rcdm_core.data.registry import load_data
from rcdm_core.data.scenes import CIRCULAR, LINEAR, RANGES, render
from rcdm_core.encoders.encoder import Encoder
from rcdm_core.errors import UserError
from rcdm_core.zoo.judge import Judge, load_judge
from rcdm_probe.conduct import Result
from rcdm_probe.known_probes import load_probe

Command = Callable[..., testing.Result]
Function = Callable[[torch.Tensor], torch.Tensor]

SMALL = Manipulate(images=30, gallery=200, moved=20, strengths=(-2.0, 2.0), pictures=2)


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


def coded(images: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
    """Three dimensions are active for the prototype that is nearest, and of sixty that say nothing some."""
    nearest = torch.cdist(quarters(images), quarters(prototypes)).argmin(1)
    code = nn.functional.one_hot(nearest, len(prototypes)).repeat_interleave(3, 1).float()
    return torch.cat([4 * code, 2.0 * (hashed(images, 60) > 0.5)], 1)


def blend(h: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
    weights = h[:, : 3 * len(prototypes)].unflatten(1, (len(prototypes), 3)).sum(2).clamp(min=1e-6)
    return torch.einsum("np,pchw->nchw", weights / weights.sum(1, keepdim=True), prototypes)


@pytest.fixture(scope="module")
def parts(scenes: ImageSet, judge: Judge) -> Result:
    """What neighbours share is what is drawn; 36 dimensions of small numbers draw nothing."""
    network = encoder("parts", partial(with_rest, seen=10.0, rest=0.1))
    rcdm = Known(network, partial(paint, seen=10.0))
    return measured(PROBE, network, scenes, SMALL, rcdm=rcdm, judge=judge)


def words(found: Result) -> dict[str, str]:
    return {verdict.aspect: verdict.word for verdict in found.verdicts}


# The rule and the edits


def test_a_sparse_level_takes_the_papers_rule_and_a_dense_one_the_quantiles() -> None:
    gallery = torch.rand(100, 6)
    gallery[:, :4] = 0
    rule = find_rule(gallery, Manipulate(shared=2, quantile=0.75))
    assert rule.zeros >= SPARSE
    neighbours = torch.zeros(1, 4, 6)
    neighbours[0, :3, 1] = 0.1  # three of four, and a small number is not zero
    neighbours[0, :2, 2] = 9.0
    assert rule.common(neighbours).tolist() == [[False, True, False, False, False, False]]
    assert (rule.rest == 0).all()

    rule = find_rule(torch.linspace(0, 1, 101)[:, None].repeat(1, 3), Manipulate(shared=2, quantile=0.75))
    assert rule.zeros < SPARSE
    neighbours = torch.tensor([[[0.8, 0.1, 0.8], [0.9, 0.2, 0.1], [1.0, 0.0, 0.9], [0.5, 0.5, 0.2]]])
    assert rule.common(neighbours).tolist() == [[True, True, False]]  # the third is beyond, on two sides
    assert rule.rest == pytest.approx([0.5] * 3)


def test_an_image_is_no_neighbour_of_itself() -> None:
    gallery = torch.tensor([[5.0, 0.0], [5.0, 1.0], [5.1, 1.0], [-5.0, 0.0], [-5.0, 0.0]])
    rule = find_rule(gallery, Manipulate(shared=0, quantile=0.5))
    alone, known = (common_dimensions(rule, gallery[:1], gallery, torch.tensor([row]), 1) for row in (-1, 0))
    assert alone.tolist() == [[False, False]]  # the nearest is the image itself, in the middle of both dimensions
    assert known.tolist() == [[False, True]]


@given(st.integers(0, 9), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_random_dimensions_are_as_many_or_go_as_far(count: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    h, target = (torch.randn(3, 9, generator=generator) for _ in range(2))
    theirs = first_of(random_orders(seed + 100, 1, [0, 1, 2], 9), torch.full((3,), count))
    rule = find_rule(torch.randn(50, 9, generator=generator), Manipulate(shared=14, quantile=0.75))
    made = edited(h, target, rule, theirs, theirs, seed=seed, images=[4, 5, 6])
    assert tuple(made) == tuple(EDITS)
    moved = {name: values != h for name, values in made.items()}
    assert all((part.sum(1) == count).all() for name, part in moved.items() if name != "transplanted_far")
    assert torch.equal(made["transplanted"][moved["transplanted"]], target[theirs])
    lengths = {name: (values - h).norm(dim=1) for name, values in made.items()}
    torch.testing.assert_close(lengths["transplanted_far"], lengths["transplanted"], atol=1e-5, rtol=1e-5)
    again = edited(h[1:], target[1:], rule, theirs[1:], theirs[1:], seed=seed, images=[5, 6])
    assert all(torch.equal(values[1:], again[name]) for name, values in made.items())


def test_reach_goes_just_as_far() -> None:
    orders, gap = torch.arange(4)[None], torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    for mask, parts in (
        ([0, 1, 0, 0], [1, (3 / 4) ** 0.5, 0, 0]),
        ([0, 0, 0, 1], [1, 1, 1, (2 / 16) ** 0.5]),
        ([1, 0, 0, 0], [1, 0, 0, 0]),
        ([0, 0, 0, 0], [0, 0, 0, 0]),
    ):
        assert reach(orders, gap, torch.tensor([mask])).tolist() == [pytest.approx(parts)]


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
    chosen = Manipulate(images=24, gallery=200, moved=24, strengths=(-1.0, 1.0), pictures=1)
    found = measured(PROBE, network, scenes, chosen, rcdm=rcdm, judge=judge)
    assert words(found)["directions"] == "supported"
    table = found.tables["directions"].set_index(["moved", "read"])["change"]
    for factor in ("brightness", "x", "y"):
        assert table[factor, factor] == pytest.approx(1.0, abs=0.25)
        assert abs(table[factor, "background_hue"]) < 0.2
    curve = found.tables["responses"].query("factor == 'x'").set_index("strength")["change"]
    assert curve[1.0] > 0.6
    assert curve[-1.0] < -0.6


def test_the_square_of_a_slope_is_estimated_without_what_noise_adds() -> None:
    rng = np.random.default_rng(0)
    for slope in (0.0, 0.3):
        found = [squares(rng.normal(slope, 1, (24, 7))) for _ in range(400)]
        assert np.mean(found) == pytest.approx(slope**2, abs=3 * np.std([one.mean() for one in found]) / 20)
    slopes = rng.normal(0.5, 1, (200, 3))
    assert squares(slopes).mean() == pytest.approx((slopes.mean(0) ** 2 - slopes.var(0, ddof=1) / 200).mean())


def slopes_as_records(own: np.ndarray, others: np.ndarray) -> Result:
    """Planted: of each image the slopes of a factor along its own direction, and of another one along it."""
    count = len(own)
    row = partial(records, images=np.arange(count), encoder="planted", level="backbone", sample=0)
    tables = [row("rendered_untouched", np.zeros(count), condition=name) for name in ("x", "y")]
    tables += [records("spread", [1.0], [-1], encoder="planted", condition=name) for name in ("x", "y")]
    for moved, read in (("x", "y"), ("y", "x")):
        tables.append(records("readable", [0.5], [-1], encoder="planted", level="backbone", condition=moved))
        for name, slopes in ((moved, own), (read, others)):
            tables.append(row("rendered_moved", slopes, condition=f"{moved} > {name}", strength=1.0))
    return planted(PROBE, join(tables))


@pytest.mark.parametrize(
    "own, others, word",
    [(0.5, 0.0, "supported"), (0.5, 1.0, "not supported"), (-0.5, 0.0, "not supported"), (0.0, 0.0, "inconclusive")],
)
def test_planted_directions_get_their_words(own: float, others: float, word: str) -> None:
    noise = np.random.default_rng(1).normal(0, 0.5, (2, 48))
    (verdict,) = directed(slopes_as_records(own + noise[0], others + noise[1]))
    assert verdict.word == word


# Verdicts


def test_records_are_tidy_and_every_level_says_its_rule(parts: Result) -> None:
    found = parts.records
    assert {name: str(kind) for name, kind in found.dtypes.items()} == COLUMNS
    assert not found.duplicated([name for name in COLUMNS if name != "value"]).any()
    assert found["value"].notna().all()
    (row,) = parts.tables["levels"].to_dict("records")
    assert row["rule"] == "quantile"
    assert 0 < row["own"] < 48
    assert {panel.name for panel in parts.panels} == {
        "edits_backbone",
        "directions_backbone_1",
        "directions_backbone_2",
    }


def test_common_dimensions_that_carry_the_picture_are_found(scenes: ImageSet, judge: Judge) -> None:
    prototypes = scenes.images(np.arange(6))
    network = encoder("coded", partial(coded, prototypes=prototypes))
    rcdm = Known(network, partial(blend, prototypes=prototypes))
    found = measured(PROBE, network, scenes, replace(SMALL, moved=1), rcdm=rcdm, judge=judge)
    assert found.tables["levels"]["rule"].item() == "non-zero"
    assert words(found)["manipulation"] == "supported"
    table = found.tables["transplant"].set_index("factor")
    assert (table.loc[ALL, ["gain_low", "gain_far_low"]] > 0).all()
    assert table.loc[ALL, "common"] > 0.3 > table.loc[ALL, "random"]
    (verdict,) = found.verdicts
    assert all(name in verdict.sentence for name in ("gain +", "random ones that move h as far"))


def test_a_gain_that_comes_from_moving_further_is_not_supported(parts: Result) -> None:
    """All that moves h is drawn: random dimensions that move it as far take as much of the target along, and more."""
    verdict = parts.verdicts[0]
    assert verdict.word == "not supported"
    table = parts.tables["transplant"].set_index("factor")
    assert table.loc[ALL, "gain_low"] > 0 > table.loc[ALL, "gain_far_high"]
    assert verdict.value == table.loc[ALL, "gain_far"]
    moved = parts.tables["edits"].set_index("edit")["moved"]
    assert moved["transplanted_far"] == pytest.approx(moved["transplanted"])
    assert moved["transplanted"] > moved["transplanted_random"]


def test_a_level_is_judged_by_both_gains_and_by_the_one_that_decides() -> None:
    for_it, against, open_ = (Estimate(*ends, 30) for ends in ((0.2, 0.1, 0.3), (-0.2, -0.3, -0.1), (0.0, -0.1, 0.1)))
    assert judged([for_it, for_it], [0.01, 0.02]) == ("supported", 1, 0.02)
    assert judged([for_it, open_], [0.01, 0.4]) == ("inconclusive", 1, 0.4)
    assert judged([for_it, against], [0.01, 0.02]) == ("not supported", 1, 0.02)
    assert judged([against, open_], [0.01, 0.4]) == ("not supported", 0, 0.01)
    assert judged([for_it, for_it], [0.01, 0.07])[0] == "inconclusive"  # the interval alone is not enough


def test_common_dimensions_that_draw_nothing_are_not_supported(scenes: ImageSet, judge: Judge) -> None:
    """Neighbours agree on a class-like code of which nothing is drawn; what is drawn, they do not share."""

    def code(images: torch.Tensor) -> torch.Tensor:
        groups = (images.mean((1, 2, 3)) * 1e6).long() % 4
        return torch.cat([quarters(images), 50 * nn.functional.one_hot(groups, 4).repeat(1, 3).float()], 1)

    network = encoder("empty", code)
    rcdm = Known(network, partial(paint, seen=1.0))
    found = measured(PROBE, network, scenes, SMALL, rcdm=rcdm, judge=judge)
    assert words(found)["manipulation"] != "supported"


def test_noise_is_not_supported(scenes: ImageSet, judge: Judge) -> None:
    network = encoder("noise", partial(hashed, size=40))
    rcdm = Known(network, lambda h: torch.full((len(h), 3, 32, 32), 0.5), noise=0.2)
    found = measured(PROBE, network, scenes, SMALL, rcdm=rcdm, judge=judge)
    assert "supported" not in words(found).values()


def test_a_constant_encoder_is_refused(scenes: ImageSet) -> None:
    network = encoder("constant", lambda images: torch.ones(len(images), 8))
    with pytest.raises(UserError, match="collapsed"):
        measured(PROBE, network, scenes, SMALL, rcdm=Known(network, lambda h: h))


# Tables


def test_shares_are_those_computed_by_hand(parts: Result) -> None:
    """The samples of these encodings are the encodings: the share of the way follows from h alone."""
    records = parts.records
    gap = records.query("measure == 'sample_gap'").set_index("image")["value"]
    progress = records.query("measure == 'sample_progress' and condition == 'transplanted'").set_index("image")["value"]
    table = parts.tables["transplant"].set_index("factor")
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


def test_removal_is_measured_in_deviations_of_the_factor(parts: Result) -> None:
    records = parts.records
    before, after = (
        records.query("measure == @measure and condition == 'brightness'").set_index("image")["value"]
        for measure in ("rendered_untouched", "rendered_removed")
    )
    spread = records.query("measure == 'spread' and condition == 'brightness'")["value"].item()
    low, high = RANGES["brightness"]
    assert spread == pytest.approx((high - low) / 12**0.5, rel=0.1)
    table = parts.tables["removal"].set_index("factor")
    assert table.loc["brightness", "common"] == pytest.approx((after - before).abs().mean() / spread)


def test_without_factors_the_verdict_rests_on_what_is_encoded_again(parts: Result) -> None:
    found = without_factors(parts)
    (verdict,) = found.verdicts
    assert verdict.word == "inconclusive"  # samples are encoded as h: as far is as much of the way
    assert "encoded again" in verdict.statistic
    assert "for comparison" in verdict.claim
    assert not any(len(found.tables[name]) for name in ("removal", "directions", "responses"))


def without_factors(found: Result) -> Result:
    """The same of images whose factors are not known, and of an encoder that is not self-supervised."""
    rows = found.records[~found.records["measure"].str.startswith(("rendered", "spread", "readable"))]
    return planted(PROBE, rows, is_ssl=False, data_card={"images": 200})


def test_the_report_says_how_pairs_were_made_and_which_levels_were_not_drawn_from(parts: Result) -> None:
    """Of planted records alone: the panels are not there, and so not shown."""
    known = replace(parts, panels=(), settings=replace(SMALL, levels=("backbone", "projector")))
    for found in (known, replace(without_factors(parts), settings=known.settings)):
        found.run["drawn_levels"] = ["backbone"]
        told = document(found)
        shown = json.dumps(told)
        assert "No pictures were drawn from projector." in shown
        assert "no image is in two pairs" in shown
        assert "among 200 images" in shown
        assert told["verdicts"] == []
        aspects = {verdict.aspect for verdict in found.verdicts}
        (row,) = told["verdict-grid"]["rows"]
        assert row["name"] == "backbone"
        assert len(row["cells"]) == len(told["verdict-grid"]["columns"]) == len(aspects)
        assert ("Factors were not read." in shown) == (aspects == {"manipulation"})
        tables = [block["name"] for section in told["sections"] for block in section["blocks"] if "columns" in block]
        assert ("side-effects-backbone" in tables) == ("directions" in aspects)


# Runs


@pytest.mark.parametrize("asked, drawn, pairs", [(30, 80, 30), (90, 180, 90), (300, 200, 100)])
def test_no_image_is_in_two_pairs_and_half_of_the_gallery_is_left_to_fit_on(
    scenes: ImageSet, asked: int, drawn: int, pairs: int
) -> None:
    network = encoder("colours", lambda images: images.mean((2, 3)))
    chosen = Manipulate(images=asked, moved=asked, gallery=80)
    run = Context(encoders=(network,), levels=("backbone",), images=scenes, settings=chosen, decoders={})
    gallery = run.draw(chosen.gallery)
    source, target = sides(run, gallery, run.represent(gallery))
    used = torch.cat([source.rows, target.rows])
    assert chosen.gallery == max(80, 2 * asked)  # and the record says so
    assert len(gallery) == drawn
    assert len(source.numbers) == pairs
    assert len(used.unique()) == len(used) == 2 * pairs
    assert np.array_equal(source.numbers, gallery[source.rows.numpy()])
    assert drawn - pairs >= max(drawn // 2, LEAST // 2)


def test_a_given_image_is_manipulated_beside_its_target_and_has_no_verdict(scenes: ImageSet, judge: Judge) -> None:
    network = encoder("parts", partial(with_rest, seen=10.0, rest=0.1))
    rcdm = Known(network, partial(paint, seen=10.0), noise=0.02)
    chosen = Manipulate(gallery=100, strengths=(2.0,), image="scenes:3", target="scenes:7")
    run = partial(measured, PROBE, network, scenes, rcdm=rcdm, judge=judge)
    found = run(replace(chosen, samples=3))
    assert set(found.records.query("measure == 'sample_gap'")["sample"]) == {0, 1, 2}
    assert set(found.records["image"]) == {-1}  # it is none of the data set
    assert found.verdicts == ()
    seventh = load_data("scenes", image_size=32, limit=None, seed=0).images([7])[0]
    assert torch.equal(found.panels[0].images[0, -1], seventh)
    alone = run(replace(chosen, target=None))
    assert alone.records["sample"].max() == 7  # eight samples, where none are asked for
    assert not torch.equal(alone.panels[0].images[0, -1], seventh)


@pytest.mark.parametrize("chosen", [{}, PROBE.quick], ids=["full", "quick"])
def test_the_defaults_give_a_verdict_on_every_aspect(scenes: ImageSet, judge: Judge, chosen: dict[str, Any]) -> None:
    network = encoder("parts", partial(with_rest, seen=10.0, rest=0.1))
    rcdm = Known(network, partial(paint, seen=10.0))
    found = measured(PROBE, network, scenes, Manipulate(**chosen), rcdm=rcdm, judge=judge)
    assert words(found).keys() == PROBE.finding.keys()


def test_an_interrupted_measurement_goes_on_and_gives_the_same(scenes: ImageSet, judge: Judge, tmp_path: Path) -> None:
    network = encoder("parts", partial(with_rest, seen=10.0, rest=0.1))
    rcdm = Known(network, partial(paint, seen=10.0))
    chosen = Manipulate(images=20, gallery=80, moved=4, strengths=(2.0,))
    run = partial(measured, PROBE, network, scenes, chosen, rcdm=rcdm, judge=judge, workdir=tmp_path)
    whole = run().records
    kept = sorted(tmp_path.iterdir())
    kept[0].unlink()
    made = {path: path.stat().st_mtime_ns for path in kept[1:]}
    pd.testing.assert_frame_equal(run().records, whole)
    assert {path: path.stat().st_mtime_ns for path in kept[1:]} == made


@pytest.mark.parametrize(
    "wrong, says",
    [
        ({"images": 1}, "images: 1"),
        ({"samples": 0}, "samples: 0"),
        ({"gallery": 10}, "gallery"),
        ({"shared": 20}, "in more than 20 of 20"),
        ({"neighbours": 0}, "neighbours"),
        ({"quantile": 0.2}, "upper quantile"),
        ({"strengths": (0.0,)}, "moves anything"),
        ({"strengths": (1.0, 2.0, 1.0)}, "each once"),
        ({"strengths": (1.0, float("nan"))}, "finite"),
        ({"moved": 0}, "moved: 0"),
        ({"pictures": 0}, "pictures: 0"),
        ({"target": "scenes:1"}, "no image to put it into"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        Manipulate(**wrong)


@pytest.mark.parametrize("available, used", [(10_000, "2,000"), (300, "300")])
def test_the_protocol_says_among_how_many_images_neighbours_were_sought(
    parts: Result, available: int, used: str
) -> None:
    found = planted(PROBE, parts.records, data_card={"images": available})
    assert f"among {used} images" in PROBE.wording.points("method", found.names)[1]


# The command


@pytest.fixture
def run(command: Command, tmp_path: Path, tiny_rcdm: Path) -> Path:
    result = command(
        "manipulate", "--encoder", "vicreg", "--images", 20, "--gallery", 60, "--moved", 2, "--steps", 1,
        "--strengths", "-2,2", "--rcdm", tiny_rcdm, "--out", tmp_path / "run",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "Finding 4, manipulation" in result.output
    return tmp_path / "run"


def test_the_command_leaves_a_whole_run_whose_tables_follow_from_its_records(run: Path) -> None:
    assert (run / "report.pdf").read_bytes().startswith(b"%PDF")
    facts = json.loads((run / "run.json").read_text())
    assert facts["finished"]
    assert facts["command"].startswith("rcdm-probe manipulate --encoder vicreg")
    records = pd.read_parquet(run / "records.parquet")
    made = planted(PROBE, records, data_card=facts["data_card"])
    for name, table in made.tables.items():
        pd.testing.assert_frame_equal(pd.read_csv(run / "tables" / f"{name}.csv"), table, check_dtype=False, rtol=1e-9)
    verdicts = pd.read_csv(run / "tables" / "verdicts.csv")
    assert list(verdicts["aspect"]) == ["manipulation"] * 2  # two moved images are too few for the other one
    assert list(verdicts["level"]) == ["backbone", "projector"]
    assert set(verdicts["finding"]) == {4}
    assert list(verdicts["word"]) == [verdict.word for verdict in made.verdicts]
    document = json.loads((run / "report.json").read_text())
    paths = [b["path"] for s in document["sections"] for b in s["blocks"] if b["kind"] == "figure"]
    assert all((run / path).is_file() for path in [*paths, document["figure"]["path"]])
    assert not tables_left_out(run)


def test_a_given_image_has_a_report_without_a_verdict(command: Command, tmp_path: Path, tiny_rcdm: Path) -> None:
    result = command(
        "manipulate", "scenes:3", "--target", "scenes:7", "--encoder", "vicreg", "--level", "projector",
        "--gallery", 60, "--samples", 2, "--steps", 1, "--strengths", "-2,1.5", "--rcdm", tiny_rcdm,
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "Finding" not in result.output
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [facts["arguments"][name] for name in ("image", "target", "samples")] == ["scenes:3", "scenes:7", 2]
    assert facts["hashes"]["given"]
    assert facts["command"].startswith("rcdm-probe manipulate scenes:3 --encoder vicreg")
    assert "--target scenes:7" in facts["command"]
    assert "--strengths -2,1.5" in facts["command"]
    assert facts["arguments"]["strengths"] == [-2.0, 1.5]
    document = json.loads((tmp_path / "run" / "report.json").read_text())
    assert "verdict-grid" not in document
    assert "one image" in document["no-verdict"]
    assert "measured on scenes:3, beside scenes" in document["subtitle"]


@pytest.mark.parametrize(
    "arguments, says",
    [
        (("--encoder", "vicreg", "--rcdm", "none"), "there is nothing to draw with"),
        (("--encoder", "vicreg", "--target", "scenes:1"), "no image to put it into"),
        (("--encoder", "vicreg", "--shared", 20), "in more than 20 of 20"),
        (("--encoder", "vicreg", "--strengths", "-1,one"), "--strengths '-1,one' is not a list of numbers"),
        (("--encoder", "vicreg", "--strengths", "-1,-1"), "each once"),
        (("scenes:99999", "--encoder", "vicreg"), "no scene '99999'"),
        (("nowhere.png", "--encoder", "vicreg"), "cannot read nowhere.png"),
    ],
)
def test_mistakes_get_one_line(command: Command, arguments: tuple[object, ...], says: str) -> None:
    result = command("manipulate", *arguments)
    assert result.exit_code == 2
    assert says in result.stderr


def test_it_is_found_by_its_one_name_and_by_the_former() -> None:
    assert load_probe("manipulate") is PROBE
    with pytest.warns(DeprecationWarning, match="is called manipulate now"):
        assert rcdm_probe.manipulation is rcdm_probe.manipulate
