"""The adversarial probe on networks so small that what an attack can do is known, or can be found another way."""

from __future__ import annotations

import gc
import re
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from probing import measured, opened
from torch import nn

from analyses.records import COLUMNS, join, records
from probes.adversarial import PROBE, Adversarial
from probes.adversarial.attacks import ATTACKS, check_classes, margin, noise
from probes.adversarial.measurement import _attack_records, _noise_records, drawn_panel, effort_records
from probes.adversarial.report import ERRING, doubts, floorless, nothing_lost, printed_budgets
from probes.adversarial.target import (
    Study,
    Target,
    Victims,
    covered,
    craft,
    smallest_budget,
    split,
    study_of,
    to_other_classes,
    train_classifier,
)
from probes.scale import Scale
from rcdm_core.data.imageset import ImageSet
from rcdm_core.data.registry import load_data
from rcdm_core.encoders import load_encoder
from rcdm_core.encoders.encoder import Encoder
from rcdm_core.errors import UserError
from rcdm_core.linear_classifier import LinearClassifier
from rcdm_probe.conduct import Result


def network(name: str, *, seed: int, is_ssl: bool = True) -> Encoder:
    """A random convolutional network with 64 features."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        trunk = nn.Sequential(
            nn.Conv2d(3, 12, 5, stride=3), nn.ReLU(), nn.Conv2d(12, 16, 3, stride=2), nn.ReLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        )  # fmt: skip
    return Encoder(
        name, preprocess=nn.Identity(), trunk=trunk, projector=None, dimensions={"backbone": 64}, is_ssl=is_ssl
    )


class Weighed(nn.Module):
    """One feature: the sum of the weighted channels of all pixels."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images.float().flatten(1) @ self.weight.flatten())[:, None]


@pytest.fixture(scope="module")
def scenes() -> ImageSet:
    return load_data("scenes", image_size=32, limit=400, seed=0)


SMALL = Adversarial(
    reference="one", images=100, training=300, checked=24, attack_steps=6,
    attacks=("PGD", "Margin", "FGSM", "PGDL2", "Displacement", "Toward"), eps=(2.0, 8.0), eps_l2=(0.2, 1.0),
)  # fmt: skip


@pytest.fixture(scope="module")
def found(scenes: ImageSet) -> Result:
    return measured(PROBE, [network("one", seed=1, is_ssl=False), network("two", seed=2)], scenes, SMALL)


def study(scenes: ImageSet, chosen: Adversarial) -> Study:
    """One network under attack."""
    run = opened(PROBE, network("one", seed=1), scenes, chosen)
    whole = study_of(run)
    return whole.part(slice(0, len(whole.positions)), scenes.images(whole.positions))


def values(records: pd.DataFrame, measure: str, encoder: str, condition: str, strength: float) -> pd.Series:
    rows = records.query("measure == @measure and encoder == @encoder and condition == @condition")
    return rows[rows["strength"] == strength].set_index("image")["value"].sort_index()


def linear(bias: float = 0.0, *, seed: int = 0) -> tuple[Target, torch.Tensor]:
    """A linear encoder of one feature, and a classifier that asks whether it lies above a bound."""
    weight = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(seed))
    encoder = Encoder(
        "linear", preprocess=nn.Identity(), trunk=Weighed(weight), projector=None, dimensions={"backbone": 1},
        is_ssl=True,
    )  # fmt: skip
    classifier = LinearClassifier(torch.tensor([[-1.0], [1.0]]), torch.tensor([bias, -bias]), 1.0, 1.0, 2)
    scale = Scale((1.0, 1.0), (0.0, 0.0), torch.eye(1).double())
    return Target(encoder, "backbone", scale, classifier, 64), weight


def reached(moved: torch.Tensor, images: torch.Tensor, norm: str) -> float:
    """The largest perturbation, in units of [0, 1]."""
    apart = (moved.double() - images.double()).flatten(1)
    return (apart.abs().amax() if norm == "Linf" else apart.square().sum(1).sqrt().amax()).item()


def middling(count: int) -> torch.Tensor:
    """Images away from 0 and 1, so that no step leaves the range."""
    return 0.3 + 0.4 * torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(3))


