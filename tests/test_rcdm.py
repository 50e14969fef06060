"""The RCDM: shapes, conditioning, solvers, determinism, errors; on a small network and on the one that ships."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel

from rcdm_core.data.scenes import Scenes
from rcdm_core.distances import mean_reciprocal_rank, retrieval_ranks
from rcdm_core.encoders import load_encoder
from rcdm_core.errors import UserError
from rcdm_core.rcdm import (
    DEFAULT_SOLVER,
    DEFAULT_STEPS,
    NETWORKS,
    RCDM,
    SOLVERS,
    load_rcdm,
    network_settings,
    save_rcdm,
)
from rcdm_core.rcdm.diffusion import (
    ReverseProcess,
    build_schedule,
    clean_of,
    prediction_of,
    published_schedule,
    schedule_for,
)
from rcdm_core.rcdm.guidance import FARTHEST, distance_to_h, guided
from rcdm_core.rcdm.heads import GAIN, RepresentationHead, embedded_images
from rcdm_core.rcdm.network import Denoiser, NetworkSettings, build_unet, hand_over_heads
from rcdm_core.rcdm.objective import random_draws, v_prediction_loss
from rcdm_core.rcdm.solvers import timesteps
from rcdm_core.representations import encode

SMALL = NetworkSettings(image_size=16, patch=2, channels=(32, 32), attention=(False, True), attention_width=16)


@pytest.fixture(scope="module")
def small() -> RCDM:
    torch.manual_seed(0)
    return RCDM(Denoiser(SMALL, {"a/backbone": 6, "b/backbone": 9}), schedule=build_schedule())


@pytest.mark.parametrize("image_size", [32, 64])  # attention of 64 places, as plain products, and of 256
@pytest.mark.parametrize("middle_norm", [False, True])
def test_the_network_computes_what_that_of_diffusers_does(image_size: int, middle_norm: bool) -> None:
    torch.manual_seed(0)
    ours = build_unet(NetworkSettings(image_size=image_size, channels=(32, 64), middle_norm=middle_norm))
    theirs = UNet2DModel.from_config(ours.config)
    theirs.load_state_dict(ours.state_dict())
    x, t, embedding = torch.randn(2, 12, image_size // 2, image_size // 2), torch.tensor(300), torch.randn(2, 128)
    loss = {}
    for network in (ours, theirs):
        loss[network] = network(x, t, class_labels=embedding).sample.square().mean()
        loss[network].backward()
    torch.testing.assert_close(loss[ours], loss[theirs], rtol=1e-5, atol=0)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-5)


def test_whitening_evens_out_variances_and_leaves_the_head_as_expressive():
    torch.manual_seed(0)
    deviations = 10.0 ** torch.linspace(-1, 2, 8)
    h = torch.randn(4000, 8) @ torch.diag(deviations) + 5
    head = RepresentationHead(8, 4)
    head.fit(h)
    white = head.whiten(h)
    assert white.square().sum(1).mean() == pytest.approx(8, rel=1e-3)
    covariance = torch.cov(white.T)
    assert (covariance - covariance.diag().diag()).abs().max() < 1e-3
    assert covariance.diag().max() / covariance.diag().min() < deviations.max() ** 2 / deviations.min() ** 2
    assert torch.linalg.matrix_rank(head.whitening.double()) == 8


def test_whitening_forgets_the_units_of_the_representation():
    h = torch.randn(500, 6) @ torch.randn(6, 6)
    heads = [RepresentationHead(6, 4), RepresentationHead(6, 4)]
    heads[0].fit(h)
    heads[1].fit(1000 * h - 7)
    one, other = (h - heads[0].mean) @ heads[0].whitening, (1000 * h - 7 - heads[1].mean) @ heads[1].whitening
    assert torch.allclose(one.abs(), other.abs(), atol=1e-3)


def test_directions_that_hold_nothing_stay_silent():
    h = torch.randn(500, 4) * torch.tensor([1.0, 1.0, 1.0, 1e-4])
    head = RepresentationHead(4, 4)
    head.fit(h)
    assert (head.whiten(h)).std(0).min() < 1e-3


def test_a_head_first_guesses_of_the_image_what_is_in_the_representation():
    targets = embedded_images(Scenes()[range(1500)], 64)
    assert targets.shape == (1500, 64)
    assert torch.allclose(targets.T @ targets / 1500, GAIN**2 * torch.eye(64), atol=1e-2)  # standardised, then turned
    draw = torch.Generator().manual_seed(0)
    noise, mixing = torch.randn(1500, 10, generator=draw), torch.randn(20, 20, generator=draw)
    h = torch.cat([targets[:, :20] @ mixing, noise], 1)
    head = RepresentationHead(30, 64)
    head.fit(h)
    head.guess(h, targets)
    error = (head(h) - targets).square().mean(0) / GAIN**2
    assert error[:20].max() < 0.02  # there: found
    assert head(h)[:, 20:].square().mean() < 0.05 * GAIN**2  # not there: nothing claimed


@torch.no_grad()
def test_a_head_that_is_handed_over_reads_the_new_representation_as_the_old_one():
    torch.manual_seed(0)
    denoiser = Denoiser(SMALL, {"a/backbone": 6, "b/backbone": 9})
    former = 3 + torch.randn(800, 6) * torch.tensor([5.0, 2.0, 1.0, 1.0, 0.5, 0.1])
    now = former @ torch.randn(6, 6) - 7  # all of it is still there, elsewhere
    read, other = denoiser.embed([("a/backbone", former)]), denoiser.head("b/backbone").linear.weight.clone()
    hand_over_heads(denoiser, {"a/backbone": former}, {"a/backbone": now})
    assert torch.allclose(denoiser.embed([("a/backbone", now)]), read, atol=0.01 * read.std().item())
    assert torch.equal(denoiser.head("b/backbone").linear.weight, other)


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_gives_finite_images_and_is_deterministic(small, solver):
    h = torch.randn(3, 6)
    first = small.sample(h, "a/backbone", steps=4, solver=solver, seed=7)
    assert first.shape == (3, 3, 16, 16)
    assert torch.isfinite(first).all()
    assert first.min() >= 0
    assert first.max() <= 1
    assert torch.equal(first, small.sample(h, "a/backbone", steps=4, solver=solver, seed=7))
    assert not torch.equal(first, small.sample(h, "a/backbone", steps=4, solver=solver, seed=8))


def test_equal_noise_and_equal_representation_give_equal_images(small):
    h, noise = torch.randn(1, 6), small.noise(1, seed=3)
    for solver in SOLVERS:  # two of them go on drawing
        pair = small.sample(h.expand(2, -1), "a/backbone", noise=noise.expand(2, -1, -1, -1), steps=3, solver=solver)
        assert torch.allclose(pair[0], pair[1], atol=1e-5)
    assert torch.equal(small.noise(5, seed=3)[:1], noise)


def test_an_image_does_not_depend_on_its_batch(small):
    h = torch.randn(5, 6)
    for solver in ("sde-dpmsolver++", "dpmsolver++", "ddpm"):
        whole = small.sample(h, "a/backbone", steps=3, solver=solver)
        parts = small.sample(h, "a/backbone", steps=3, solver=solver, batch_size=2)
        assert torch.allclose(whole, parts, atol=0.02)  # bfloat16 sums in another order


@pytest.mark.parametrize("schedule", [build_schedule(), published_schedule(), published_schedule(50)])
@pytest.mark.parametrize("steps", [1, 2, DEFAULT_STEPS, 49, 50])
def test_timesteps_fall_from_where_there_is_most_noise_and_come_once_each(schedule, steps):
    chosen = timesteps(schedule, steps)
    assert len(chosen) == steps
    assert chosen[0] == schedule.config["num_train_timesteps"] - 1
    assert (np.diff([*chosen, -1]) < 0).all()


@pytest.mark.parametrize("spacing", ["trailing", "linspace", "leading"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_one_step_is_from_pure_noise(solver, spacing):
    asked, noise = [], torch.randn(1, 3, 8, 8)

    def predict(x, t):
        asked.append(int(t))
        return x

    schedule = DDPMScheduler.from_config(build_schedule().config, timestep_spacing=spacing)
    SOLVERS[solver](schedule, 1, predict, noise, iter(noise[None]))
    assert asked == [999]


def test_noise_levels_do_not_depend_on_the_schedule():
    """The share of noise at each timestep, of two schedules that have them at very different ones."""
    shares = [
        (1 - torch.cumprod(1 - schedule.betas.double(), 0))[timesteps(schedule, 6)].sqrt()
        for schedule in (build_schedule(), published_schedule())
    ]
    assert torch.allclose(*shares, atol=0.01)


def test_few_steps_keep_the_variance_of_a_world_that_is_known():
    """Of images whose pixels are Gaussian, of the standard deviations that hues, places and edges have in scenes."""
    schedule, variances = build_schedule(), torch.tensor([30.0, 10, 3, 1]).repeat_interleave(64)
    signal = torch.cumprod(1 - schedule.betas.double(), 0)

    def predict(x, t):
        share = signal[int(t)]
        clean = share.sqrt() * variances / (share * variances + 1 - share) * x
        return prediction_of("v_prediction", clean.float(), x, share).float()

    noise = torch.randn(DEFAULT_STEPS + 1, 64, 3, 1, len(variances))
    kept = {}
    for solver in (DEFAULT_SOLVER, "unipc"):  # the other one takes its steps evenly
        drawn = SOLVERS[solver](schedule, DEFAULT_STEPS, predict, noise[0], iter(noise[1:]))
        kept[solver] = (drawn.square() / variances).unflatten(-1, (4, 64)).mean((0, 1, 2, 4))
    assert ((kept[DEFAULT_SOLVER] > 0.7) & (kept[DEFAULT_SOLVER] < 1)).all(), kept
    assert kept["unipc"][0] < 0.5


def test_solvers_agree_where_the_answer_is_known():
    """A network that knows the data (one fixed image) is solved exactly by every solver."""
    schedule = build_schedule()
    clean = torch.rand(1, 3, 16, 16)

    class Knows(Denoiser):
        def forward(self, images, t, embedding):
            alpha = schedule.alphas_cumprod[t].sqrt()
            sigma = (1 - alpha**2).sqrt()
            noise = (images - alpha * (2 * clean - 1)) / sigma
            return alpha * noise - sigma * (2 * clean - 1)

    rcdm = RCDM(Knows(SMALL, {"a/backbone": 2}), schedule=schedule)
    for solver in SOLVERS:
        sampled = rcdm.sample(torch.zeros(1, 2), "a/backbone", steps=15, solver=solver)
        assert (sampled - clean).abs().mean() < 0.02, solver


def test_loss_is_that_of_the_best_constant_for_an_untrained_network(small):
    """Predicting nothing costs E[v^2] = E[a^2 + s^2 x^2], timesteps weighed by their density."""
    torch.manual_seed(0)
    images = torch.rand(64, 3, 16, 16)

    class Silent(Denoiser):
        def forward(self, images, t, embedding):
            return torch.zeros_like(images)

    draws = random_draws(0, slice(None), batch_size=64, image_size=16, seed=0)
    loss = v_prediction_loss(Silent(SMALL, {}), images, torch.zeros(64, SMALL.embedding), build_schedule(), draws)
    alphas = build_schedule().alphas_cumprod
    density = torch.linspace(0, 1, 1000).sqrt() / torch.linspace(0, 1, 1000).sqrt().sum()
    noise, signal = (density * alphas).sum(), (density * (1 - alphas)).sum()
    expected = noise + signal * (2 * images - 1).square().mean()
    assert loss.item() == pytest.approx(expected.item(), rel=0.05)


@pytest.mark.parametrize("schedule", [build_schedule(), published_schedule()], ids=["velocity", "published"])
def test_ancestral_steps_are_those_of_diffusers(schedule):
    process, library = ReverseProcess(schedule, 20), DDPMScheduler.from_config(schedule.config)
    library.set_timesteps(20)
    channels = 6 if schedule.config["variance_type"] == "learned_range" else 3
    torch.manual_seed(0)
    for i in (19, 7, 1, 0):
        x, output = torch.randn(2, 3, 8, 8), torch.randn(2, channels, 8, 8)
        mean, log_variance = process.of_network(output, x, i)
        noise = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(i)) if i else 0
        wanted = library.step(output, process.timesteps[i], x, generator=torch.Generator().manual_seed(i)).prev_sample
        assert (mean + (log_variance / 2).exp() * noise - wanted).norm() < 1e-4 * wanted.norm()


def test_ddim_is_that_of_diffusers_where_timesteps_are_even(small):
    """There alone: diffusers' DDIM takes any timesteps to be even. Both clip what they take for the image."""
    h, noise = torch.randn(2, 6), torch.randn(2, 3, 16, 16)
    library = DDIMScheduler.from_config(small.schedule.config)
    library.set_timesteps(10)
    x, embedding = noise, small.denoiser.embed([("a/backbone", h)])
    for t in library.timesteps:
        with torch.inference_mode():
            x = library.step(small.denoiser(x, t, embedding), t, x, use_clipped_model_output=True).prev_sample
    drawn = small.sample(h, "a/backbone", noise=noise, steps=10, solver="ddim", dtype=torch.float32)
    assert torch.allclose(drawn, ((x + 1) / 2).clamp(0, 1), atol=1e-4)


