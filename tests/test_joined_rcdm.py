"""Several RCDMs in the place of one: by condition, each drawn by the one that was trained on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from begun import facts_of
from small_training import NETWORK
from typer.testing import Result

from rcdm_core.data.registry import load_data
from rcdm_core.encoders import load_encoder
from rcdm_core.errors import UserError
from rcdm_core.rcdm import RCDM
from rcdm_core.rcdm.diffusion import schedule_for
from rcdm_core.rcdm.files import save_rcdm
from rcdm_core.rcdm.network import Denoiser
from rcdm_core.rcdm.rcdm import JoinedRCDM
from rcdm_probe.facts import rcdm_name
from rcdm_probe.opening import open_rcdms
from rcdm_probe.reproduction import Study, _kept


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
        open_rcdms(folders, (load_encoder("vicreg"),), ("backbone",), device="cpu")


def test_members_have_one_size_and_no_condition_twice() -> None:
    first = untrained(1, "simclr/backbone")
    with pytest.raises(UserError, match="16 and 32 pixels"):
        JoinedRCDM([first, untrained(2, "dino/backbone", size=32)])
    with pytest.raises(UserError, match="two of the RCDMs draw from simclr/backbone"):
        JoinedRCDM([first, untrained(2, "simclr/backbone")])


def test_members_were_trained_on_one_encoder_of_a_name() -> None:
    one, two = untrained(1, "simclr/backbone"), untrained(2, "simclr/projector", "dino/backbone")
    one.card["encoders"], two.card["encoders"] = {"simclr": "a"}, {"simclr": "a", "dino": "b"}
    assert JoinedRCDM([one, two]).card["encoders"] == {"simclr": "a", "dino": "b"}
    two.card["encoders"]["simclr"] = "c"
    with pytest.raises(UserError, match="different weights of simclr: give RCDMs of the same"):
        JoinedRCDM([one, two])


def test_it_has_the_card_of_each_training() -> None:
    members = [untrained(n, f"{name}/backbone") for n, name in enumerate(("simclr", "dino"))]
    for number, member in enumerate(members):
        member.card["training"] = {"data": str(number)}
    assert [card["training"]["data"] for card in JoinedRCDM(members).cards] == ["0", "1"]


def test_rcdms_of_several_sizes_stand_in_one_picture() -> None:
    encoders = (load_encoder("simclr"), load_encoder("dino"))
    rcdms = {name: untrained(0, f"{name}/backbone", size=size) for name, size in (("simclr", 16), ("dino", 32))}
    images = load_data("scenes", image_size=32, limit=2)
    panel = _kept(Study(encoders, images, rcdms, (), {}, Path(), {"seed": 0}))
    assert panel is not None
    assert panel.images.shape == (2, 3, 3, 32, 32)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("rcdms")
    first, second = (
        written(untrained(n, f"{name}/backbone"), root / name) for n, name in enumerate(("simclr", "dino"))
    )
    return first, second


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("invariance", ("-e", "dino", "--level", "backbone", "--images", 20, "--gallery", 40)),
        ("adversarial", ("-e", "dino", "--reference", "simclr", "--images", 20, "--training", 40)),
        ("interpolate", ("-e", "dino", "--level", "backbone", "--pairs", 10)),
        ("manipulate", ("-e", "dino", "--level", "backbone", "--gallery", 60)),
        ("generate", ("-e", "dino", "--level", "backbone", "--count", 20, "--gallery", 40)),
        ("fidelity", ("-e", "simclr", "-e", "dino", "--level", "backbone", "--gallery", 40, "--compared", 0)),
        ("reproduce", ("-e", "simclr", "-e", "dino", "--quick")),
    ],
)
def test_every_study_takes_several_folders(
    command: Callable[..., Result], folders: tuple[Path, Path], name: str, arguments: tuple[object, ...], tmp_path: Path
) -> None:
    given = [word for folder in folders for word in ("--rcdm", folder)]
    facts = facts_of(command, name, *arguments, *given, out=tmp_path / "run")
    assert facts["arguments"]["rcdm"] == " + ".join(map(str, folders))
    assert " ".join(map(str, given)) in facts["command"]


def test_sample_draws_by_the_member_that_knows_the_encoder(
    command: Callable[..., Result], folders: tuple[Path, Path], tmp_path: Path
) -> None:
    drawn = []
    for number, given in enumerate(([folders[1]], folders)):
        out = tmp_path / f"{number}.png"
        words = [word for folder in given for word in ("--rcdm", folder)]
        assert command("sample", "scenes:3", "-e", "dino", "--steps", 1, *words, "--out", out).exit_code == 0
        drawn.append(out.read_bytes())
    assert drawn[0] == drawn[1]


NEEDING = ("interpolate", "manipulate", "generate", "fidelity", "sample scenes:0")
"""Commands that are nothing without an RCDM."""


@pytest.mark.parametrize("name", NEEDING)
def test_to_go_without_is_offered_only_where_that_leaves_something(command: Callable[..., Result], name: str) -> None:
    assert "none for all" not in " ".join(command(*name.split(), "--help").output.split())
    assert "none for all" in " ".join(command("invariance", "--help").output.split())
    refused = command(*name.split(), "-e", "vicreg", "--rcdm", "none")
    assert refused.exit_code == 2
    assert "give the folder of one with --rcdm, or leave the option out" in refused.stderr


def test_other_weights_offer_it_likewise(command: Callable[..., Result]) -> None:
    other = ("-e", "vicreg", "--weights", "random:1", "--rcdm", "embedded")
    for name in ("invariance", "interpolate"):
        refused = command(name, *other)
        assert refused.exit_code == 2
        assert "other weights of vicreg" in refused.stderr
        assert ("--rcdm none" in refused.stderr) == (name == "invariance")