def test_records_are_tidy(found: Result) -> None:
    records = found.records
    assert {name: str(kind) for name, kind in records.dtypes.items()} == COLUMNS
    assert not records.duplicated([name for name in COLUMNS if name != "value"]).any()
    assert records["value"].notna().all()
    assert len(values(records, "correct", "one", "", 0.0)) == 100
    assert set(found.tables["classifiers"]["encoder"]) == {"one", "two"}
    assert (found.tables["classifiers"]["training"] == 300).all()


def test_perturbations_stay_in_the_ball_and_in_the_range(found: Result) -> None:
    records = found.records
    assert records.query("measure == 'perturbation'")["value"].max() < 1 + 1e-4
    assert (records.query("measure == 'out_of_range'")["value"] == 0).all()


@pytest.mark.parametrize("name", ["FGSM", "PGD", "PGDL2", "Margin"])
def test_a_budget_of_zero_leaves_every_decision(found: Result, name: str) -> None:
    for encoder in ("one", "two"):
        assert (values(found.records, "unchanged", encoder, name, 0.0) == 1).all()


def test_a_larger_budget_is_never_weaker(found: Result) -> None:
    for encoder in ("one", "two"):
        for name in ("FGSM", "PGD", "PGDL2", "Margin"):
            budgets = SMALL.budgets(ATTACKS[name])
            points = (("", 0.0), *((name, budget) for budget in budgets))
            curve = [values(found.records, "correct", encoder, *point) for point in points]
            assert all((later <= earlier).all() for earlier, later in pairwise(curve))


def test_more_work_never_finds_less(found: Result) -> None:
    effort = found.records.query("measure == 'effort'")
    effort = effort.assign(attack=effort["condition"].str.partition(":")[0])
    assert set(effort["attack"]) == {"PGD", "Displacement"}
    for _, rows in effort.groupby(["encoder", "attack", "image"]):
        assert (rows.sort_values("sample")["value"].diff().dropna() >= 0).all()


def test_single_attempts_do_more_with_more_budget_and_steps_and_begin_elsewhere(scenes: ImageSet) -> None:
    """What the two tests above see is the strongest of several attempts, which cannot grow weaker."""
    chosen = Adversarial(images=100, training=300)
    one = study(scenes, chosen)
    images = one.victims.images[one.right]
    for entry, budgets in (
        (ATTACKS["PGD"], (0.5, 2.0)),
        (ATTACKS["Margin"], (0.5, 2.0)),
        (ATTACKS["PGDL2"], (0.1, 0.5)),
    ):
        attempted = partial(one.attempt, entry)
        weak, brief, strong, again = (
            attempted(budget, steps=steps, again=start)
            for budget, steps, start in ((budgets[0], 8, 0), (budgets[1], 1, 0), (budgets[1], 8, 0), (budgets[1], 8, 1))
        )
        assert strong.strength.mean() > weak.strength.mean()
        assert strong.strength.mean() > brief.strength.mean()
        assert not torch.equal(strong.images, again.images)
        for found in (brief, strong, again):
            assert found.images.min() >= 0
            assert found.images.max() <= 1
            assert reached(found.images, images, entry.norm) <= budgets[1] / entry.scale + 1e-5


def test_an_attack_does_what_noise_does_not(found: Result) -> None:
    for encoder in ("one", "two"):
        moved = {c: values(found.records, "relative_displacement", encoder, c, 8.0) for c in ("Displacement", "noise")}
        assert moved["Displacement"].median() > 3 * moved["noise"].median()
        attacked, random = (values(found.records, "correct", encoder, c, 8.0) for c in ("PGD", "noise"))
        assert attacked.mean() < random.mean()


def test_adversaries_of_another_network_do_not_beat_an_encoders_own(found: Result) -> None:
    for encoder, source in (("one", "two"), ("two", "one")):
        transferred = values(found.records, "transferred", encoder, source, 2.0)
        own = values(found.records, "correct", encoder, "PGD", 2.0)
        assert own.loc[transferred.index].mean() <= transferred.mean()