def test_noise_of_another_shape_is_refused_with_both_shapes(small):
    with pytest.raises(UserError, match=r"noise of shape \[2, 3, 32, 32\] .*: give \[2, 3, 16, 16\]"):
        small.sample(torch.randn(2, 6), "a/backbone", noise=torch.randn(2, 3, 32, 32), steps=1)


def test_given_step_noise_is_used_and_must_fit(small):
    h, noise, added = torch.randn(2, 6), torch.randn(2, 3, 16, 16), torch.randn(4, 2, 3, 16, 16)
    settings = {"steps": 4, "solver": "ddpm", "batch_size": 1, "dtype": torch.float32}
    first = small.sample(h, "a/backbone", noise=noise, step_noise=added, **settings)
    turned = small.sample(h.flip(0), "a/backbone", noise=noise.flip(0), step_noise=added.flip(1), **settings)
    assert torch.allclose(first, turned.flip(0), atol=1e-5)
    other = small.sample(h, "a/backbone", noise=noise, step_noise=added + 1, **settings)
    assert not torch.allclose(first, other, atol=1e-2)
    with pytest.raises(UserError, match="give"):
        small.sample(h, "a/backbone", noise=noise, step_noise=added[:3], **settings)


PUBLISHED_STYLE = NetworkSettings(
    image_size=16,
    patch=1,
    channels=(32, 64),
    attention=(True, True),
    attention_heads=2,
    middle_norm=True,
    residual_resampling=True,
    learned_variances=True,
    whitening=False,
)


