"""``rcdm-probe adapt``: a new encoder on a denoiser that exists, and what heads begin with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from small_training import NETWORK, train_small
from stopping import stopped_at
from typer.testing import Result

from rcdm_core.data.registry import load_data
from rcdm_core.data.scenes import Scenes
from rcdm_core.encoders import load_encoder
from rcdm_core.errors import UserError
from rcdm_core.rcdm import load_rcdm, save_rcdm
from rcdm_core.rcdm.diffusion import schedule_for
from rcdm_core.rcdm.heads import RepresentationHead, fitted_basis, folded
from rcdm_core.rcdm.network import Denoiser
from rcdm_core.rcdm.objective import Batch, RCDMLearner
from rcdm_core.rcdm_training import adapt_rcdm, adaptation_settings
from rcdm_core.rcdm_training.adaptation import of_another, of_the_mean
from rcdm_core.rcdm_training.beginning import BASIS, COMPONENTS, begin_on, encoders_at_hand
from rcdm_core.rcdm_training.evaluation import share_within
from rcdm_core.rcdm_training.material import gather
from rcdm_core.training import join_processes

BRIEF = ("--images", 60, "--steps", 1, "--batch-size", 4, "--looked-at", 2)


@pytest.fixture(autouse=True, scope="module")
def few_samples() -> Iterator[None]:
    """After a stage fewer samples are looked at: most of the time went there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rcdm_core.rcdm_training.adaptation.SPREAD", 6)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An RCDM for both levels of simclr."""
    folder = tmp_path_factory.mktemp("trained")
    train_small(folder, steps=3)
    return folder