def independent_pgd(model, images, labels, eps, steps):
    """Madry et al. 2018, written without the probe: the last step, in float32."""
    moved = (images + torch.empty_like(images).uniform_(-eps, eps)).clamp(0, 1)
    for _ in range(steps):
        moved.requires_grad_()
        F.cross_entropy(model(moved), labels, reduction="sum").backward()
        step = moved.detach() + 2.5 * eps / steps * moved.grad.sign()
        moved = torch.min(torch.max(step, images - eps), images + eps).clamp(0, 1).detach()
    return model(moved).argmax(1) == labels


def test_an_independent_pgd_finds_the_same_robust_accuracy(scenes: ImageSet) -> None:
    chosen = Adversarial(images=200, training=200, attack_steps=10)
    one = study(scenes, chosen)
    victims, classifier = one.victims[one.right], one.target.classifier
    assert classifier is not None
    assert victims.labels is not None
    for budget in (1.0, 2.0, 4.0, 8.0):
        images = craft(ATTACKS["PGD"], one.target, victims, budget, steps=10, seed=0)
        mine = one.target.predict(one.target.represent(images)) == victims.labels
        torch.manual_seed(1)
        theirs = independent_pgd(
            lambda x: classifier.logits(one.target.encoder(x)["backbone"]), victims.images, victims.labels,
            budget / 255, 10,
        )  # fmt: skip
        share = theirs.double().mean()
        error = (share * (1 - share) / len(theirs)).sqrt().clamp(min=1 / len(theirs))
        assert abs(mine.double().mean() - share) <= 2 * error


def test_autoattack_beats_every_one_of_its_parts(scenes: ImageSet) -> None:
    chosen = Adversarial(
        images=20, training=100, attacks=("AutoAttack", "PGD"), eps=(4.0, 16.0), attack_steps=5, checked=4
    )
    records = measured(PROBE, [network("one", seed=1)], scenes, chosen).records
    for budget in chosen.eps:
        strongest, pgd = (values(records, "correct", "one", attack, budget) for attack in chosen.attacks)
        assert (strongest <= pgd).all()
    assert records.query("measure == 'perturbation'")["value"].max() < 1 + 1e-4
    effort = records.query("measure == 'effort'")["condition"]
    assert effort.str.startswith("PGD").all()  # it takes no steps of which one could take more


def test_the_parts_of_autoattack_are_those_of_its_paper_and_each_run_starts_elsewhere() -> None:
    model = network("one", seed=1)
    torch.manual_seed(0)
    one, other = (ATTACKS["AutoAttack"].build(model, 1 / 255, 5, 10) for _ in range(2))
    parts = {type(part).__name__: part for part in one.attacks}
    assert list(parts) == ["APGD", "APGDT", "FAB", "Square"]
    assert {parts[name].steps for name in ("APGD", "APGDT", "FAB")} == {100}
    assert parts["Square"].n_queries == 5000
    assert len({part.seed for attack in (one, other) for part in attack.attacks}) == 2


@pytest.mark.parametrize("name, lower", [("PGD", True), ("FGSM", False)])
def test_only_attacks_that_take_steps_compute_in_lower_precision(
    monkeypatch: pytest.MonkeyPatch, scenes: ImageSet, name: str, lower: bool
) -> None:
    chosen = Adversarial(images=20, training=40)
    one = study(scenes, chosen)
    monkeypatch.setattr("rcdm_core.precision.matrix_precision", lambda _: torch.bfloat16)
    seen = []
    one.target.encoder.trunk.register_forward_pre_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    craft(ATTACKS[name], one.target, one.victims[:2], 1.0, steps=1, seed=0)
    assert set(seen) == {lower}


def test_autoattack_asks_for_classes() -> None:
    check_classes(ATTACKS["AutoAttack"], 4)
    with pytest.raises(UserError, match="use --attack PGD"):
        check_classes(ATTACKS["AutoAttack"], 3)


def test_the_label_free_attack_reaches_the_farthest_point_of_a_linear_encoder() -> None:
    target, weight = linear()
    images = middling(4)
    victims = Victims(images, None, target.represent(images))
    moved = craft(ATTACKS["Displacement"], target, victims, 2.0, steps=10, seed=0)
    farthest = 2 / 255 * weight.abs().sum().double()
    assert target.scale.displacement(target.represent(moved), victims.h) == pytest.approx(farthest.item(), rel=0.01)


