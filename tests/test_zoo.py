"""The zoo: how it is trained, what ships, and that what ships does what its card says."""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from lightly.loss import DINOLoss
from safetensors.torch import load_file, save_file

from probes.adversarial import Adversarial
from rcdm_core.data.scenes import CIRCULAR, LINEAR, Scenes
from rcdm_core.encoders import EMBEDDED, load_encoder
from rcdm_core.encoders.embedded import WholeImageConvolution, load_trained, preprocessing, projector
from rcdm_core.errors import UserError
from rcdm_core.fidelity import fidelity_scores
from rcdm_core.rcdm import load_rcdm
from rcdm_core.training import TrainingSettings
from rcdm_core.training_images import scene_indices
from rcdm_core.zoo import recipes
from rcdm_core.zoo.evaluate import Evaluation, evaluate_zoo, reading_scores, readout_scores
from rcdm_core.zoo.files import Workshop
from rcdm_core.zoo.judge import load_judge, targets
from rcdm_core.zoo.methods import (
    NOISE,
    STUDENT_TEMPERATURE,
    TEACHER_TEMPERATURE,
    Pairs,
    balanced_distillation,
    build_method,
)
from rcdm_core.zoo.recipes import PARTS
from rcdm_core.zoo.train import _rows, train_zoo

WEIGHTS = files("rcdm_core.zoo") / "weights"


def test_each_pass_shows_every_garment_once_with_new_factors():
    size = 600
    first = np.concatenate([scene_indices(step, size, seed=0) for step in range(100)])
    second = np.concatenate([scene_indices(step, size, seed=0) for step in range(100, 200)])
    assert sorted(first) == list(range(60_000))
    assert sorted(second) == list(range(60_000, 120_000))
    assert not np.array_equal(second - 60_000, first)
    assert np.array_equal(scene_indices(7, size, seed=0), first[7 * size : 8 * size])


@pytest.fixture(scope="module")
def zoo(tmp_path_factory, garments_folder):
    """Folder of a whole zoo, each part of it trained for a step, or in a phase two."""
    folder, brief = tmp_path_factory.mktemp("zoo"), {"steps": 1, "batch_size": 8, "warmup": 1}
    with pytest.MonkeyPatch.context() as patch:
        for side, settings in recipes.PHASES.items():
            patch.setitem(recipes.PHASES, side, replace(settings, **brief | {"steps": 1 + (side == 32)}))
        patch.setattr(recipes, "JUDGE", replace(recipes.JUDGE, **brief))
        patch.setattr(recipes, "RCDM", replace(recipes.RCDM, **brief))
        patch.setattr("rcdm_core.zoo.train.MOMENTS", 60)
        patch.setattr("rcdm_core.zoo.train.SETTLING", 2)
        train_zoo(Workshop(folder=folder, garments=garments_folder))
    return folder


@pytest.mark.parametrize("name", recipes.ENCODERS)
def test_a_method_trains_and_its_encoder_is_what_it_trained(name, zoo):
    encoder = load_trained(name, zoo)
    assert {level: h.shape[1] for level, h in encoder(Scenes()[range(4)]).items()} == encoder.dimensions
    method = build_method(name)
    method.load_state_dict(torch.load(zoo / f"{name}-32" / "checkpoint.pt", weights_only=True)["network"])
    for key, trained in method.encoder.named_parameters():
        assert torch.allclose(encoder.get_parameter(key), trained, atol=1e-3, rtol=1e-3), key  # float16 on disk


def test_every_encoder_is_trained_alike(zoo):
    trainings = [json.loads((zoo / f"{name}.json").read_text())["training"] for name in recipes.ENCODERS]
    told = [[[leg[key] for key in ("images", "view", "noise", "settings")] for leg in one["legs"]] for one in trainings]
    assert [leg[:2] for leg in told[0]] == [[8, 16], [8, 24], [16, 32]]
    assert all(legs == told[0] for legs in told)


def test_a_phase_sees_other_scenes_than_those_before():
    settings = TrainingSettings(steps=3, batch_size=16, learning_rate=1e-3)
    seen = [set(_rows(before, settings, step)) for before in (0, 3) for step in range(3)]
    assert len(set.union(*seen)) == 6 * 16


def test_another_seed_is_another_zoo_in_a_folder_of_its_own(zoo, garments_folder):
    with pytest.raises(UserError, match="holds a training of seed 0"):
        train_zoo(Workshop(folder=zoo, seed=1, garments=garments_folder), ["vicreg"])


