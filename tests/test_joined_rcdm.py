"""Several RCDMs in the place of one: by condition, each drawn by the one that was trained on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_training import NETWORK

from rcdm_core.encoders import load_encoder
from rcdm_core.errors import UserError
from rcdm_core.rcdm import RCDM
from rcdm_core.rcdm.diffusion import schedule_for
from rcdm_core.rcdm.files import save_rcdm
from rcdm_core.rcdm.joined import JoinedRCDM
from rcdm_core.rcdm.network import Denoiser
from rcdm_probe.preparation import open_rcdm, open_rcdms, rcdm_name


def untrained(seed: int, *conditions: str, size: int = 16) -> RCDM:
    """A small network with random weights, for embedded backbones."""
    torch.manual_seed(seed)
    network = replace(NETWORK, image_size=size)
    return RCDM(Denoiser(network, dict.fromkeys(conditions, 384)), schedule=schedule_for(network))


def written(rcdm: RCDM, folder: Path) -> Path:
    save_rcdm(rcdm.denoiser, rcdm.schedule, folder, card={})
    return folder


def test_each_condition_is_drawn_by_its_own_member(tmp_path: Path) -> None:
    one, two = untrained(1, "simclr/backbone"), untrained(2, "dino/backbone")
    folders = [written(one, tmp_path / "one"), written(two, tmp_path / "two")]
    encoders = [load_encoder("simclr"), load_encoder("dino")]
    opened = open_rcdms(folders, encoders, ("backbone",), device="cpu")
    assert opened["simclr"] is opened["dino"]
    assert opened["simclr"].conditions == {"simclr/backbone": 384, "dino/backbone": 384}
    h = torch.randn(2, 384, generator=torch.Generator().manual_seed(0))
    for condition, alone in (("simclr/backbone", one), ("dino/backbone", two)):
        drawn = opened["simclr"].sample(h, condition, steps=2)
        assert torch.equal(drawn, alone.sample(h, condition, steps=2))
    assert rcdm_name(folders, encoders[0], ("backbone",)) == f"{folders[0]} + {folders[1]}"


def test_an_encoder_that_none_was_trained_for_is_refused(tmp_path: Path) -> None:
    folders = [written(untrained(n, f"{name}/backbone"), tmp_path / name) for n, name in enumerate(("simclr", "dino"))]
    with pytest.raises(UserError, match="vicreg/backbone"):
        open_rcdm(folders, load_encoder("vicreg"), ("backbone",), device="cpu")


def test_members_have_one_size_and_no_condition_twice() -> None:
    first = untrained(1, "simclr/backbone")
    with pytest.raises(UserError, match="16 and 32 pixels"):
        JoinedRCDM([first, untrained(2, "dino/backbone", size=32)])
    with pytest.raises(UserError, match="two of the RCDMs draw from simclr/backbone"):
        JoinedRCDM([first, untrained(2, "simclr/backbone")])