def test_the_targeted_attack_goes_towards_another_image_as_far_as_the_ball_allows() -> None:
    target, weight = linear()
    images = middling(4)
    h = target.represent(images)
    away = torch.tensor([[40.0], [-40.0], [80.0], [-80.0]])
    victims = Victims(images, None, h, goals=h + away)
    moved = target.represent(craft(ATTACKS["Toward"], target, victims, 2.0, steps=20, seed=0))
    expected = (2 / 255 * weight.abs().sum() / away.abs().flatten()).numpy()
    assert covered(moved, h, h + away).numpy() == pytest.approx(expected, rel=0.01)
    assert target.strength(moved, victims).numpy() == pytest.approx(expected, rel=0.01)


def test_of_no_way_no_share_is_covered() -> None:
    h = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    goals = torch.stack([h[0], h[1] * (1 + 1e-7), h[0]])
    for at in (h, h + 0.01):
        shares = covered(at, h, goals)
        assert shares.isnan().tolist() == [True, True, False]
        assert abs(shares[2]) < 0.1


def test_an_image_whose_goal_is_its_copy_has_no_record_of_the_way_to_it(scenes: ImageSet) -> None:
    chosen = replace(SMALL, images=40, training=100, checked=40, attacks=("Toward",), eps=(2.0,), attack_steps=2)
    whole = study(scenes, chosen)
    goals, entry = whole.victims.h.roll(-1, 0), ATTACKS["Toward"]
    goals[4] = whole.victims.h[4]
    whole = replace(whole, victims=replace(whole.victims, goals=goals))
    found = whole.attack(entry)
    assert torch.equal(found[2.0].images[4], whole.victims.images[4])
    for told in (_noise_records(whole), _attack_records(whole, entry, found), effort_records(whole, entry, found)):
        table = pd.concat(told)
        kept = table[table["measure"].isin(["covered", "effort"])]
        assert kept["value"].between(-1, 1).all()
        assert set(kept["image"]) == set(np.delete(whole.positions, 4))


def test_a_targeted_attack_covers_more_of_the_way_than_noise(found: Result) -> None:
    for _, rows in found.tables["towards"].groupby("encoder"):
        attack, random = (
            rows[rows["condition"] == name].set_index("strength")["covered"] for name in ("Toward", "noise")
        )
        assert (attack > random + 0.05).all()


def test_shrinking_steps_on_the_margin_find_no_less_than_equal_ones_on_the_cross_entropy(found: Result) -> None:
    for encoder in ("one", "two"):
        for budget in SMALL.eps:
            margins, plain = (
                values(found.records, "correct", encoder, name, budget).mean() for name in ("Margin", "PGD")
            )
            assert margins <= plain


def test_displacement_is_judged_by_the_attack_that_maximises_it(found: Result) -> None:
    assert SMALL.decider.name == "PGD"
    assert SMALL.pusher.name == "Displacement"
    gain = found.tables["comparison"].set_index("aspect").loc["displacement"]
    both = [
        {name: values(found.records, "relative_displacement", encoder, "Displacement", name) for name in SMALL.eps}
        for encoder in ("one", "two")
    ]
    right = [values(found.records, "correct", encoder, "", 0.0) == 1 for encoder in ("one", "two")]
    reference, own = (pd.DataFrame(side).mean(axis=1)[right[0] & right[1]] for side in both)
    assert gain["gain"] == pytest.approx((reference - own).median())


def test_the_unit_is_that_of_images_that_nobody_attacks(scenes: ImageSet) -> None:
    one = study(scenes, Adversarial(images=100, training=300))
    others = opened(PROBE, network("one", seed=1), scenes, Adversarial(images=100, training=300))
    expected = Scale.of(others.represent(split(others)[1])["backbone"], 0)
    assert one.target.scale.units == expected.units
    assert 0 < one.target.scale.errors[0] < 0.1


def test_the_error_of_the_units_is_in_the_intervals(found: Result) -> None:
    wider = replace(found, records=found.records.copy())
    of_units = wider.records["measure"] == "unit_error"
    assert of_units.sum() == 4
    wider.records.loc[of_units, "value"] = 0.5
    for table, name in (
        ("robustness", "relative_displacement"),
        ("robustness", "whitened_displacement"),
        ("comparison", "gain"),
    ):
        was, now = (one.tables[table].dropna(subset=[name]) for one in (found, wider))
        if table == "robustness":
            was, now = (one[one["strength"] > 0] for one in (was, now))
            assert (now[f"{name}_high"] - now[name] >= 0.97 * now[name]).all()
        else:
            was, now = (one[one["aspect"].isin(["displacement", "whitened"])] for one in (was, now))
        assert (now[f"{name}_low"] < was[f"{name}_low"]).all()
        assert (now[f"{name}_high"] > was[f"{name}_high"]).all()