@pytest.mark.parametrize("shape", [SMALL, PUBLISHED_STYLE], ids=["embedded", "published"])
def test_an_rcdm_comes_back_from_its_files(shape, tmp_path):
    torch.manual_seed(0)
    before = RCDM(Denoiser(shape, {"a/backbone": 6, "timm/x.y/projector": 9}), schedule=schedule_for(shape))
    save_rcdm(before.denoiser, before.schedule, tmp_path, card={"training": {"images": 7}})
    after = load_rcdm(tmp_path)
    assert after.fingerprint == before.fingerprint
    assert after.card["training"] == {"images": 7}
    h = torch.randn(2, 9)
    for solver in SOLVERS:
        drawn = after.sample(h, "timm/x.y/projector", steps=3, solver=solver)
        assert torch.equal(drawn, before.sample(h, "timm/x.y/projector", steps=3, solver=solver))
        assert torch.isfinite(drawn).all()

    unet = UNet2DModel.from_pretrained(tmp_path / "unet")
    assert all(torch.equal(a, b) for a, b in zip(unet.parameters(), after.denoiser.unet.parameters(), strict=True))
    assert torch.equal(DDPMScheduler.from_pretrained(tmp_path / "scheduler").betas, before.schedule.betas)

    save_rcdm(before.denoiser, before.schedule, tmp_path, card={}, dtype=torch.float16)
    halved = load_rcdm(tmp_path)
    assert next(halved.parameters()).dtype == torch.float32
    assert torch.allclose(next(halved.parameters()), next(before.parameters()), atol=1e-3)


