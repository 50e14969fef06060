"""``rcdm-probe fidelity``: its mathematics beside other ways to the same numbers, decoders of which the truth is known,
and the command from arguments to what it leaves behind.
"""

from __future__ import annotations

import itertools
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
from begun import facts_of
from hypothesis import given, settings
from hypothesis import strategies as st
from left_behind import tables_left_out
from PIL import Image
from planted_decoders import SIDE, Decoder, Draw, deaf, faithful, pixels, space
from probing import measured, opened
from scipy.linalg import sqrtm
from torch.utils._python_dispatch import TorchDispatchMode
from typer.testing import Result as Outcome

from analyses.records import COLUMNS, records
from probes import page
from probes.fidelity import (
    PROBE,
    Fidelity,
    around_their_mean,
    draw,
    evidence,
    samples_panel,
    solvers_floor,
    trained_on,
    trust,
    uniformity,
)
from probes.probe import Ready
from rcdm_core.data.registry import load_data
from rcdm_core.distances import nearest, retrieval_ranks
from rcdm_core.encoders import UNTRAINED
from rcdm_core.errors import UserError
from rcdm_core.features import default_features, load_features
from rcdm_core.fidelity import frechet_contributions, frechet_distance, in_manifold, inception_contributions
from rcdm_core.training_images import TrainingImages, scene_indices, trained_scenes
from rcdm_probe import Result, fidelity
from rcdm_probe.benchmark import clock, rank_cost
from rcdm_probe.conduct import prepare
from rcdm_probe.opening import by_name
from reports.figures.fidelity import draw_levels
from reports.tables import cell

Command = Callable[..., Outcome]


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
    assert set(found.images.numbers) == set(scene_indices(0, 50, seed=5)) | set(scene_indices(1, 50, seed=5))
    assert found.images.scenes.seed == 5
    assert trained_scenes({"training": {"data": "photos"}}, limit=5) is None


def test_samples_of_several_sizes_stand_side_by_side_at_the_largest() -> None:
    panel = samples_panel(torch.rand(2, 3, 20, 20), {"a": torch.rand(2, 3, 32, 32), "b": torch.rand(2, 3, 128, 128)})
    assert panel.images.shape == (2, 3, 3, 128, 128)


# The probe on decoders of which the truth is known

