"""What is drawn from an untrained encoder, as a floor beside another, is what it has as the one under study."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from planted_decoders import Decoder, deaf
from probing import opened
from safetensors.torch import save_file

import rcdm_probe
from probes.untrained import is_untrained
from rcdm_core.data.registry import load_data
from rcdm_core.encoders import UNTRAINED, load_encoder
from rcdm_core.errors import UserError
from rcdm_core.rcdm.diffusion import build_schedule
from rcdm_core.rcdm.files import save_rcdm
from rcdm_core.rcdm.network import Denoiser, NetworkSettings
from rcdm_probe.known_probes import load_probe
from reports.tables import rows_where

KNOWN = {"vicreg/backbone": 384, "untrained/backbone": 384}
BRIEF = {"steps": 1, "levels": ("backbone",)}


@pytest.fixture(scope="module")
def rcdm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A decoder of both encoders with random weights."""
    torch.manual_seed(0)
    shape = NetworkSettings(image_size=32, patch=4, channels=(32, 32), attention=(False, False))
    folder = tmp_path_factory.mktemp("rcdm")
    save_rcdm(Denoiser(shape, KNOWN), build_schedule(), folder, card={})
    return folder


def both(probe: str, rcdm: Path, **settings: Any) -> tuple[Any, Any]:
    """Tables of a probe on a trained encoder, and on the untrained one itself."""
    found = (getattr(rcdm_probe, probe)(name, rcdm=rcdm, **BRIEF, **settings) for name in ("vicreg", UNTRAINED))
    beside, itself = (one.tables for one in found)
    return beside, itself


@pytest.fixture(scope="module")
def fidelity(rcdm) -> tuple[Any, Any]:
    """What that probe finds on a trained encoder, and on the untrained one itself."""
    sizes = {"images": 24, "gallery": 60, "swept_images": 0, "spread": 0, "compared": 0, "guided": 30}
    beside, itself = (rcdm_probe.fidelity(name, rcdm=rcdm, **BRIEF, **sizes) for name in ("vicreg", UNTRAINED))
    return beside, itself


def test_of_ranks(fidelity):
    for table in ("ranks", "sets"):
        floor, own = (rows_where(found.tables[table], encoder=UNTRAINED) for found in fidelity)
        assert len(own) == 1
        assert floor.reset_index(drop=True).equals(own.reset_index(drop=True)), table
    assert "vicreg" in set(fidelity[0].tables["ranks"]["encoder"])


def test_the_untrained_itself_is_no_floor(fidelity):
    found = fidelity[1]
    assert "of 1 levels can be told" in found.probe.gist(found)


def test_the_floor_claims_nothing(fidelity):
    found = fidelity[0]
    assert "of 1 levels can be told" in found.probe.gist(found)
    told = found.tables["guidance"].set_index("encoder")
    assert told.loc[UNTRAINED, "p_holm"].isna().all()
    own = told.loc["vicreg"]
    assert own[["shuffled", "mean_h"]].notna().all(axis=None)
    assert own["p_holm"].min() == pytest.approx(min(1, own["p_value"].min() * len(own)))
    assert found.names["guided"] == own["images"].iloc[0] == 24  # not the 30 that were asked for


def test_of_rendered_factors_and_of_the_variance_of_samples(rcdm):
    sizes = {"images": 24, "gallery": 60, "rendered": 24, "varied": 6, "samples": 2, "transformations": ("rotation",)}
    beside, itself = both("invariance", rcdm, **sizes)
    floor, own = (tables["factors"].set_index("factor") for tables in (beside, itself))
    assert floor["untrained_h"].to_dict() == pytest.approx(own["rendered"].to_dict())
    assert own["untrained_h"].isna().all()  # no floor beside itself
    assert beside["variance"]["untrained_h"].item() == pytest.approx(itself["variance"]["within"].item())