@pytest.mark.parametrize("side", recipes.PHASES)
def test_the_noise_of_a_view_is_within_every_budget_of_an_attack(side):
    torch.manual_seed(0)
    plain = torch.full((50, 3, 32, 32), 0.5)  # what the other parts of a view leave plain
    seen = Pairs(side)(plain)
    change = seen - seen.mean(dim=(2, 3), keepdim=True)
    budgets = Adversarial()
    assert 0.9 * NOISE < change.abs().max() < min(budgets.eps) / 255
    assert change.square().sum(dim=(1, 2, 3)).sqrt().max() * 32 / side < min(budgets.eps_l2)


@pytest.mark.parametrize("name", ["supervised", "barlow", "dino"])
def test_a_settled_encoder_has_the_statistics_of_whole_scenes(name):
    method, images = build_method(name), preprocessing()(Scenes()[range(128)])
    method.settle([images])
    network = torch.nn.Sequential(*method.encoder.values())
    with torch.no_grad():
        settled = network(images)
        of_the_batch = network.train()(images)
    assert torch.allclose(settled, of_the_batch, atol=0.05)


def _as_convolution(layer):
    plain = torch.nn.Conv2d(layer.in_channels, layer.out_channels, 3, layer.stride, padding=1, bias=False)
    plain.weight = layer.weight
    return plain


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [2, 3, 4, 5])
def test_a_product_with_all_pixels_is_the_convolution(side, stride):
    whole = WholeImageConvolution(6, 8, 3, stride=stride, padding=1, bias=False)
    x = torch.randn(5, 6, side, side, requires_grad=True)
    gradients = []
    for layer in (whole, _as_convolution(whole)):
        y = layer(x)
        gradients.append((y, *torch.autograd.grad(y.square().sum(), [x, layer.weight])))
    for mine, theirs in zip(*gradients, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def test_the_product_follows_frozen_weights_that_are_changed_after_all():
    layer, x = WholeImageConvolution(6, 8, 3, padding=1, bias=False).requires_grad_(False), torch.randn(5, 6, 4, 4)
    with torch.inference_mode():
        layer(x)

    def check(x):
        assert torch.allclose(layer(x), _as_convolution(layer)(x), atol=1e-5)

    check(x)
    layer.weight.mul_(2)
    check(x)
    layer.load_state_dict({"weight": torch.randn(8, 6, 3, 3)})
    check(x)
    layer.load_state_dict({"weight": torch.randn(8, 6, 3, 3)}, assign=True)
    check(x)
    layer.requires_grad_(False).double()
    check(x.double())
    moved = copy.deepcopy(layer)
    moved.weight.mul_(3)
    assert torch.allclose(moved(x.double()), 3 * layer(x.double()), atol=1e-5)
    images = x.double().requires_grad_()
    assert torch.autograd.grad(layer(images).sum(), images)[0].abs().sum() > 0  # as an attack asks for it


@pytest.mark.parametrize("name", recipes.ENCODERS)
def test_training_can_begin_with_the_weights_that_ship(name):
    method = build_method(name)
    method.begin_with(load_file(WEIGHTS / f"{name}.safetensors"))
    shipped = load_encoder(name).state_dict()
    for key, tensor in method.encoder.state_dict().items():
        assert torch.equal(tensor, shipped[key]), key


def test_the_teacher_follows_the_student_by_a_tenth_of_the_way_at_every_step():
    method = build_method("dino")
    before = method.teacher_trunk.conv1.weight.clone()
    with torch.no_grad():
        method.trunk.conv1.weight += 1
    method.after_step()
    assert torch.allclose(method.teacher_trunk.conv1.weight - before, torch.tensor(0.1), atol=1e-5)


def test_dinos_loss_is_larger_where_all_scenes_are_projected_to_one_place():
    torch.manual_seed(0)
    method, batch = build_method("dino"), (preprocessing()(Scenes()[range(16)]), torch.zeros(16).long())
    with torch.no_grad():
        apart = method(batch)
        method.head.layers[-1].weight *= 1e-6
        method.head.layers[-1].bias += 1
        assert method(batch) > apart + 1


def _circulant(size: int, seed: int) -> torch.Tensor:
    """Logits of which every output has its share: each row is the one before, moved on by one."""
    row = torch.randn(size, generator=torch.Generator().manual_seed(seed))
    return torch.stack([row.roll(i) for i in range(size)]) / 10


def test_balanced_distillation_is_lightlys_dino_loss_where_outputs_are_balanced_already():
    teacher = [_circulant(12, seed) for seed in (0, 1)]
    student = [torch.randn(12, 12, generator=torch.Generator().manual_seed(seed)) for seed in range(2, 6)]
    theirs = DINOLoss(12, teacher_temp=TEACHER_TEMPERATURE, student_temp=STUDENT_TEMPERATURE)(teacher, student)
    assert torch.allclose(balanced_distillation(teacher, student), theirs, rtol=1e-5)


def test_balanced_distillation_does_not_follow_a_teacher_that_prefers_one_prototype():
    teacher = [_circulant(12, seed) for seed in (0, 1)]
    preferred = [view + 0.2 * (torch.arange(12) == 3) for view in teacher]
    indifferent = [torch.zeros(12, 12)] * 2
    follower = [0.2 * (torch.arange(12) == 3).expand(12, 12)] * 2
    assert balanced_distillation(preferred, follower) > balanced_distillation(preferred, indifferent)
    centred_at_nought = DINOLoss(12)
    assert centred_at_nought(preferred, follower) < centred_at_nought(preferred, indifferent)


def test_the_whole_zoo_trains_and_what_it_writes_loads(zoo):
    rcdm = load_rcdm(zoo / "rcdm")
    for name in recipes.DRAWN:
        encoder = load_trained(name, zoo)
        assert rcdm.card["encoders"][name] == encoder.fingerprint
        for level, h in encoder(Scenes()[range(2)]).items():
            assert torch.isfinite(rcdm.sample(h, f"{name}/{level}", steps=1)).all()
    assert {path.stem for path in zoo.glob("*.json")} | {"rcdm"} == set(PARTS)


def test_an_rcdm_goes_on_with_its_heads_and_hands_over_those_of_encoders_that_changed(
    tmp_path, monkeypatch, garments_folder
):
    start, folder = tmp_path / "start", tmp_path / "on"
    shutil.copytree(str(WEIGHTS), start)
    shutil.copytree(start, folder, ignore=shutil.ignore_patterns("rcdm"))
    known = ("simclr", "vicreg")  # of an RCDM that knows no untrained encoder
    card = json.loads((start / "rcdm" / "rcdm.json").read_text())
    card["conditions"] = {name: d for name, d in card["conditions"].items() if name.startswith(known)}
    card["encoders"] = {name: card["encoders"][name] for name in known}
    (start / "rcdm" / "rcdm.json").write_text(json.dumps(card))
    heads = load_file(start / "rcdm" / "heads.safetensors")
    kept = {name: tensor for name, tensor in heads.items() if name.startswith(known)}
    save_file(kept, start / "rcdm" / "heads.safetensors")
    monkeypatch.setattr(recipes, "DRAWN", (*known, "untrained"))
    changed = load_file(start / "vicreg.safetensors")
    changed["trunk.layer4.0.bn2.weight"] = 1.5 * changed["trunk.layer4.0.bn2.weight"]
    save_file(changed, folder / "vicreg.safetensors")
    brief = replace(recipes.RCDM, steps=1, batch_size=16, learning_rate=1e-9, ema_decay=0.0)
    monkeypatch.setattr(recipes, "RCDM", brief)
    monkeypatch.setattr("rcdm_core.zoo.train.MOMENTS", 800)
    train_zoo(Workshop(folder=folder, start=start, garments=garments_folder), ["rcdm"])
    before, after = (load_rcdm(place / "rcdm").denoiser for place in (start, folder))
    assert torch.equal(before.head("simclr/backbone").linear.weight, after.head("simclr/backbone").linear.weight)
    images = Scenes()[range(200)]
    was, now = (
        denoiser.embed([("vicreg/backbone", load_trained("vicreg", place)(images)["backbone"])])
        for denoiser, place in ((before, start), (after, folder))
    )
    assert not torch.equal(before.head("vicreg/backbone").linear.weight, after.head("vicreg/backbone").linear.weight)
    assert (now - was).square().mean() < 0.05 * was.var()
    new = after.embed([("untrained/backbone", load_trained("untrained", folder)(images)["backbone"])])
    assert (new - now).square().mean() < 0.9 * now.var()  # a condition that it was not trained for begins near another
    shipped, told = (load_rcdm(place / "rcdm").card["training"] for place in (start, folder))
    assert told["legs"][:-1] == shipped["legs"]
    assert told["images"] == shipped["images"] + 16

    save_file(changed, start / "vicreg.safetensors")
    with pytest.raises(UserError, match="was trained on another vicreg than the one beside it"):
        train_zoo(Workshop(folder=folder, start=start, garments=garments_folder), ["rcdm"])


def test_one_part_is_measured_alone(tmp_path):
    for name in ("judge.safetensors", "judge.json"):
        shutil.copy(WEIGHTS / name, tmp_path)
    scores = evaluate_zoo(tmp_path, Evaluation(images=500), parts=["judge"])
    assert set(scores["network"]) == {"judge"}
    assert scores.set_index("score")["value"].min() > 0.85
    card = json.loads((tmp_path / "judge.json").read_text())
    assert card["command"].startswith(f"rcdm-probe zoo evaluate judge --folder {tmp_path} --images 500 --samples 1000")
    assert card["scores"]["class"] == scores.set_index("score").loc["class", "value"]
    with pytest.raises(UserError, match="did you mean judge"):
        evaluate_zoo(tmp_path, Evaluation(), parts=["juge"])


def test_unknown_parts_and_missing_starts_are_told(tmp_path):
    with pytest.raises(UserError, match="judge"):
        train_zoo(Workshop(folder=tmp_path), ["juge"])
    with pytest.raises(UserError, match="no weights of judge"):
        train_zoo(Workshop(folder=tmp_path, start=tmp_path), ["judge"])


def test_heads_are_lightlys():
    for name in ("simclr", "vicreg", "barlow", "dino"):
        head = build_method(name).head.layers
        assert repr(head) == repr(projector(name))
    assert projector("supervised") is None


@pytest.mark.parametrize("name", EMBEDDED)
def test_encoders_are_frozen_and_let_gradients_through(name):
    encoder = load_encoder(name)
    assert not any(p.requires_grad for p in encoder.parameters())
    assert not encoder.training
    images = Scenes()[range(2)].requires_grad_()
    encoder(images)[encoder.levels[-1]].sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0
    assert encoder.fingerprint == load_encoder(name).fingerprint


def test_encoders_differ():
    assert len({load_encoder(name).fingerprint for name in EMBEDDED}) == len(EMBEDDED)


def test_the_whole_zoo_is_under_sixty_megabytes():
    sizes = [path.stat().st_size for path in Path(str(WEIGHTS)).rglob("*.safetensors")]
    assert len(sizes) == 9  # six encoders, the judge, U-Net and heads of the RCDM
    assert sum(sizes) < 60e6


def test_unknown_encoders_are_told_the_nearest_name():
    with pytest.raises(UserError, match="vicreg"):
        load_encoder("vikreg")


def test_a_folder_without_weights_says_how_to_train_them(tmp_path):
    with pytest.raises(UserError, match="zoo train"):
        load_trained("vicreg", tmp_path)


def test_targets_come_back_from_the_judge_in_their_own_units():
    scenes = Scenes()
    factors = scenes.factors(range(400))
    read = load_judge().read(scenes[range(400)])
    assert list(read.columns) == list(factors.columns)
    scores = reading_scores(read, factors)
    assert scores["class"] > 0.8
    assert min(scores[name] for name in (*LINEAR, *CIRCULAR)) > 0.75


def test_perfect_readings_score_one_and_shuffled_ones_nothing():
    factors = Scenes().factors(range(500))
    assert all(score == pytest.approx(1, abs=1e-6) for score in reading_scores(factors, factors).values())
    shuffled = factors.sample(frac=1, random_state=0).reset_index(drop=True)
    scores = reading_scores(shuffled, factors)
    assert scores.pop("class") < 0.2
    assert max(scores.values()) < 0


def test_readouts_find_factors_that_are_there_and_only_those():
    factors = Scenes().factors(range(600))
    _, linear, _ = targets(factors)
    h = torch.cat([linear[:, :2], torch.randn(600, 10, generator=torch.Generator().manual_seed(0))], 1)
    scores = readout_scores(h, factors)
    assert scores[LINEAR[0]] > 0.99
    assert scores[LINEAR[1]] > 0.99
    assert all(score < 0.1 for name, score in scores.items() if name not in (*LINEAR[:2], "class"))


def test_fidelity_of_exact_and_of_unrelated_samples():
    h = torch.randn(500, 16, generator=torch.Generator().manual_seed(0))
    assert fidelity_scores(h, h)["MRR"] == 1
    unrelated = fidelity_scores(torch.randn(500, 16, generator=torch.Generator().manual_seed(1)), h)
    assert unrelated["MRR"] < 0.05
    assert 200 < unrelated["mean rank"] < 300