def test_distances_of_classes_by_hand() -> None:
    h, labels = torch.tensor([[0.0], [1.0]]), torch.tensor([0, 1])
    others, theirs = torch.tensor([[0.0], [5.0], [7.0], [9.0]]), torch.tensor([0, 1, 1, 1])
    assert to_other_classes(h, labels, others, theirs).tolist() == [7.0, 1.0]
    assert to_other_classes(h[:1], labels[:1], others[:1], theirs[:1]).isnan().all()


def test_an_untrained_encoder_stands_beside_and_is_its_own_floor(scenes: ImageSet) -> None:
    fresh = load_encoder("supervised", weights="random")
    chosen = Adversarial(
        images=40, training=100, attacks=("Margin", "Displacement"), checked=4, attack_steps=2, eps=(2.0,), floor=30
    )
    result = measured(PROBE, [network("one", seed=1), fresh], scenes, replace(chosen, reference="one"))
    table = result.tables["stakes"].set_index(["encoder", "weights"])
    assert set(table.index) == {("one", "trained"), ("supervised", "trained"), ("supervised", "untrained")}
    own, floor = (table.loc[("supervised", weights)] for weights in ("trained", "untrained"))
    assert own["gain"] == 0
    for name in ("accuracy", "displacement", "class_distance", "of_class"):
        assert own[name] == floor[name]
    reason = nothing_lost(result, "displacement", "supervised", "supervised")
    assert "the architecture of supervised, untrained, moves as little" in reason
    assert nothing_lost(result, "displacement", "supervised", "one") == ""
    assert floorless(result) == ["one"]
    assert result.names["floorless"] == "one"


def test_the_smallest_budget_of_a_linear_classifier_is_its_margin() -> None:
    target, weight = linear()
    images = middling(6)
    h = target.represent(images)
    target = linear(float(h.median()))[0]
    labels = target.predict(h)
    victims = Victims(images, labels, h)
    budgets = (1.0, 4.0, 16.0)
    found = [(b, target.look(craft(ATTACKS["PGD"], target, victims, b, steps=10, seed=0), victims)) for b in budgets]
    assert target.classifier is not None
    distance = -margin(target.classifier.logits(h), labels) / 2  # to where both classes are equal
    expected = (255 * distance / weight.abs().sum()).double().numpy()
    smallest = smallest_budget(target, victims, found, halvings=10).numpy()
    within = expected < 15
    assert within.any()
    assert smallest[within] == pytest.approx(expected[within], rel=0.05, abs=0.002)
    assert np.isinf(smallest[expected > 17]).all()


@pytest.mark.parametrize("flipped, told", [(10, "≥ 4 [≥ 4, ≥ 4]"), (21, "N [N, ≥ 4]"), (40, "N [N, N]")])
def test_a_number_beyond_the_largest_budget_is_told_to_be(found: Result, flipped: int, told: str) -> None:
    of_one = {"encoder": "one", "condition": "Margin"}
    smallest = np.where(np.arange(40) < flipped, np.linspace(0.5, 3.9, 40), np.inf)
    rows = [records("correct", np.ones(40), range(40), strength=4.0, **of_one)]
    result = replace(found, records=join([*rows, records("smallest_budget", smallest, range(40), **of_one)]))
    assert re.sub(r"\d\.\d\d", "N", printed_budgets(result)["median"].item()) == told
    ends = result.tables["budgets"][["budget", "budget_low", "budget_high"]].to_numpy()
    assert np.isinf(ends).sum() == told.count("≥")