def test_by_what_its_images_are_known_again_comes_back_and_belongs_to_its_card(small, tmp_path):
    hashes = np.array([3, 2**63 + 1, 2**64 - 1], np.uint64)
    save_rcdm(small.denoiser, small.schedule, tmp_path, card={}, trained_images=hashes)
    again = load_rcdm(tmp_path)
    assert np.array_equal(again.trained_images, hashes)
    again.save_pretrained(tmp_path / "again")
    assert np.array_equal(load_rcdm(tmp_path / "again").trained_images, hashes)
    card = (tmp_path / "rcdm.json").read_text()
    save_rcdm(small.denoiser, small.schedule, tmp_path, card=again.card, trained_images=hashes[:2])
    assert len(load_rcdm(tmp_path).trained_images) == 2
    (tmp_path / "rcdm.json").write_text(card)
    with pytest.raises(UserError, match="does not hold the images of the training"):
        load_rcdm(tmp_path)
    (tmp_path / "trained_images.safetensors").unlink()
    with pytest.raises(UserError, match="does not hold the images of the training"):
        load_rcdm(tmp_path)
    save_rcdm(small.denoiser, small.schedule, tmp_path, card=again.card)
    assert not len(load_rcdm(tmp_path).trained_images)


def test_damaged_files_of_an_rcdm_are_named(small, tmp_path):
    def damage(name: str, content: str) -> str:
        save_rcdm(small.denoiser, small.schedule, tmp_path, card={})
        (tmp_path / name).write_text(content)
        with pytest.raises(UserError) as caught:
            load_rcdm(tmp_path)
        return str(caught.value)

    assert "heads.safetensors is empty" in damage("heads.safetensors", "")
    assert "rcdm.json is no card" in damage("rcdm.json", "{}")
    assert "rcdm.json is no card" in damage("rcdm.json", "not JSON")
    assert "scheduler_config.json is no schedule" in damage("scheduler/scheduler_config.json", "not JSON")
    other = {**SMALL.to_dict(), "channels": [64, 64]}
    card = json.dumps({"network": other, "conditions": small.conditions})
    assert "does not fit its card" in damage("rcdm.json", card)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_by_name_take_images_of_their_size(name):
    for size in (64, 128):
        settings = network_settings(name, size)
        with torch.device("meta"):
            images, embedding = torch.randn(1, 3, size, size), torch.randn(1, settings.embedding)
            out = Denoiser(settings, {})(images, torch.tensor([3]), embedding)
        assert out.shape == (1, 6 if settings.learned_variances else 3, size, size)
    with pytest.raises(UserError, match="pixels"):
        network_settings(name, 63)
    with pytest.raises(UserError, match=f"did you mean {name}"):
        network_settings(name + "x", 64)