SMALL = Fidelity(
    images=60,
    gallery=200,
    compared=150,
    swept=(("dpmsolver++", 1), ("ddim", 40)),
    swept_images=30,
    swept_level="faithful/backbone",
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


def study(workdir: Path | None = None, *, rules: dict[str, Draw] | None = None) -> Result:
    data = load_data("scenes", image_size=32, limit=500)
    seen = TrainingImages(data, np.arange(350, 500), 150)
    rules = rules or {
        "faithful": faithful, "deaf": deaf, "recalling": recalling(data.images(seen.positions)),
    }  # fmt: skip
    return measured(
        PROBE,
        [pixels(name) for name in rules],
        data,
        SMALL,
        rcdm={name: Decoder(name, CONDITIONS, rule) for name, rule in rules.items()},
        ready=Ready(settings=SMALL, own=draw(np.arange(350), seen, SMALL)),
        space=space(),
        workdir=workdir,
    )


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    folder = tmp_path_factory.mktemp("parts")
    return study(folder), folder


@pytest.fixture(scope="module")
def found(kept: tuple[Result, Path]) -> Result:
    return kept[0]


def row(table: pd.DataFrame, encoder: str) -> pd.Series:
    return table[table["encoder"] == encoder].iloc[0]


def test_records_are_tidy(found: Result) -> None:
    assert {name: str(kind) for name, kind in found.records.dtypes.items()} == COLUMNS
    assert not found.records.duplicated([name for name in COLUMNS if name != "value"]).any()
    assert found.records["value"].notna().all()


def test_a_faithful_decoder_is_told_from_one_that_does_not_listen(found: Result) -> None:
    ranks = found.tables["ranks"]
    assert row(ranks, "faithful")["mean_rank"] == 1
    assert row(ranks, "deaf")["mean_rank"] == pytest.approx(100.5, rel=0.25)  # chance
    assert row(ranks, "deaf")["shuffled_low"] <= row(ranks, "deaf")["mrr"] <= row(ranks, "deaf")["shuffled_high"]
    assert max(row(ranks, "faithful")[floor] for floor in ("shuffled", "mean_h")) < 0.2
    sets = found.tables["sets"]
    real = row(sets, "real images")
    assert real["excess"] == 0
    for measure in ("frechet", "precision", "recall", "inception_score"):
        assert row(sets, "faithful")[measure] == pytest.approx(real[measure], rel=0.05)
    assert row(sets, "deaf")["excess_low"] > 0
    assert row(sets, "deaf")["recall"] < 0.1
    assert row(sets, "deaf")["inception_score"] < 1.05 < real["inception_score"]


@pytest.mark.parametrize(
    "spread, shift, word",
    [(1, 0, "nothing found"), (0.3, 0, "too narrow"), (6, 0, "too wide"), (1, 1.5, "shifted")],
)
def test_the_spread_of_samples_is_told_beside_that_of_images(
    found: Result, spread: float, shift: float, word: str
) -> None:
    rng = np.random.default_rng(1)
    images, samples = rng.normal(size=(200, 1)), shift + spread * rng.normal(size=(200, 7))
    places = records(
        "place", (samples < images).sum(1), np.arange(200), encoder="planted", level="backbone", condition="x"
    )
    (told,) = replace(found, records=places).tables["spreads"].to_dict("records")
    assert told["told"] == word
    assert told["expected"] == 0.75
    few = replace(found, records=places[:19]).tables["spreads"]
    assert few["told"].item() == "too few"


def test_a_shift_is_seen_in_the_digits_of_the_place(found: Result) -> None:
    for moved in range(40):  # image by image, until the interval just leaves the middle
        places = np.sort(np.tile(np.arange(8), 25))
        places[:moved] = 7
        planted = records("place", places, np.arange(200), encoder="planted", level="backbone", condition="x")
        result = replace(found, records=planted)
        if result.tables["spreads"]["place_low"].item() > 0.5:
            break
    told = PROBE.printed["spreads"](result)["place"].item()
    assert result.tables["spreads"]["place_low"].item() < 0.505
    assert float(told.split("[")[1].split(",")[0]) > 0.5


def test_places_on_a_circle_do_not_depend_on_where_it_is_cut() -> None:
    rng = np.random.default_rng(0)
    turns = rng.normal(0, 0.03, (200, 8))
    near_zero, elsewhere = (around_their_mean((turns + cut) % 1) for cut in (0.0, 0.4))
    assert near_zero == pytest.approx(elsewhere)
    assert near_zero == pytest.approx(turns - turns.mean(1, keepdims=True), abs=1e-3)
    alike = around_their_mean(rng.random((4000, 8)))  # an image that is one of its samples
    assert uniformity((alike[:, :1] > alike[:, 1:]).sum(1), 7, seed=0) > 0.001


def test_places_that_are_neither_narrow_nor_wide_nor_shifted_are_called_uneven(found: Result) -> None:
    places = np.repeat([0, 7, 3, 4], [25, 25, 75, 75])
    planted = records("place", places, np.arange(200), encoder="planted", level="backbone", condition="x")
    assert replace(found, records=planted).tables["spreads"]["told"].item() == "uneven"


def test_places_that_are_uniform_are_hardly_ever_found_not_to_be() -> None:
    rng = np.random.default_rng(0)
    values = [uniformity(rng.integers(0, 8, 40), 7, seed=trial, draws=199) for trial in range(300)]
    assert np.mean(np.array(values) <= 0.05) <= 0.05 + 2 * (0.05 * 0.95 / 300) ** 0.5


def test_guidance_is_judged_by_what_an_independent_reader_sees(found: Result) -> None:
    rng, numbers = np.random.default_rng(0), np.arange(40)
    about = {"encoder": "faithful", "level": "backbone"}
    true, noise = rng.uniform(-1, 1, 40), rng.normal(size=40)
    read = {"true": true, "plain": true + 0.5 * noise, "guided": true + 0.1 * noise}
    parts = [records(name, values, numbers, condition="x", **about) for name, values in read.items()]
    parts += [records(name, numbers % 4, numbers, condition="class", **about) for name in read]
    of_mean = {"x": np.full(20, true.mean()), "class": np.full(20, 3)}  # a sample of the mean shows the same of all
    parts += [
        records("guided_mean_h", values, numbers[:20], condition=factor, **about) for factor, values in of_mean.items()
    ]
    ranks = {"plain": 2, "guided": 1, "guided_shuffled": 4, "guided_mean_h": 8}
    parts += [records(f"{name}_rank", np.full(40, rank), numbers, **about) for name, rank in ranks.items()]
    table = replace(found, records=pd.concat(parts)).tables["guidance"].set_index("factor")
    x = table.loc["x"]
    assert x["guided"] - x["plain"] == pytest.approx(x["gain"]) == pytest.approx(0.24 * (noise**2).mean() / true.var())
    assert x["gain_low"] > 0 > x["p_holm"] - 0.05
    assert x["mean_h"] == pytest.approx(0)
    others = np.square(true[:, None] - read["guided"])[~np.eye(40, dtype=bool)].mean()
    assert x["shuffled"] == pytest.approx(1 - others / true.var())
    assert table.loc["class", ["gain", "shuffled", "mean_h"]].tolist() == pytest.approx([0, 9 / 39, 0.25])
    assert table.loc["MRR", ["plain", "guided", "shuffled", "mean_h"]].tolist() == [0.5, 1, 0.25, 0.125]


def test_only_a_decoder_that_recalls_is_found_to_recall(found: Result) -> None:
    copies = found.tables["copies"]
    assert row(copies, "recalling")["share"] == 1
    assert row(copies, "recalling")["surplus"] > 0.9
    assert row(copies, "recalling")["ratio_high"] < 0.1
    for name in ("faithful", "deaf"):
        assert row(copies, name)["surplus_low"] <= 0
    assert row(copies, "real images")["ratio"] == 1


def test_fewer_steps_are_seen_to_be_worse(found: Result) -> None:
    table = found.tables["solvers"].set_index(["solver", "steps"])
    assert list(table.index) == [("dpmsolver++", 40), ("dpmsolver++", 1), ("ddim", 40)]
    assert table.loc[("dpmsolver++", 1), "frechet"] > table.loc[("dpmsolver++", 40), "frechet"]
    assert (table["images"] == 30).all()
    assert (table["seconds"] > 0).all()
    assert table.loc[("ddim", 40), "gain"] == 0  # equal noise: this decoder knows no solver
    assert table.loc[("ddim", 40), "variance"] == table.loc[("dpmsolver++", 40), "variance"] == 1
    assert table.loc[("dpmsolver++", 1), "variance_low"] > 100  # of noise 40 times as strong
    assert np.isnan(table.loc[("dpmsolver++", 40), "p_value"])
    assert solvers_floor(found).n == 30


def test_tables_are_the_numbers_of_the_records(found: Result) -> None:
    own = found.records[found.records["encoder"] == "deaf"]
    values = {m: own[own["measure"] == m]["value"].to_numpy() for m in ("sample_rank", "frechet", "recall")}
    ranks, sets = found.tables["ranks"], found.tables["sets"]
    assert row(ranks, "deaf")["mrr"] == pytest.approx((1 / values["sample_rank"]).mean())
    assert row(ranks, "deaf")["median_rank"] == np.median(values["sample_rank"])
    assert row(sets, "deaf")["frechet"] == pytest.approx(values["frechet"].mean())
    assert row(sets, "deaf")["recall"] == values["recall"].mean()
    assert all(table.empty for table in replace(found, records=found.records.iloc[:0]).tables.values())


def test_panels_hold_what_was_drawn(found: Result) -> None:
    panels = {panel.name: panel for panel in found.panels}
    assert set(panels) == {"samples", "nearest_training", "drawn_by_solvers"}
    assert panels["samples"].columns == ("image", "faithful/backbone", "deaf/backbone", "recalling/backbone")
    assert (panels["samples"].images[:, 0] - panels["samples"].images[:, 1]).abs().mean() < 0.02


def test_what_was_measured_is_not_measured_again(kept: tuple[Result, Path]) -> None:
    before, folder = kept

    def refuses(h: torch.Tensor, noise: torch.Tensor, steps: int) -> torch.Tensor:
        raise AssertionError("drawn again")

    again = study(folder, rules=dict.fromkeys(("faithful", "deaf", "recalling"), refuses))
    pd.testing.assert_frame_equal(again.records, before.records, check_dtype=False)


def test_of_an_adapted_decoder_what_its_own_training_was_given_is_what_samples_are_held_beside() -> None:
    data = load_data("scenes", image_size=32, limit=300)
    before = {"training": {"data": "other images"}}
    adapted = Decoder("adapted", CONDITIONS, faithful, {"before": [before]}, data.hashes[:270])
    other = Decoder("other", CONDITIONS, faithful, before)

    def seen(**decoders: Decoder) -> tuple[Any, str]:
        run = opened(PROBE, pixels("faithful"), data, Fidelity(), ready=Ready(), decoders=decoders)
        training, available, why = trained_on(run, 100)
        assert len(available) == (30 if "one" in decoders else 300)
        return training, why

    training, why = seen(one=adapted)
    assert (training.total, why) == (270, "")
    assert "Several decoders" in seen(one=adapted, two=other)[1]
    assert "not at hand" in seen(two=other)[1]


def test_what_cannot_be_measured_is_refused_at_once() -> None:
    data = load_data("scenes", image_size=32, limit=300)
    decoder = Decoder("faithful", CONDITIONS, faithful)
    refused = partial(measured, PROBE, pixels("deaf"), data, space=space())
    with pytest.raises(UserError, match="no RCDM draws from other.*rcdm-probe train --encoder other"):
        fidelity(pixels("other"))
    with pytest.raises(UserError, match="30 images that no RCDM was trained on"):
        refused(Fidelity(), rcdm=Decoder("faithful", CONDITIONS, faithful, trained_images=data.hashes[:270]))
    with pytest.raises(UserError, match="unknown encoder and level 'deaf/bckbone': did you mean deaf/backbone"):
        refused(Fidelity(swept_level="deaf/bckbone"), rcdm=decoder)
    with pytest.raises(UserError, match="did you mean unipc"):
        Fidelity(solver="unpic")
    with pytest.raises(UserError, match="did you mean unipc"):
        Fidelity(swept=(("unpic", 4),))
    with pytest.raises(UserError, match="5 images are too few to compare solvers on"):
        Fidelity(swept_images=5)
    for wrong in ({"images": 5}, {"pictures": 0}, {"compared": -1}, {"swept_images": -1}, {"neighbours": 20}):
        with pytest.raises(UserError, match="at least 20|at least 1|at least 0|at most 19|number from 0"):
            Fidelity(**wrong)


# The command, and its report

PLANTED = {"faithful/backbone": 3072, "deaf/backbone": 3072}
SEEN = {
    "training": {
        "data": "fashion scenes, training split, new factors",
        "images": 200,
        "legs": [{"images": 200, "settings": {"seed": 0}}],
    }
}


@pytest.fixture(scope="module")
def planted(garments_folder: Path) -> Result:
    """A study of an encoder that keeps everything, and of a decoder that listens."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rcdm_core.data.garments._SYSTEM", garments_folder)
        return fidelity(
            [pixels("faithful")],
            rcdm=Decoder("faithful", PLANTED, faithful, SEEN),
            images=40, gallery=80, compared=60, swept=(("ddim", 2),), swept_images=20, pictures=3,
        )  # fmt: skip


def of_records(records: pd.DataFrame) -> Result:
    """What the probe makes of records, at its own settings."""
    studied = [name for name in records["encoder"].unique() if name not in ("", UNTRAINED)]
    run = {"encoder_cards": dict.fromkeys(studied)}
    none: dict[str, Any] = {"images": pd.DataFrame(), "panels": (), "maps": (), "run": run}
    return Result(probe=PROBE, settings=Fidelity(), records=records, **none)


def test_the_command_leaves_a_whole_run(command: Command, tmp_path: Path) -> None:
    result = command(
        "fidelity", "--encoder", "vicreg", "--level", "backbone", "--images", 20, "--gallery", 40, "--compared", 0,
        "--swept-images", 0, "--steps", 1, "--out", tmp_path / "run",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    folder = tmp_path / "run"
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    facts = json.loads((folder / "run.json").read_text())
    assert facts["finished"]
    assert facts["features_card"]["distance"] == "FD-judge"
    assert facts["command"].startswith("rcdm-probe fidelity --encoder vicreg --data scenes --level backbone")
    records = pd.read_parquet(folder / "records.parquet")
    sets = {"frechet", "inception_score", "precision", "recall"}
    assert {"sample_rank", "shuffled_rank", "mean_h_rank", "place"} | sets == set(records["measure"])
    again = of_records(records)
    for name in ("ranks", "sets"):
        table = again.tables[name]
        pd.testing.assert_frame_equal(pd.read_csv(folder / "tables" / f"{name}.csv").fillna(""), table.fillna(""))
        assert (folder / "tables" / f"{name}.tex").is_file()
    assert not tables_left_out(folder)
    ranks = records.loc[(records["measure"] == "sample_rank") & (records["encoder"] == "vicreg"), "value"]
    told, floor = pd.read_csv(folder / "tables" / "ranks.csv").to_dict("records")
    assert (told["encoder"], floor["encoder"]) == ("vicreg", "untrained")
    assert told["mean_rank"] == pytest.approx(ranks.sum() / 20)
    assert told["mrr"] == pytest.approx(sum(1 / ranks) / 20)
    assert "How far to trust the decoder" in result.output
    assert result.output.rstrip().endswith("report.pdf")


def test_weights_of_a_single_encoder_need_no_name(command: Command, tmp_path: Path, tiny_rcdm: Path) -> None:
    words = ("fidelity", "-e", "vicreg", "--level", "backbone", "--rcdm", tiny_rcdm, "--images", 20, "--gallery", 40,
             "--compared", 0, "--swept-images", 0, "--steps", 1)  # fmt: skip
    for weights in ("random:3", "vicreg=random:3"):
        run = facts_of(command, *words, "--weights", weights, out=tmp_path / weights)
        assert run["arguments"]["weights"] == "vicreg=random:3"
        assert run["encoder_cards"]["vicreg"]["weights"] == "random, seed 3"
    refused = command(*words, "-e", "simclr", "--weights", "random")
    assert refused.exit_code == 2
    assert "write --weights ENCODER=random" in refused.stderr


def test_a_long_name_of_a_feature_space_is_broken_not_printed_over_the_next() -> None:
    name = "timm/vit_small_patch16_224.dino"
    titles = {"mrr": "MRR", "frechet": f"FD-{name}", "precision": "precision", "recall": "recall"}
    values = {f"{measure}{end}": [0.5] for measure in titles for end in ("", "_low", "_high")}
    table = pd.DataFrame({"encoder": [name], "level": ["backbone"], **values})
    figure = draw_levels(table, titles=titles, floor=pd.Series(dtype=float), chance={})
    headings = [axes.get_title(loc="left") for axes in figure.axes]
    assert [heading.replace("\n", "") for heading in headings] == list(titles.values())
    places = [axes._left_title.get_window_extent(figure.canvas.get_renderer()) for axes in figure.axes]
    assert all(place.x1 < after.x0 for place, after in itertools.pairwise(places))


def test_a_report_tells_what_the_records_hold(planted: Result, tmp_path: Path) -> None:
    planted.save(tmp_path)
    records = pd.read_parquet(tmp_path / "records.parquet")
    for name, table in of_records(records).tables.items():
        pd.testing.assert_frame_equal(planted.tables[name], table, check_dtype=False)
    figures = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert figures == {"levels", "solvers", "spread", "copies", "samples", "nearest-training", "drawn-by-solvers"}
    told = json.loads((tmp_path / "report.json").read_text())
    named = [block["path"] for part in told["sections"] for block in part["blocks"] if block["kind"] == "figure"]
    assert {Path(path).stem for path in (*named, told["figure"]["path"])} == figures


def test_a_faithful_decoder_is_trusted(planted: Result) -> None:
    said = trust(planted)
    assert "median rank of 1 among 80 (MRR 1.00 [0.9" in said
    assert "Nothing points to copies" in said
    assert "is above 0 at no level (interval, and Wilcoxon" in said


def solved(*rows: tuple[str, int, float, float, float]) -> pd.DataFrame:
    """Solvers: name, steps, the interval of the gain, and seconds; the first is the chosen."""
    names = ["solver", "steps", "gain_low", "gain_high", "seconds"]
    table = pd.DataFrame(rows, columns=names).assign(mrr=0.5, mrr_low=0.4, mrr_high=0.6, variance_high=1.1)
    sure = (table["gain_low"] > 0) | (table["gain_high"] < 0)
    return table.assign(gain=(table["gain_low"] + table["gain_high"]) / 2, p_holm=np.where(sure, 0.01, 0.5))


CHOSEN = ("ddim", 12, float("nan"), float("nan"), 1.0)


def test_a_faster_solver_that_is_no_worse_is_named() -> None:
    worse, dear = ("ddim", 2, -0.3, -0.1, 0.2), ("ddpm", 100, -0.1, 0.2, 8.0)
    as_good, faster = ("unipc", 8, -0.1, 0.1, 0.7), ("unipc", 6, -0.2, 0.1, 0.5)
    assert evidence(solved(CHOSEN, worse, dear)).endswith("is neither worse nor draws samples that vary less.")
    said = evidence(solved(CHOSEN, worse, as_good, faster, dear))
    assert said.endswith("the fastest is unipc with 6 steps, in 50% of the time.")
    narrower = solved(CHOSEN, as_good, faster)
    narrower.loc[2, "variance_high"] = 0.9
    assert evidence(narrower).endswith("the fastest is unipc with 8 steps, in 70% of the time.")
    better = evidence(solved(CHOSEN, faster, ("ddpm", 100, 0.1, 0.3, 8.0)))
    assert "the best, ddpm with 100 steps" in better
    assert "8.0 times the time" in better


def test_an_encoder_that_is_named_twice_is_measured_once() -> None:
    assert list(by_name(["vicreg", "simclr", "vicreg"], ())) == ["vicreg", "simclr"]
    own = pixels("mine")
    assert by_name([own, own], ()) == {"mine": own}
    with pytest.raises(UserError, match="two encoders are called mine"):
        fidelity([own, pixels("mine")])


def test_former_keywords_are_heeded_with_a_warning() -> None:
    with (
        pytest.warns(DeprecationWarning, match="s= is called"),
        pytest.raises(UserError, match="did you mean backbone"),
    ):
        fidelity(encoders=["vicreg"], levels=["bakbone"])


def test_the_weights_of_a_single_encoder_need_no_name_in_python_either(tiny_rcdm: Path) -> None:
    asked: dict[str, Any] = {"level": "backbone", "rcdm": tiny_rcdm, "weights": "random:3"}
    study = prepare(PROBE, "vicreg", compared=0, **asked)
    assert study.facts["arguments"]["weights"] == "vicreg=random:3"
    assert set(study.facts["hashes"]) == {"vicreg", "rcdm", "judge", "features", "data", "training images"}
    with pytest.raises(UserError, match="do not say whose they are"):
        prepare(PROBE, ["vicreg", "simclr"], **asked)


def test_what_is_not_at_hand_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rcdm_core.training_images.training_garments_are_here", lambda: False)
    decoder = Decoder("deaf", PLANTED, deaf, SEEN)
    result = fidelity(
        [pixels("deaf")], rcdm=decoder, features="vicreg", images=20, gallery=40, swept_images=0, spread=0
    )
    parts = [block for part in page.document(result)["sections"] for block in part["blocks"]]
    missing = [block["what"] for block in parts if block["kind"] == "missing"]
    assert missing == [
        "There is no Inception score.",
        "Whether samples vary as they should was not looked at.",
        "Samples were not steered towards h.",
        "Solvers were not compared.",
        "Samples were not held beside training images.",
    ]
    ranks = {"sample_rank", "shuffled_rank", "mean_h_rank"}
    assert set(result.records["measure"]) == ranks | {"frechet", "precision", "recall"}
    assert result.run["features_card"]["distance"] == "FD-vicreg"
    printed = result.printed
    assert list(printed) == ["ranks", "sets"]
    assert printed["sets"].columns == ("pictures", "FD-vicreg", "excess", "precision", "recall")
    assert printed["sets"].rows[0][2] == "–"
    assert printed["ranks"].rows[0][5] == cell(result.tables["ranks"].iloc[0], "mean_rank", 1)


@pytest.mark.parametrize(
    "arguments, says",
    [
        (("--rcdm", "none"), "without an RCDM there is nothing to draw with"),
        (("--level", "bakbone"), "did you mean backbone"),
        (("--solver", "unipcc"), "did you mean unipc"),
        (("--images", "3"), "20, not 3"),
        (("--features", "inception"), "the weights of Inception are not here"),
        (("--swept-level", "vicreg/projecter"), "did you mean vicreg/projector"),
        (("--swept-images", "2"), "2 images are too few to compare solvers on"),
    ],
)
def test_mistakes_get_one_line(command: Command, arguments: tuple[str, ...], says: str) -> None:
    result = command("fidelity", *arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_an_encoder_without_a_decoder_gets_the_command_that_trains_one(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "undrawn_encoder.py").write_text(
        "import torch\n\n\ndef build():\n    return torch.nn.Sequential(torch.nn.AvgPool2d(8), torch.nn.Flatten())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    result = command("fidelity", "--encoder", "python:undrawn_encoder:build")
    assert result.exit_code == 2
    assert "no RCDM draws from python:undrawn_encoder:build" in result.stderr
    assert "rcdm-probe train --encoder python:undrawn_encoder:build" in result.stderr


@pytest.mark.parametrize("kind, waits", [("cpu", 0), ("cuda", 1), ("mps", 1)])
def test_a_clock_is_read_when_the_device_is_done(kind: str, waits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr("torch.accelerator.synchronize", waited.append)
    clock(torch.device(kind))
    assert len(waited) == waits


def test_the_rank_benchmark_tells_time_and_memory() -> None:
    cost = rank_cost(600, gallery=1200, seed=0, device="cpu")
    assert (cost.queries, cost.gallery) == (600, 1200)
    assert cost.seconds > 0
    assert cost.bare > 0
    assert 0 <= cost.memory < 200 * 2**20