@given(st.sampled_from(["Linf", "L2"]), st.floats(0, 1), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_noise_stays_in_its_ball_and_belongs_to_the_image(norm: str, eps: float, seed: int) -> None:
    images = middling(3)
    moved = noise(images, norm, eps, seed=seed, numbers=[4, 5, 6])
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert reached(moved, images, norm) <= eps + 1e-6
    assert torch.equal(moved[1:2], noise(images[1:2], norm, eps, seed=seed, numbers=[5]))


def test_attacked_and_training_images_are_different_ones(scenes: ImageSet) -> None:
    run = opened(PROBE, network("one", seed=1), scenes, Adversarial(images=500, training=3000))
    attacked, training = split(run)
    assert len(attacked) == 200  # half of the data at most
    assert len(training) == 200
    assert not set(attacked) & set(training)


def test_the_classifier_is_found_again_and_never_sees_a_missing_class(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = torch.from_numpy(rng.integers(0, 3, 300))
    h = torch.nn.functional.one_hot(labels, 5).float() * 3 + torch.from_numpy(rng.normal(size=(300, 5))).float()
    first = train_classifier(h, labels, 4, cache=tmp_path)
    again = train_classifier(h, labels, 4, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    assert torch.equal(first.weight, again.weight)
    assert first.held_out_accuracy == again.held_out_accuracy > 0.8
    assert (first.logits(h).argmax(1) != 3).all()
    train_classifier(h, labels.flip(0), 4, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(UserError, match="all of one class"):
        train_classifier(h, torch.zeros(300, dtype=torch.long), 4)


def test_an_interrupted_measurement_goes_on_and_gives_the_same(scenes: ImageSet, tmp_path: Path) -> None:
    chosen = Adversarial(images=40, training=100, checked=8, attack_steps=4, eps=(2.0, 8.0))
    run = partial(measured, PROBE, [network("one", seed=1)], scenes, chosen, workdir=tmp_path)
    whole = run().records
    kept = sorted(tmp_path.iterdir())
    assert kept
    kept[0].unlink()
    made = {path: path.stat().st_mtime_ns for path in kept[1:]}
    pd.testing.assert_frame_equal(run().records, whole)
    assert {path: path.stat().st_mtime_ns for path in kept[1:]} == made


def test_labels_that_are_not_there_are_asked_for(tmp_path: Path, scenes: ImageSet) -> None:
    from PIL import Image

    for number, image in enumerate(scenes.images(range(24))):
        pixels = (image.permute(1, 2, 0).numpy() * 255).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    photos = load_data(tmp_path, image_size=32)
    one, two = network("one", seed=1), network("two", seed=2)
    with pytest.raises(UserError, match="--attack Displacement"):
        measured(PROBE, [one, two], photos, Adversarial(images=20))
    settings = Adversarial(images=20, attacks=("Displacement",), attack_steps=3, checked=4)
    records = measured(PROBE, [one, two], photos, settings).records
    told = {
        "relative_displacement", "whitened_displacement", "unit_error", "cosine", "perturbation", "out_of_range",
        "effort", "change", "foretold",
    }  # fmt: skip
    assert set(records["measure"]) == told


class Veiled(nn.Module):
    """A network whose gradients do not tell what it does: behind rounding, or for a branch that is cut off."""

    def __init__(self, trunk: nn.Module, how: str) -> None:
        super().__init__()
        self.trunk, self.how = trunk, how

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        match self.how:
            case "rounded":
                return self.trunk((255 * images).round() / 255)
            case "half":
                return self.trunk(images) / 2 + self.trunk(images.flip(-1).detach()) / 2
            case "nothing":
                return self.trunk(images.detach())
            case _:
                return self.trunk(images)


def veiled(how: str) -> Encoder:
    trunk = Veiled(network("plain", seed=1).trunk, how)
    return Encoder(how, preprocess=nn.Identity(), trunk=trunk, projector=None, dimensions={"backbone": 64}, is_ssl=True)


@pytest.mark.parametrize("attack", ["PGD", "Margin", "Displacement"])
def test_an_attack_that_is_blind_is_seen_to_be(scenes: ImageSet, attack: str) -> None:
    chosen = Adversarial(images=60, training=120, checked=48, attack_steps=4, attacks=(attack,), eps=(4.0,))
    result = measured(PROBE, [veiled(how) for how in ("plain", "rounded", "half")], scenes, chosen)
    gradients = result.tables["gradients"].set_index("encoder")
    assert gradients.loc["plain", "without"] == 0
    assert gradients.loc["plain", "error"] < 0.1
    assert gradients.loc["plain", "beyond_noise_low"] > 0
    assert gradients.loc["rounded", "without"] == 1
    assert gradients.loc["half", "without"] == 0
    assert gradients.loc["half", "error"] > ERRING
    found = doubts(result, attack)
    assert set(found) == {"rounded", "half"}
    assert "gradient of its loss vanishes on 100% of the images" in found["rounded"]


class Scaled(nn.Module):
    """A network whose representations are so many times as large."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.trunk, self.factor = network("plain", seed=1).trunk, factor

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.trunk(images) * self.factor


@pytest.mark.parametrize("factor", [1e-22, 1e22])
def test_gradients_of_the_displacement_are_seen_however_an_encoder_scales(scenes: ImageSet, factor: float) -> None:
    chosen = Adversarial(images=40, training=100, attack_steps=2, attacks=("Displacement",), eps=(4.0,))
    both = [
        Encoder(name, preprocess=nn.Identity(), trunk=Scaled(by), projector=None, dimensions={"backbone": 64},
                is_ssl=True)
        for name, by in (("plain", 1.0), ("scaled", factor))
    ]  # fmt: skip
    result = measured(PROBE, both, scenes, chosen)
    gradients = result.tables["gradients"].set_index("encoder")
    assert (gradients["without"] == 0).all()
    assert (gradients["error"] < 0.01).all()
    assert not doubts(result, "Displacement")


def test_an_encoder_without_gradients_is_refused_before_anything_is_computed(scenes: ImageSet) -> None:
    with pytest.raises(UserError, match="gradients do not pass through nothing"):
        measured(PROBE, [network("one", seed=1), veiled("nothing")], scenes, SMALL)


@pytest.mark.parametrize(
    "wrong, says",
    [
        ({"attacks": ("PDG",)}, "did you mean PGD"),
        ({"attacks": ()}, "no attack"),
        ({"eps": (2.0, 1.0)}, "each larger than the last"),
        ({"eps": (0.0, 1.0)}, "above 0"),
        ({"images": 3}, "images: 3: take at least 20"),
        ({"restarts": 0}, "restarts: 0: take at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        Adversarial(**wrong)


def test_encoders_drawn_at_several_sizes_stand_in_one_panel() -> None:
    samples = {name: {"untouched": torch.rand(3, side, side)} for name, side in (("small", 32), ("large", 128))}
    panel = drawn_panel(1, samples, torch.rand(3, 64, 64))
    assert panel.images.shape == (2, 2, 3, 128, 128)


def test_what_torchattacks_leaves_to_be_collected_holds_no_images(scenes: ImageSet) -> None:
    def held() -> int:
        tensors = [one for one in gc.get_objects() if type(one) is torch.Tensor and not one.is_nested]
        return sum(one.shape == victims.images.shape for one in tensors)

    one = study(scenes, SMALL)
    victims = one.victims_of(ATTACKS["Margin"], 7)
    gc.collect()
    gc.disable()
    try:
        before = held()
        found = [craft(ATTACKS["Margin"], one.target, victims, 1.0, steps=1, seed=0) for _ in range(3)]
        assert held() == before + len(found)
    finally:
        gc.enable()


def test_images_that_are_attacked_in_blocks_give_the_records_of_all_at_once(
    scenes: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = replace(SMALL, images=60, training=100, attacks=("FGSM", "Displacement"), rendered=0, attack_steps=2)
    networks = [network("one", seed=1, is_ssl=False), network("two", seed=2)]
    whole = measured(PROBE, networks, scenes, chosen).records
    monkeypatch.setattr("probes.adversarial.measurement.HELD", 25 * 12 * 32**2)
    blocks = measured(PROBE, networks, scenes, chosen).records
    key = ["measure", "encoder", "condition", "strength", "image", "sample"]
    whole, blocks = (records.sort_values(key).reset_index(drop=True) for records in (whole, blocks))
    pd.testing.assert_frame_equal(blocks.drop(columns="value"), whole.drop(columns="value"))
    same = ~whole["condition"].str.startswith(("Displacement", "Margin"))  # whose random start belongs to the batch
    pd.testing.assert_frame_equal(blocks[same], whole[same], rtol=1e-4, atol=1e-5)