@pytest.fixture(scope="module")
def adapted(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, adapted to vicreg."""
    folder = tmp_path_factory.mktemp("adapted")
    adapt(trained, folder)
    return folder


def adapt(
    rcdm: Path, folder: Path, *, name: str = "vicreg", weights: str | None = None, known: bool = True, whole: int = 0
) -> None:
    decoder, encoder = load_rcdm(rcdm), load_encoder(name, weights=weights)
    settings = adaptation_settings(
        decoder, steps=6, whole=whole, learning_rate=1e-3, whole_rate=1e-3, batch_size=4, every=2, looked_at=4
    )
    images = load_data("scenes", image_size=32, limit=70)
    guides = encoders_at_hand(decoder) if known else ()
    adapt_rcdm({encoder: ("backbone",)}, images, settings, folder=folder, known=guides)


def test_the_denoiser_and_its_heads_stay_as_they_were(trained: Path, adapted: Path) -> None:
    before, after = load_rcdm(trained), load_rcdm(adapted)
    assert set(after.conditions) == {"simclr/backbone", "simclr/projector", "vicreg/backbone"}
    now = after.denoiser.state_dict()
    assert all(torch.equal(tensor, now[name]) for name, tensor in before.denoiser.state_dict().items())
    assert after.card["encoders"].keys() == {"simclr", "vicreg"}
    assert after.card["training"]["began_with"] == before.fingerprint
    assert [card["training"]["data"] for card in after.cards] == [before.card["training"]["data"]] * 2
    assert all("trained_images" in card for card in after.cards)
    assert 0 < len(before.trained_images) < len(after.trained_images)
    assert np.isin(before.trained_images, after.trained_images).all()


@pytest.mark.parametrize("weights, told, stay", [(None, True, True), ("random:1", True, False), (None, False, False)])
def test_heads_stay_where_they_were_trained_on_the_same_weights(
    trained: Path, tmp_path: Path, weights: str | None, told: bool, stay: bool
) -> None:
    copytree(trained, tmp_path / "start")
    card = json.loads((tmp_path / "start" / "rcdm.json").read_text())
    if not told:
        del card["encoders"]
    card["adapted"] = {"simclr/projector": {"heads": card["scores"]["simclr/projector"]}}
    (tmp_path / "start" / "rcdm.json").write_text(json.dumps(card))
    adapt(tmp_path / "start", tmp_path / "adapted", name="simclr", weights=weights)
    after = load_rcdm(tmp_path / "adapted")
    assert after.card["encoders"] == {"simclr": load_encoder("simclr", weights=weights).network_fingerprint}
    for conditions in (after.conditions, after.card["scores"], after.card["adapted"]):
        assert ("simclr/projector" in conditions) == stay
        assert "simclr/backbone" in conditions


def test_each_stage_says_what_it_bought(adapted: Path) -> None:
    table = pd.read_csv(adapted / "stages.csv").set_index("stage")
    assert table.index.tolist() == ["closed form", "heads", "floor: shuffled h", "floor: mean h"]
    assert table.loc["heads", "held-out loss"] <= table.loc["closed form", "held-out loss"]
    assert table.loc["floor: mean h", "variance within"] == pytest.approx(1, abs=0.2)
    begun = json.loads((adapted / "training" / "begun.json").read_text())["vicreg/backbone"]
    assert begun["through"] == min(begun["losses"], key=begun["losses"].get)
    assert set(begun["losses"]) == {"simclr/backbone", "simclr/projector"}
    assert set(load_rcdm(adapted).card["adapted"]["vicreg/backbone"]) == set(table.index)


def test_an_adaptation_that_was_stopped_goes_on_to_the_same_heads(trained: Path, adapted: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), stopped_at(tmp_path, "training/heads/losses.csv"):
        adapt(trained, tmp_path)
    assert not (tmp_path / "rcdm.json").exists()
    adapt(trained, tmp_path)
    for name in ("heads.safetensors", "stages.csv"):
        assert (tmp_path / name).read_bytes() == (adapted / name).read_bytes(), name


def test_a_third_stage_trains_the_denoiser_and_leaves_the_heads_it_had(trained: Path, tmp_path: Path) -> None:
    adapt(trained, tmp_path, whole=2)
    before, after = load_rcdm(trained), load_rcdm(tmp_path)
    assert set(after.conditions) == {"vicreg/backbone"}
    weights = after.denoiser.unet.state_dict()
    assert not all(torch.equal(tensor, weights[name]) for name, tensor in before.denoiser.unet.state_dict().items())
    assert "whole" in set(pd.read_csv(tmp_path / "stages.csv")["stage"])


def test_without_its_encoders_heads_begin_through_the_basis(trained: Path, tmp_path: Path) -> None:
    adapt(trained, tmp_path / "adapted", known=False)
    begun = json.loads((tmp_path / "adapted" / "training" / "begun.json").read_text())
    assert begun["vicreg/backbone"]["through"] == BASIS
    copytree(trained, tmp_path / "older")
    (tmp_path / "older" / "basis.safetensors").unlink()
    with pytest.raises(UserError, match="keeps no basis"):
        adapt(tmp_path / "older", tmp_path / "refused", known=False)


def test_a_basis_gives_of_images_what_heads_give() -> None:
    images = Scenes()[range(900)]
    small = torch.nn.functional.interpolate(images, size=16, mode="area").flatten(1)
    embeddings = small @ torch.randn(768, 32, generator=torch.Generator().manual_seed(0)) + 3
    basis = fitted_basis(images[:850], embeddings[:850])
    error = (basis(images[850:]) - embeddings[850:]).square().mean()
    assert error < 0.02 * embeddings.var(0).mean()
    assert basis(images[:2, :, ::2, ::2]).shape == (2, 32)


def test_a_folded_head_is_the_head() -> None:
    torch.manual_seed(0)
    h = torch.randn(50, 6) @ torch.randn(6, 6) + 2
    head = RepresentationHead(6, 4)
    head.begin(h, torch.randn(50, 4))
    torch.testing.assert_close(folded(head)(h), head(h), atol=1e-4, rtol=1e-4)


def test_a_start_gives_its_own_heads_to_the_same_encoder_and_its_reading_to_another(trained: Path) -> None:
    start = load_rcdm(trained)
    images = load_data("scenes", image_size=32, limit=60)
    simclr, barlow = load_encoder("simclr"), load_encoder("barlow")
    asked = {simclr: ("backbone",), barlow: ("backbone",)}
    alone = join_processes("cpu")
    material = gather(asked, images, image_size=16, looked_at=4, seed=0, processes=alone)
    assert list(material.labels) == ["simclr/backbone", "barlow/backbone"]
    learner = RCDMLearner(Denoiser(NETWORK, material.dimensions, unet=start.denoiser.unet), start.schedule)
    begun = begin_on(learner, start, material, known=encoders_at_hand(start, [simclr]), precision="no")
    assert begun["simclr/backbone"].through == "simclr/backbone"
    own = start.denoiser.head("simclr/backbone").state_dict()
    given = learner.denoiser.head("simclr/backbone").state_dict()
    assert all(torch.equal(tensor, given[name]) for name, tensor in own.items())
    assert begun["barlow/backbone"].through in ("simclr/backbone", "simclr/projector")
    start.basis = None
    assert begin_on(learner, start, material, known=[], precision="no")["barlow/backbone"].through == COMPONENTS


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
def test_a_guide_is_chosen_where_batches_go(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Placed(RCDMLearner):
        def forward(self, batch: Batch) -> torch.Tensor:
            images, groups, _ = batch
            devices = {tensor.device.type for tensor in (images, *(h for _, h in groups), *self.parameters())}
            assert devices == {"meta"}
            return torch.zeros(())

    start, images = load_rcdm(trained), load_data("scenes", image_size=32, limit=60)
    asked = {load_encoder("simclr"): ("backbone",), load_encoder("barlow"): ("backbone",)}
    material = gather(asked, images, image_size=16, looked_at=4, seed=0, processes=join_processes("cpu"))
    elsewhere = replace(material, device=torch.device("meta"))  # in the place of a GPU; autocast does not know it
    monkeypatch.setattr("rcdm_core.rcdm_training.evaluation.lowered", lambda device, precision: nullcontext())
    learner = Placed(Denoiser(NETWORK, material.dimensions, unet=start.denoiser.unet), start.schedule)
    begun = begin_on(learner, start, elsewhere, known=encoders_at_hand(start), precision="no")
    assert set(begun["barlow/backbone"].losses) == {"simclr/backbone", "simclr/projector"}
    for basis, through in ((start.basis, BASIS), (None, COMPONENTS)):
        start.basis = basis
        assert begin_on(learner, start, elsewhere, known=[], precision="no")["barlow/backbone"].through == through


def test_the_mean_is_where_the_representations_are() -> None:
    one, h = SimpleNamespace(name="a/backbone"), torch.zeros(4, 3, device="meta")
    mean = of_the_mean({"a/backbone": torch.ones(3)})(one, h)
    assert (mean.device.type, mean.shape) == ("meta", h.shape)


def test_heads_that_whiten_are_folded_for_a_network_whose_heads_do_not(tmp_path: Path) -> None:
    plain = Denoiser(replace(NETWORK, whitening=False), {"simclr/backbone": 384})
    small = load_encoder("simclr")
    save_rcdm(plain, schedule_for(NETWORK), tmp_path / "plain", card={"encoders": {"simclr": small.fingerprint}})
    adapt(tmp_path / "plain", tmp_path / "adapted")
    assert isinstance(load_rcdm(tmp_path / "adapted").denoiser.head("vicreg/backbone"), torch.nn.Linear)


def test_the_floor_is_of_another_image_of_any_class() -> None:
    classes = torch.arange(10).repeat_interleave(30)
    of = of_another(SimpleNamespace(), torch.stack([classes, torch.arange(300)], 1))
    assert (of[:, 1] != torch.arange(300)).all()
    assert of[:, 1].unique().numel() == 300
    assert (of[:, 0] == classes).float().mean() < 0.2  # neighbours in a folder: 0.97


def test_the_command_goes_from_an_encoder_to_a_folder_that_probes_take(
    trained: Path, command: Callable[..., Result], tmp_path: Path
) -> None:
    words = ("adapt", "-e", "vicreg", "-l", "backbone", "-d", "scenes", "--rcdm", trained, *BRIEF)
    result = command(*words, "-o", tmp_path / "mine")
    assert result.exit_code == 0, result.output
    assert "floor: shuffled h" in result.output
    for name in ("stages.png", "samples/1-closed-form.png", "run.json"):
        assert (tmp_path / "mine" / name).is_file()
    table = pd.read_csv(tmp_path / "mine" / "stages.csv")
    assert set(table["level"]) == {"backbone"}
    assert np.isfinite(table["MRR"]).all()
    refused = command(*words, "-o", tmp_path / "mine", "--whole", 3)
    assert refused.exit_code == 2
    assert "whole" in refused.output
    lacking = command("adapt", "-e", "vicreg", "-d", "scenes", "--rcdm", "nowhere", "-o", "x")
    assert lacking.exit_code == 2
    assert "no RCDM in nowhere" in lacking.output


@pytest.mark.parametrize("common, crossed", [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5), (0.9, 0.1)])
def test_the_share_of_variance_within_is_not_moved_by_noises_that_all_have_in_common(common, crossed):
    draw = torch.Generator().manual_seed(0)
    of_h, of_noise, of_both = (torch.randn(*shape, 4000, generator=draw) for shape in ((21, 1), (1, 4), (21, 4)))
    samples = 0.5 * of_h + common**0.5 * of_noise + crossed**0.5 * of_both
    assert share_within(samples) == pytest.approx(0.8, abs=0.02)
