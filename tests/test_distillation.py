"""Drawing in few steps what an RCDM draws in many."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import DDPMScheduler
from torch import nn
from typer.testing import CliRunner

import rcdm_probe
from rcdm_core.errors import UserError
from rcdm_core.rcdm import load_rcdm
from rcdm_core.rcdm.diffusion import ReverseProcess, build_schedule, prediction_of, published_schedule
from rcdm_core.rcdm.objective import Distillation, random_draws
from rcdm_core.rcdm.solvers import SOLVERS
from rcdm_core.rcdm_training import distillation_settings
from rcdm_probe import rcdm_training as train_run
from rcdm_probe.cli import app
from rcdm_probe.conduct import prepare
from rcdm_probe.known_probes import load_probe
from rcdm_probe.opening import Asked

SPREAD, CALLS = 0.2, 4  # standard deviation of every pixel of the images; steps
SCHEDULE = build_schedule()
SIGNAL = torch.cat([torch.cumprod(1 - SCHEDULE.betas.double(), 0), torch.ones(1)]).float()  # at -1, of the image


class Known(nn.Module):
    """A network for images whose pixels are normal and independent: what it is to predict has a closed form."""

    def embed(self, groups):
        return torch.zeros(sum(len(h) for _, h in groups), 1)

    def forward(self, noisy, t, embedding):
        t = t.expand(len(noisy))[:, None, None, None]
        return prediction_of(SCHEDULE.config["prediction_type"], self.clean(noisy, t), noisy, SIGNAL[t])


class Teacher(Known):
    """The mean of the images of which these are noisy ones."""

    def clean(self, noisy, t):
        return SIGNAL[t].sqrt() * SPREAD**2 / deviation(t) ** 2 * noisy


class Perfect(Known):
    """By which a single step leads from every point of a stretch to where the path through it ends."""

    def __init__(self):
        super().__init__()
        self.stops = torch.cat([torch.tensor([-1]), ReverseProcess(SCHEDULE, CALLS).timesteps])

    def clean(self, noisy, t):
        end = self.stops[torch.searchsorted(self.stops, t.contiguous()) - 1]
        reached = noisy * deviation(end) / deviation(t)  # paths keep their place in the distribution
        share = ((1 - SIGNAL[end]) / (1 - SIGNAL[t])).sqrt()
        return (reached - share * noisy) / (SIGNAL[end].sqrt() - share * SIGNAL[t].sqrt())


def deviation(t):
    """Of noisy pixels."""
    return (SIGNAL[t] * SPREAD**2 + 1 - SIGNAL[t]).sqrt()


def taught(student: Known, t: torch.Tensor, small: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What a student gives at timesteps, and what it is taught to."""
    learner = Distillation(student, Teacher(), SCHEDULE, calls=CALLS, small=small)
    noisy = deviation(t)[:, None, None, None] * torch.randn(len(t), 3, 4, 4, generator=torch.Generator().manual_seed(0))
    target = learner.target(noisy, t, [("an/encoder", torch.zeros(len(t), 2))])
    return student.clean(noisy, t[:, None, None, None]), target


def test_a_perfect_student_is_taught_what_it_gives():
    t = torch.arange(40, 980, 7)

    def error(student: Known, small: int) -> float:
        given, target = taught(student, t, small)
        return (given - target).square().mean().item()

    assert error(Perfect(), 1000) < 1e-9
    assert error(Perfect(), 64) < 1e-6
    assert error(Teacher(), 64) > 10 * error(Perfect(), 64)  # one step does not do where nothing was distilled


def test_a_perfect_student_draws_in_few_steps_what_the_teacher_draws_in_many():
    assert spread_of(Perfect()) == pytest.approx(SPREAD, rel=0.02)
    assert spread_of(Teacher(), 100) == pytest.approx(SPREAD, rel=0.03)
    assert spread_of(Teacher()) < 0.9 * SPREAD