def test_errors_name_both_dimensions_and_the_nearest_names(small, tmp_path):
    with pytest.raises(UserError, match=r"7 dimensions.* 6"):
        small.sample(torch.randn(1, 7), "a/backbone")
    with pytest.raises(UserError, match="a/backbone"):
        small.sample(torch.randn(1, 6), "a/backbon")
    with pytest.raises(UserError, match="ddim"):
        small.sample(torch.randn(1, 6), "a/backbone", solver="ddin")
    with pytest.raises(UserError, match="no such folder"):
        load_rcdm("/nowhere")
    with pytest.raises(UserError, match="diffusion_pytorch_model.safetensors"):
        load_rcdm(tmp_path)


def test_the_shipped_rcdm_draws_what_the_representation_says():
    """Seen from a sample's representation, the one it was drawn from is among the nearest of 64; 0.07 is chance."""
    rcdm, encoder = load_rcdm(), load_encoder("vicreg")
    h = encoder(Scenes()[range(64)])["backbone"]
    samples = rcdm.sample(h[:24], "vicreg/backbone", steps=4)
    ranks = retrieval_ranks(encoder(samples)["backbone"], h, torch.arange(24))
    assert mean_reciprocal_rank(ranks) > 0.3


def test_the_shipped_conditions_are_those_of_the_encoders():
    rcdm = load_rcdm()
    for name in ("supervised", "simclr", "vicreg", "barlow", "dino"):
        encoder = load_encoder(name)
        for level, dimension in encoder.dimensions.items():
            assert rcdm.conditions[f"{name}/{level}"] == dimension


def test_a_guided_step_goes_where_the_distance_falls_and_no_farther_than_is_known(small):
    x, h = small.noise(3, seed=0), torch.tensor([[0.9], [0.5], [0.1]])
    t = torch.tensor(500)
    signal = small.schedule.alphas_cumprod[t]

    def predict(x, t):  # the estimate of the clean image is half of the noisy one
        return prediction_of(small.schedule.config["prediction_type"], x / 2, x, signal)

    def brightness(images, h):
        return (images.mean((1, 2, 3)) - h[:, 0]).square()

    def estimate(output):
        return clean_of(small.schedule.config["prediction_type"], output, x, signal)

    plain, steered = estimate(predict(x, t)), estimate(guided(predict, brightness, small.schedule, h, x, t))
    distances = [brightness((of.clamp(-1, 1) + 1) / 2, h) for of in (plain, steered)]
    assert (distances[1][[0, 2]] < distances[0][[0, 2]] / 2).all()
    assert ((steered - plain.clamp(-1, 1)).square().mean((1, 2, 3)).sqrt() <= FARTHEST + 1e-4).all()
    still = guided(predict, lambda images, h: 0 * images.sum((1, 2, 3)), small.schedule, h, x, t)
    torch.testing.assert_close(estimate(still), plain.clamp(-1, 1), atol=1e-5, rtol=0)


def test_guided_samples_come_nearer_to_their_representation():
    rcdm, encoder, images = load_rcdm(), load_encoder("vicreg"), Scenes("test")[range(8)]
    h, guide = encode(encoder, images)["projector"], distance_to_h(encoder, "projector")
    samples = [rcdm.sample(h, "vicreg/projector", steps=4, guide=steered) for steered in (None, guide)]
    apart = [(encode(encoder, of)["projector"] - h).square().sum(1) for of in samples]
    assert apart[1].median() < apart[0].median() / 2
