"""The RCDM: shapes, conditioning, solvers, determinism, errors; on a small network and on the one that ships."""

from __future__ import annotations

import pytest
import torch

from rcdm_core.data.scenes import Scenes
from rcdm_core.distances import mean_reciprocal_rank, retrieval_ranks
from rcdm_core.encoders import load_encoder
from rcdm_core.errors import UserError
from rcdm_core.rcdm import RCDM, SOLVERS, load_rcdm
from rcdm_core.rcdm.diffusion import build_schedule, v_prediction_loss
from rcdm_core.rcdm.draws import random_draws
from rcdm_core.rcdm.heads import GAIN, RepresentationHead, embedded_images
from rcdm_core.rcdm.network import Denoiser, NetworkSettings

SMALL = NetworkSettings(image_size=16, patch=2, channels=(32, 32), attention=(False, True), attention_width=16)


@pytest.fixture(scope="module")
def small() -> RCDM:
    torch.manual_seed(0)
    return RCDM(Denoiser(SMALL, {"a/backbone": 6, "b/backbone": 9}), schedule=build_schedule())


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
    for solver in SOLVERS:  # the ancestral one goes on drawing
        pair = small.sample(h.expand(2, -1), "a/backbone", noise=noise.expand(2, -1, -1, -1), steps=3, solver=solver)
        assert torch.allclose(pair[0], pair[1], atol=1e-5)
    assert torch.equal(small.noise(5, seed=3)[:1], noise)


def test_an_image_does_not_depend_on_its_batch(small):
    h = torch.randn(5, 6)
    for solver in ("dpmsolver++", "ddpm"):
        whole = small.sample(h, "a/backbone", steps=3, solver=solver)
        parts = small.sample(h, "a/backbone", steps=3, solver=solver, batch_size=2)
        assert torch.allclose(whole, parts, atol=0.02)  # bfloat16 sums in another order


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


def test_errors_name_both_dimensions_and_the_nearest_names(small):
    with pytest.raises(UserError, match=r"7 dimensions.* 6"):
        small.sample(torch.randn(1, 7), "a/backbone")
    with pytest.raises(UserError, match="a/backbone"):
        small.sample(torch.randn(1, 6), "a/backbon")
    with pytest.raises(UserError, match="ddim"):
        small.sample(torch.randn(1, 6), "a/backbone", solver="ddin")
    with pytest.raises(UserError, match="diffusion_pytorch_model.safetensors"):
        load_rcdm("/nowhere")


def test_the_shipped_rcdm_draws_what_the_representation_says():
    """Seen from a sample's representation, the one it was drawn from is among the nearest of 64; 0.07 is chance."""
    rcdm, encoder = load_rcdm(), load_encoder("vicreg")
    h = encoder(Scenes()[range(64)])["backbone"]
    samples = rcdm.sample(h, "vicreg/backbone", steps=8)
    ranks = retrieval_ranks(encoder(samples)["backbone"], h, torch.arange(64))
    assert mean_reciprocal_rank(ranks) > 0.3


def test_the_shipped_conditions_are_those_of_the_encoders():
    rcdm = load_rcdm()
    for name in ("supervised", "simclr", "vicreg", "barlow", "dino"):
        encoder = load_encoder(name)
        for level, dimension in encoder.dimensions.items():
            assert rcdm.conditions[f"{name}/{level}"] == dimension