class Scaled(Known):
    """A student that can be taught: what it sees is the noisy image times a number, one for every 10 timesteps."""

    def __init__(self):
        super().__init__()
        t = torch.arange(5, 1000, 10)
        self.scale = nn.Parameter(SIGNAL[t].sqrt() * SPREAD**2 / deviation(t) ** 2)

    def clean(self, noisy, t):
        return self.scale[t // 10] * noisy


@pytest.mark.parametrize("schedule", [SCHEDULE, published_schedule()], ids=["velocity", "noise"])
def test_a_student_comes_to_draw_what_the_teacher_draws_in_many_steps(schedule, monkeypatch):
    monkeypatch.setitem(globals(), "SCHEDULE", DDPMScheduler.from_config(schedule.config, timestep_spacing="trailing"))
    signal = torch.cat([torch.cumprod(1 - schedule.betas.double(), 0), torch.ones(1)]).float()
    monkeypatch.setitem(globals(), "SIGNAL", signal)
    student = Scaled()
    learner = Distillation(student, Teacher(), SCHEDULE, calls=CALLS)
    adam = torch.optim.Adam(student.parameters(), lr=1e-2)
    before = spread_of(student)
    for step in range(400):
        draws = random_draws(step, slice(0, 64), batch_size=64, image_size=4, seed=0)
        images = (SPREAD * torch.randn(64, 3, 4, 4, generator=torch.Generator().manual_seed(step)) + 1) / 2
        learner((images, [("an/encoder", torch.zeros(64, 2))], draws)).backward()
        adam.step()
        adam.zero_grad()
    assert before < 0.9 * SPREAD
    assert abs(SPREAD - spread_of(student)) < 0.4 * (SPREAD - before)


def spread_of(network: Known, steps: int = CALLS) -> float:
    """Deviation of what a network draws."""
    noise = torch.randn(2000, 3, 1, 1, generator=torch.Generator().manual_seed(1))

    def predict(x, t):
        return network(x, torch.as_tensor(t), None)

    with torch.no_grad():
        return SOLVERS["ddim"](SCHEDULE, steps, predict, noise, iter(())).std().item()


@pytest.fixture(scope="module")
def quick(tiny_rcdm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small RCDM that was distilled by the command."""
    folder = tmp_path_factory.mktemp("distilled") / "quick"
    sizes = ("--images", 60, "--steps", 3, "--every", 3, "--batch-size", 4, "--looked-at", 4, "--calls", 3)
    words = ["distill", tiny_rcdm, "--data", "scenes", "--out", folder, *sizes]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    assert "drawn in 3 steps" in result.output
    return folder


def test_what_was_distilled_draws_in_its_own_steps_alone(quick: Path, tiny_rcdm: Path) -> None:
    rcdm, h = load_rcdm(quick), torch.randn(2, 384)
    assert rcdm.calls == 3
    assert set(rcdm.conditions) == set(load_rcdm(tiny_rcdm).conditions)
    usual = rcdm.sample(h, "vicreg/backbone")
    assert torch.equal(usual, rcdm.sample(h, "vicreg/backbone", solver="ddim", steps=3))
    for other in ({"steps": 12}, {"solver": "ddpm"}, {"solver": "sde-dpmsolver++", "steps": 3}):
        with pytest.raises(UserError, match="distilled to 3 of ddim"):
            rcdm.sample(h, "vicreg/backbone", **other)
    card = json.loads((quick / "rcdm.json").read_text())
    assert card["training"]["objective"] == "multistep consistency"
    assert card["training"]["began_with"] == load_rcdm(tiny_rcdm).fingerprint


def test_one_of_its_encoders_can_be_left_out_and_no_other_be_had(tiny_rcdm: Path, tmp_path: Path) -> None:
    rcdm = load_rcdm(tiny_rcdm)
    settings = distillation_settings(rcdm, calls=2, every=1, looked_at=2, images=60, steps=1, learning_rate=1e-4)
    with pytest.raises(UserError, match="does not draw from dino"):
        train_run.prepare(Asked(["dino"]), settings, tmp_path / "a")
    with pytest.raises(UserError, match="unknown encoder of --weights 'nosuch'"):
        train_run.prepare(Asked(weights={"nosuch": "random"}), settings, tmp_path / "b")
    with pytest.raises(UserError, match="nothing to distil"):
        replace(settings, start=None)
    with pytest.raises(UserError, match="calls: 65"):
        distillation_settings(rcdm, calls=65, every=1, looked_at=2)


def test_of_an_adapted_head_it_is_told_still_and_the_first_step_is_from_pure_noise(
    tiny_rcdm: Path, tmp_path: Path
) -> None:
    rcdm = load_rcdm(tiny_rcdm)
    stages = {"vicreg/backbone": {"heads": {"MRR": 0.5, "mean rank": 2.0, "gallery": 40}}}
    rcdm.card["adapted"] = stages
    rcdm.schedule = DDPMScheduler.from_config(rcdm.schedule.config, timestep_spacing="linspace")
    settings = distillation_settings(rcdm, calls=2, every=1, looked_at=2, images=60, steps=1, learning_rate=1e-4)
    train_run.conduct(train_run.prepare(Asked(), settings, tmp_path / "out"))
    made = load_rcdm(tmp_path / "out")
    assert made.card["adapted"] == stages
    assert ReverseProcess(made.schedule, 2).timesteps.tolist() == [499, 999]


def test_what_was_distilled_is_no_beginning(quick: Path) -> None:
    for words in (["distill", str(quick)], ["adapt", "--rcdm", str(quick), "-e", "dino"], ["train", "-e", "dino"]):
        data = ["--data", "scenes", "--out", str(quick.parent / words[0])]
        result = CliRunner().invoke(app, [*words, *data, *(["--start", str(quick)] if words[0] == "train" else [])])
        assert result.exit_code == 2
        assert "distilled already" in result.output, words


def test_probes_draw_as_it_was_distilled_and_say_so(quick: Path) -> None:
    found = rcdm_probe.invariance(
        "vicreg", rcdm=quick, images=20, gallery=20, rendered=2, varied=2, samples=2, transformations=("rotation",)
    )
    assert (found.run["arguments"]["solver"], found.run["arguments"]["steps"]) == ("ddim", 3)
    assert "drawn in 3 steps of ddim" in found.run["data_card"]["remarks"][-1]
    sizes = {"images": 20, "gallery": 40, "spread": 0, "compared": 0}
    study = prepare(load_probe("fidelity"), ["vicreg"], rcdm=quick, **sizes)
    assert study.context.settings.swept_images == 0  # there is nothing to compare