def test_of_interpolation(rcdm):
    beside, itself = both("interpolate", rcdm, pairs=10, gallery=60, points=5, paths=("linear", "spherical"))
    for table, keys in {"factors": ["factor"], "orders": []}.items():
        floor, own = (tables[table].sort_values(keys) if keys else tables[table] for tables in (beside, itself))
        given, linear = rows_where(floor, path="linear"), rows_where(own, path="linear")
        assert given["untrained_h"].tolist() == pytest.approx(linear["spearman"].tolist()), table
        assert rows_where(floor, path="spherical")["untrained_h"].isna().all()
    floor = rows_where(beside["distances"], level=UNTRAINED).drop(columns="level")
    own = rows_where(itself["distances"], path="linear").drop(columns="level")
    assert floor.reset_index(drop=True).equals(own.reset_index(drop=True))


def test_of_manipulation(rcdm):
    beside, itself = both("manipulate", rcdm, images=8, gallery=60, moved=2, strengths=(2.0,))
    floor, own = (tables["transplant"].set_index("factor") for tables in (beside, itself))
    assert floor["untrained_h"].to_dict() == pytest.approx(own["common"].to_dict(), nan_ok=True)
    assert set(beside["removal"]["level"]) == {"backbone"}


def test_of_rendered_classes(rcdm):
    sizes = {"images": 24, "training": 400, "rendered": 6, "attacks": ("FGSM",), "eps": (1.0,), "checked": 4}
    found = rcdm_probe.adversarial(["vicreg"], rcdm=rcdm, reference="supervised", level="backbone", steps=1, **sizes)
    rows = rows_where(found.tables["rendered"], condition="untrained h")
    drawn = found.records[found.records["measure"] == "class_of_untrained_h"]
    assert len(rows) == 1
    assert rows["class_seen"].item() == drawn["value"].mean()


def test_there_is_none_where_the_decoder_draws_from_none_and_beside_itself():
    data, probe = load_data("scenes", image_size=32), load_probe("generate")

    def floor(name: str, *conditions: str) -> Any:
        decoder = Decoder("deaf", dict.fromkeys(conditions, 384), deaf)
        run = opened(
            probe, load_encoder(name), data, replace(probe.settings(), levels=("backbone",)), decoders={name: decoder}
        )
        return run.untrained()

    assert floor("vicreg", "vicreg/backbone") is None
    assert floor(UNTRAINED, "untrained/backbone") is None
    found = floor("vicreg", *KNOWN)
    assert (found.encoder.name, found.levels, found.drawn_levels) == (UNTRAINED, ("backbone",), ("backbone",))


def test_a_decoder_of_another_untrained_encoder_is_refused():
    probe = load_probe("generate")
    decoder = Decoder("deaf", KNOWN, deaf, card={"encoders": {UNTRAINED: "another"}})
    settings = replace(probe.settings(), levels=("backbone",))
    run = opened(
        probe, load_encoder("vicreg"), load_data("scenes", image_size=32), settings, decoders={"vicreg": decoder}
    )
    with pytest.raises(UserError, match="other weights of untrained"):
        run.untrained()


def test_the_one_that_ships_is_the_network_before_training():
    images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    shipped, fresh = load_encoder(UNTRAINED)(images), load_encoder("vicreg", weights="random")(images)
    assert torch.allclose(shipped["backbone"], fresh["backbone"], atol=2e-3)  # float16 in the file


def test_of_a_file_nothing_is_known_that_ships_with_the_name(tmp_path: Path) -> None:
    saved = {
        name: (load_encoder(name.removeprefix("my_"), weights=weights), tmp_path / f"{name}.safetensors")
        for name, weights in {"vicreg": None, "my_vicreg": "random:3", "supervised": None}.items()
    }
    for encoder, path in saved.values():
        save_file({key: value.contiguous() for key, value in encoder.state_dict().items()}, path)
    shipped, mine = (load_encoder("vicreg", weights=saved[name][1]) for name in ("vicreg", "my_vicreg"))
    assert (shipped.is_ssl, shipped.training_augmentations) == (True, load_encoder("vicreg").training_augmentations)
    assert (mine.is_ssl, mine.training_augmentations) == (None, ())
    trained = load_encoder(UNTRAINED, weights=saved["supervised"][1])
    assert trained.is_ssl is None
    assert not is_untrained(trained)
    assert is_untrained(load_encoder(UNTRAINED))
