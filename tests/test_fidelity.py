"""Fidelity: its mathematics beside other ways to the same numbers, and decoders of which the truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from planted_decoders import SIDE, Decoder, Draw, deaf, faithful, pixels, space
from scipy.linalg import sqrtm
from torch.utils._python_dispatch import TorchDispatchMode

from analyses.fidelity import copies_table, ranks_table, sets_table, solvers_floor, solvers_table
from probes.fidelity import FidelitySettings, Measurement, measure
from probes.fidelity.pictures import levels_panel
from probes.records import COLUMNS
from rcdm_core.data.registry import load_data
from rcdm_core.distances import retrieval_ranks
from rcdm_core.errors import UserError
from rcdm_core.features import default_features, load_features
from rcdm_core.fidelity import frechet_contributions, frechet_distance, in_manifold, inception_contributions
from rcdm_core.nearest import nearest
from rcdm_core.rcdm_training.split import hold_out
from rcdm_core.training_images import TrainingImages, known_split, trained_scenes
from rcdm_core.zoo.curriculum import scene_indices


def cloud(count: int, dimension: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed))


# Ranks


@given(
    count=st.integers(1, 30), gallery=st.integers(1, 50), dimension=st.integers(1, 4), block=st.integers(1, 20),
    seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_ranks_in_blocks_are_those_of_the_definition_ties_included(
    count: int, gallery: int, dimension: int, block: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    queries, rows = (torch.randint(-2, 3, (n, dimension), generator=generator).float() for n in (count, gallery))
    targets = torch.randint(gallery, (count,), generator=generator)
    squared = (queries[:, None] - rows).square().sum(2)
    own = squared.gather(1, targets[:, None])
    expected = 1 + (squared < own).sum(1) + (squared == own).sum(1) // 2
    assert torch.equal(retrieval_ranks(queries, rows, targets, block=block), expected)


def test_ranks_never_hold_more_than_some_blocks() -> None:
    class Largest(TorchDispatchMode):
        size = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor) and not func.is_view:
                self.size = max(self.size, out.numel())
            return out

    queries, gallery = cloud(700, 40), cloud(900, 40, 1)
    with Largest() as seen:
        retrieval_ranks(queries, gallery, torch.arange(700), block=64)
    assert seen.size <= max(64 * 64, 64 * 40, 2 * 700)  # blocks, and two counts for each query


def test_the_nearest_is_the_nearest() -> None:
    queries, gallery = cloud(50, 12), cloud(300, 12, 1)
    expected, rows = torch.cdist(queries.double(), gallery.double()).min(1)
    apart, found = nearest(queries, gallery, block=32)
    assert torch.equal(found, rows)
    torch.testing.assert_close(apart, expected)


# Sets


@pytest.mark.parametrize("count, dimension", [(80, 5), (20, 40)])
def test_contributions_have_the_distance_as_their_mean(count: int, dimension: int) -> None:
    a, b = cloud(count, dimension), 0.3 + 1.5 * cloud(count, dimension, 1)
    assert frechet_contributions(a, b).mean().item() == pytest.approx(frechet_distance(a, b) ** 2)
    assert frechet_contributions(a, a).abs().max().item() < 1e-8


def test_a_contribution_is_what_more_weight_on_an_image_changes() -> None:
    a, b = cloud(60, 4).double(), (0.2 + 1.3 * cloud(60, 4, 1)).double()

    def squared(weights: torch.Tensor) -> float:
        means = [weights @ rows for rows in (a, b)]
        first, second = (((rows - m).T * weights) @ (rows - m) for rows, m in zip((a, b), means, strict=True))
        root = sqrtm((first @ second).numpy()).real
        return float((means[0] - means[1]).square().sum() + first.trace() + second.trace() - 2 * root.trace())

    even, step = torch.full((60,), 1 / 60, dtype=torch.float64), 1e-6
    heavier = [(1 - step) * even + step * one for one in torch.eye(60, dtype=torch.float64)]
    changes = torch.tensor([(squared(weights) - squared(even)) / step for weights in heavier], dtype=torch.float64)
    torch.testing.assert_close(frechet_contributions(a, b) - squared(even), changes, rtol=1e-3, atol=1e-3)


def test_intervals_of_contributions_hold_what_fresh_images_give() -> None:
    def pair(seed: int) -> torch.Tensor:
        return frechet_contributions(cloud(200, 6, 2 * seed), 0.4 + 1.2 * cloud(200, 6, 2 * seed + 1))

    fresh = torch.stack([pair(seed).mean() for seed in range(200)])
    told = torch.stack([pair(seed).std() / 200**0.5 for seed in range(20)]).mean()
    assert told.item() == pytest.approx(fresh.std().item(), rel=0.2)


def test_inception_score_of_known_classes() -> None:
    assert inception_contributions(torch.eye(7).repeat(3, 1)).mean().item() == pytest.approx(7)
    assert inception_contributions(torch.full((9, 4), 0.25)).mean().item() == pytest.approx(1)
    p = torch.softmax(3 * cloud(50, 5), 1).double()
    expected = (p * (p / p.mean(0)).log()).sum(1).mean().exp().item()
    assert inception_contributions(p).mean().item() == pytest.approx(expected)


def test_a_manifold_holds_its_own_images_and_nothing_far_away() -> None:
    points = cloud(50, 3)
    assert in_manifold(points, points).all()
    assert not in_manifold(points + 100, points).any()


# Feature spaces and training images


def test_numbers_carry_the_name_of_their_space() -> None:
    judge, encoder = load_features("judge"), load_features("vicreg")
    assert (judge.distance, judge.score) == ("FD-judge", "IS-judge")
    assert (encoder.distance, encoder.score) == ("FD-vicreg", "")
    features, classes = judge.of(torch.rand(3, 3, 32, 32))
    assert features.shape == (3, 384)
    assert classes is not None
    torch.testing.assert_close(classes.sum(1), torch.ones(3))


def test_the_default_space_is_the_judge_on_scenes_and_the_encoder_on_other_images(tmp_path: Path) -> None:
    own = pixels("of my own")  # in no registry
    assert default_features(load_data("scenes", image_size=SIDE, limit=1), own).name == "judge"
    Image.new("RGB", (40, 40), "red").save(tmp_path / "red.png")
    found = default_features(load_data(tmp_path, image_size=SIDE), own)
    assert (found.name, found.distance, found.score) == ("of my own", "FD-of my own", "")
    assert found.fingerprint == own.fingerprint
    images = torch.rand(2, 3, SIDE, SIDE)
    torch.testing.assert_close(found.of(images)[0], images.flatten(1))


def test_fid_needs_the_weights_of_inception_and_says_where() -> None:
    with pytest.raises(UserError, match=r"no FID: .*weights-inception.* is missing: put https"):
        load_features("inception")


LEGS = [{"images": 100, "settings": {"seed": 0}}, {"images": 200, "settings": {"seed": 4}}]
CARD = {"training": {"data": "fashion scenes, training split, new factors", "images": 300, "legs": LEGS}}


@pytest.fixture
def garments(garments_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rcdm_core.data.garments._SYSTEM", garments_folder)


def test_training_scenes_are_those_of_the_first_steps_of_the_last_leg(garments: None) -> None:
    found = trained_scenes(CARD, limit=100)
    assert found is not None
    assert found.total == 300
    assert set(found.images.chosen) == set(scene_indices(0, 50, seed=5)) | set(scene_indices(1, 50, seed=5))
    assert found.images.scenes.seed == 5
    assert trained_scenes({"training": {"data": "photos"}}, limit=5) is None


def test_images_that_a_training_held_out_are_known_again() -> None:
    data = load_data("scenes", image_size=32, limit=100)
    training = {"data_fingerprint": data.fingerprint, "images": 90, "held_out": 10, "settings": {"seed": 3}}
    split = known_split({"training": training}, data, "scenes")
    assert split is not None
    assert np.array_equal(split.held_out, hold_out(100, seed=3).held_out)
    assert known_split({"training": {**training, "data_fingerprint": "other"}}, data, "scenes") is None
    assert known_split({}, data, "scenes") is None


def test_samples_of_several_sizes_stand_side_by_side_at_the_largest() -> None:
    panel = levels_panel(torch.rand(2, 3, 20, 20), {"a": torch.rand(2, 3, 32, 32), "b": torch.rand(2, 3, 128, 128)})
    assert panel.images.shape == (2, 3, 3, 128, 128)


# The probe on decoders of which the truth is known

SMALL = FidelitySettings(
    images=60,
    gallery=200,
    compared=150,
    swept=(("dpmsolver++", 1), ("ddim", 40)),
    swept_images=30,
    pictures=2,
    steps=40,
    solver="dpmsolver++",
)
CONDITIONS = {f"{name}/backbone": 3072 for name in ("faithful", "deaf", "recalling")}


def recalling(training: torch.Tensor) -> Draw:
    """The training image nearest to the representation."""

    def draw(h: torch.Tensor, noise: torch.Tensor, steps: int) -> torch.Tensor:
        return training[nearest(h, training.flatten(1))[1]] + 0.001 * noise

    return draw


def study(workdir: Path | None = None, *, rules: dict[str, Draw] | None = None) -> Measurement:
    data = load_data("scenes", image_size=32, limit=500)
    seen = TrainingImages(data, np.arange(350, 500), 150)
    rules = rules or {
        "faithful": faithful, "deaf": deaf, "recalling": recalling(data.images(seen.positions)),
    }  # fmt: skip
    return measure(
        [pixels(name) for name in rules],
        data,
        rcdms={name: Decoder(name, CONDITIONS, rule) for name, rule in rules.items()},
        space=space(),
        training=seen,
        available=np.arange(350),
        settings=SMALL,
        workdir=workdir,
    )


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Measurement, Path]:
    folder = tmp_path_factory.mktemp("parts")
    return study(folder), folder


@pytest.fixture(scope="module")
def found(kept: tuple[Measurement, Path]) -> Measurement:
    return kept[0]


def row(table: pd.DataFrame, encoder: str) -> pd.Series:
    return table[table["encoder"] == encoder].iloc[0]


def test_records_are_tidy(found: Measurement) -> None:
    assert {name: str(kind) for name, kind in found.records.dtypes.items()} == COLUMNS
    assert not found.records.duplicated([name for name in COLUMNS if name != "value"]).any()
    assert found.records["value"].notna().all()


def test_a_faithful_decoder_is_told_from_one_that_does_not_listen(found: Measurement) -> None:
    ranks = ranks_table(found.records, resamples=200)
    assert row(ranks, "faithful")["mean_rank"] == 1
    assert row(ranks, "deaf")["mean_rank"] == pytest.approx(100.5, rel=0.25)  # chance
    sets = sets_table(found.records, resamples=200)
    real = row(sets, "real images")
    assert real["excess"] == 0
    for measured in ("frechet", "precision", "recall", "inception_score"):
        assert row(sets, "faithful")[measured] == pytest.approx(real[measured], rel=0.05)
    assert row(sets, "deaf")["excess_low"] > 0
    assert row(sets, "deaf")["recall"] < 0.1
    assert row(sets, "deaf")["inception_score"] < 1.05 < real["inception_score"]


def test_only_a_decoder_that_recalls_is_found_to_recall(found: Measurement) -> None:
    copies = copies_table(found.records, resamples=200)
    assert row(copies, "recalling")["share"] == 1
    assert row(copies, "recalling")["surplus"] > 0.9
    assert row(copies, "recalling")["ratio_high"] < 0.1
    for name in ("faithful", "deaf"):
        assert row(copies, name)["surplus_low"] <= 0
    assert row(copies, "real images")["ratio"] == 1


def test_fewer_steps_are_seen_to_be_worse(found: Measurement) -> None:
    table = solvers_table(found.records, "dpmsolver++", 40, resamples=200).set_index(["solver", "steps"])
    assert list(table.index) == [("dpmsolver++", 40), ("dpmsolver++", 1), ("ddim", 40)]
    assert table.loc[("dpmsolver++", 1), "frechet"] > table.loc[("dpmsolver++", 40), "frechet"]
    assert (table["images"] == 30).all()
    assert (table["seconds"] > 0).all()
    assert table.loc[("ddim", 40), "gain"] == 0  # equal noise: this decoder knows no solver
    assert np.isnan(table.loc[("dpmsolver++", 40), "p_value"])
    assert solvers_floor(found.records, resamples=50).n == 30


def test_tables_are_the_numbers_of_the_records(found: Measurement) -> None:
    own = found.records[found.records["encoder"] == "deaf"]
    values = {m: own[own["measure"] == m]["value"].to_numpy() for m in ("sample_rank", "frechet", "recall")}
    ranks, sets = ranks_table(found.records, resamples=50), sets_table(found.records, resamples=50)
    assert row(ranks, "deaf")["mrr"] == pytest.approx((1 / values["sample_rank"]).mean())
    assert row(ranks, "deaf")["median_rank"] == np.median(values["sample_rank"])
    assert row(sets, "deaf")["frechet"] == pytest.approx(values["frechet"].mean())
    assert row(sets, "deaf")["recall"] == values["recall"].mean()
    assert all(len(table(found.records.iloc[:0])) == 0 for table in (ranks_table, sets_table, copies_table))


def test_panels_hold_what_was_drawn(found: Measurement) -> None:
    panels = {panel.name: panel for panel in found.panels}
    assert set(panels) == {"samples", "nearest_training", "drawn_by_solvers"}
    assert panels["samples"].columns == ("image", "faithful/backbone", "deaf/backbone", "recalling/backbone")
    assert (panels["samples"].images[:, 0] - panels["samples"].images[:, 1]).abs().mean() < 0.02


def test_what_was_measured_is_not_measured_again(kept: tuple[Measurement, Path]) -> None:
    before, folder = kept

    def refuses(h: torch.Tensor, noise: torch.Tensor, steps: int) -> torch.Tensor:
        raise AssertionError("drawn again")

    again = study(folder, rules=dict.fromkeys(("faithful", "deaf", "recalling"), refuses))
    pd.testing.assert_frame_equal(again.records, before.records, check_dtype=False)


def test_what_cannot_be_measured_is_refused_at_once() -> None:
    data = load_data("scenes", image_size=32, limit=60)
    decoder = Decoder("faithful", CONDITIONS, faithful)
    with pytest.raises(UserError, match="no RCDM draws from other.*rcdm-probe train --encoder other"):
        measure([pixels("other")], data, rcdms={}, space=space())
    with pytest.raises(UserError, match="30 images that no RCDM was trained on"):
        measure([pixels("deaf")], data, rcdms={"deaf": decoder}, space=space(), available=np.arange(30))
    chosen = FidelitySettings(swept_level="deaf/bckbone")
    with pytest.raises(UserError, match="unknown encoder and level 'deaf/bckbone': did you mean deaf/backbone"):
        measure([pixels("deaf")], data, rcdms={"deaf": decoder}, space=space(), settings=chosen)
    with pytest.raises(UserError, match="did you mean unipc"):
        FidelitySettings(solver="unpic")
    with pytest.raises(UserError, match="5 images are too few"):
        FidelitySettings(images=5)
    for wrong in ({"pictures": 0}, {"compared": -1}, {"swept_images": -1}):
        with pytest.raises(UserError, match="at least one|number from 0"):
            FidelitySettings(**wrong)
