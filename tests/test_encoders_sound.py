"""Encoders that can be measured and others: an image has one representation, and by it an encoder is known again."""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hostile_encoders as table
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torchvision import transforms as v1

from rcdm_core.data.registry import load_data
from rcdm_core.encoders import load_encoder
from rcdm_core.encoders.encoder import Encoder, pooled, survey
from rcdm_core.encoders.preprocess import Steps, picture_of
from rcdm_core.encoders.soundness import fixed_images, refuse_without_gradients, sketched
from rcdm_core.errors import UserError
from rcdm_core.images import square
from rcdm_core.precision import rounding_of
from rcdm_core.representations import represent
from rcdm_probe.opening import open_encoder

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.fixture(autouse=True)
def there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parent)


def refused(name: str) -> str:
    """How an encoder is refused: one line."""
    with pytest.raises(UserError) as raised:
        load_encoder(f"python:hostile_encoders:{name}")
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("name", table.DICE)
def test_what_rolls_dice_is_refused(name: str) -> None:
    assert "another representation in each pass" in refused(f"dice_{name}")


@pytest.mark.parametrize("name", table.BATCH)
def test_what_looks_at_the_other_images_is_refused(name: str) -> None:
    assert "depends on the other images of its batch" in refused(f"batch_{name}")


@pytest.mark.parametrize("name", table.REFUSED)
def test_what_gives_no_representations_is_refused_in_one_line(name: str) -> None:
    message = refused(f"refused_{name}")
    assert re.search(table.REFUSED[name][1], message), message


@pytest.mark.parametrize("name", table.SOUND)
def test_sound_encoders_are_taken_and_known_again(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = (load_encoder(f"python:hostile_encoders:sound_{name}") for _ in range(2))
    assert one.fingerprint == other.fingerprint
    images = fixed_images(one.image_size)
    torch.testing.assert_close(one(images), other(images))
    assert images.equal(fixed_images(one.image_size))  # whatever a network writes into
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", table.DIFFERENT)
def test_what_no_weights_hold_tells_encoders_apart(name: str) -> None:
    kinds = [load_encoder(f"python:hostile_encoders:{which}_{name}") for which in ("one", "other", "one", "other")]
    one, other, one_again, other_again = (encoder.network_fingerprint for encoder in kinds)
    assert one == one_again != other == other_again


@pytest.mark.parametrize("classes", [2, 7, 102, 1000])
def test_scores_of_few_classes_and_of_what_shows_no_layers_are_told(
    classes: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    network = nn.Sequential(nn.Conv2d(3, 16, 8, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, classes))
    for given in (network, torch.jit.script(network)):
        monkeypatch.setattr(table, "plain", lambda given=given: given, raising=False)
        encoder = load_encoder("python:hostile_encoders:plain")
        assert f"looks like the scores of {classes:,} classes that its last layer" in encoder.card["classifier"]
        assert encoder.card["classifier"] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("after", "rule"),
    [
        (lambda maps: maps, "mean over positions"),
        (lambda maps: maps.flatten(2).mT, "mean of patches"),
        (lambda maps: maps.mean((2, 3)), "the network's own"),
    ],
)
def test_what_is_pooled_for_a_network_is_not_called_its_own(
    after: Any, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = table.Net()
    network.forward = lambda x: after(network.maps(x))
    monkeypatch.setattr(table, "plain", lambda: network, raising=False)
    assert load_encoder("python:hostile_encoders:plain").card["pooling"]["backbone"] == rule


class Projected(nn.Module):
    """A trunk and what stands behind it, by the names that people give them."""

    def __init__(self, trunk: str, then: str, after: Any = None, wide: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.after, self.names, self.image_size = after, (trunk, then), 32
        parts = self
        if after == "nested":
            parts = self.parts = nn.ModuleDict()
        for name, part in {trunk: table.Net(), then: wide or nn.Linear(16, 24)}.items():
            parts.add_module(name, part)

    def forward(self, x: torch.Tensor) -> Any:
        trunk, then = (getattr(getattr(self, "parts", self), name) for name in self.names)
        h = trunk(x)
        z = then(h)
        return {"both": {"backbone": h, "projector": z}, "trunk": h, "unit": F.normalize(h)}.get(self.after, z)


@pytest.mark.parametrize(
    ("network", "refused"),
    [
        (Projected("backbone", "projector"), "not what its layer backbone gives"),
        (Projected("backbone", "neck"), "not what its layer backbone gives"),
        (Projected("encoder", "projection_head"), "which its projector projection_head gives"),
        (Projected("features", "head", "nested"), "which its projector parts.head gives"),
        (Projected("trunk", "projector", wide=nn.Identity()), ""),
        (Projected("backbone", "projector", "both"), ""),
        (Projected("backbone", "projector", "trunk"), ""),
        (Projected("backbone", "projector", "unit"), ""),
        (Projected("net", "head"), ""),
    ],
)
def test_what_a_projector_gives_is_not_called_the_backbone(
    network: nn.Module, refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "plain", lambda: network, raising=False)
    if refused:
        with pytest.raises(UserError, match=f"{refused}: let the network give both by name"):
            load_encoder("python:hostile_encoders:plain")
    else:
        encoder = load_encoder("python:hostile_encoders:plain")
        assert not {*survey(encoder)} & {*encoder.levels}  # one row for each name


@pytest.mark.parametrize("embedding", ["patch_embed", "patch_embeddings"])
def test_patches_without_the_class_token_are_averaged(embedding: str) -> None:
    network, tokens = nn.Module(), torch.rand(2, 4, 8)
    network.cls_token = nn.Parameter(torch.zeros(1, 1, 8))
    network.embedding = nn.Identity()
    network.embedding.num_patches = 4
    setattr(network, embedding, network.embedding)
    torch.testing.assert_close(pooled(tokens, network), tokens.mean(1))
    torch.testing.assert_close(pooled(torch.cat([tokens[:, :1], tokens], 1), network), tokens[:, 0])


OBLONG = {
    "by_a_square": ([v1.Resize((32, 32))], False),
    "cropped": ([v1.Resize(40), v1.CenterCrop(32)], False),
    "colours_alone": ([v1.Normalize([0.5] * 3, [0.5] * 3)], False),
    "none": (None, False),
    "uncropped": ([v1.Resize(32)], True),
    "upright": ([v1.Resize((48, 24))], True),
    "padded_first": ([v1.Pad(8), v1.Resize(32), v1.CenterCrop(32)], True),
    "by_the_long_side": ([v1.Resize(24, max_size=32), v1.CenterCrop(32)], True),
    "pooled": ([lambda x: F.adaptive_avg_pool2d(x, 32)], True),
}


@pytest.mark.parametrize("name", OBLONG)
def test_what_would_see_more_of_an_oblong_picture_is_told(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps, told = OBLONG[name]
    given = table.Net() if steps is None else (table.Net(), v1.Compose(steps))
    monkeypatch.setattr(table, "plain", lambda: given, raising=False)
    assert ("oblong pictures" in load_encoder("python:hostile_encoders:plain").card) == told
    assert ("make pictures square first" in capsys.readouterr().err) == told


class Lanczos:
    """Makes pictures small by another filter than tensors, which it leaves."""

    def __call__(self, picture: Any) -> Any:
        return picture.resize((32, 32), Image.Resampling.LANCZOS) if isinstance(picture, Image.Image) else picture

    def __repr__(self) -> str:
        return "Lanczos()"


SHRUNK = {
    "resized": ([v1.Resize(32), v1.CenterCrop(32)], False),
    "as_pictures_are": ([v1.Resize(32, antialias=False), v1.CenterCrop(32), v1.ToTensor()], False),
    "by_no_filter": ([v1.Resize(32, antialias=False), v1.CenterCrop(32)], False),
    "blurred": ([v1.GaussianBlur(9, 3.0), v1.Resize(32), v1.CenterCrop(32), v1.ToTensor()], True),
    "colours_alone": ([v1.Normalize([0.5] * 3, [0.5] * 3)], False),
    "another_way_for_pictures": ([Lanczos(), v1.Resize(32), v1.CenterCrop(32), v1.ToTensor()], True),
}


@pytest.mark.parametrize("name", SHRUNK)
def test_what_makes_something_else_of_large_pictures_is_told(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps, told = SHRUNK[name]
    monkeypatch.setattr(table, "plain", lambda: (table.Net(), v1.Compose(steps)), raising=False)
    encoder = load_encoder("python:hostile_encoders:plain")
    assert ("larger pictures" in encoder.card) == told == ("resize them first" in capsys.readouterr().err)
    if name == "as_pictures_are":
        picture = picture_of(torch.rand(3, 90, 70, generator=torch.Generator().manual_seed(0)))
        theirs = v1.Compose(steps)(picture)[None]
        torch.testing.assert_close(
            encoder.preprocess(square(picture, encoder.image_size)[None]), theirs, atol=0.004, rtol=0
        )


def built(name: str, dimensions: Mapping[str, int] | None = None) -> Encoder:
    """An encoder as one builds it in Python, of a network of the table."""
    network, transform = (
        returned if isinstance(returned := getattr(table, name)(), tuple) else (returned, nn.Identity())
    )
    preprocess = transform if isinstance(transform, nn.Module) else Steps(transform)
    return Encoder(
        "mine", preprocess=preprocess, trunk=network, projector=None, dimensions=dimensions or {}, is_ssl=None
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        *((f"dice_{name}", "another representation in each pass") for name in table.DICE),
        *((f"batch_{name}", "depends on the other images of its batch") for name in table.BATCH),
    ],
)
def test_encoders_built_in_python_are_examined_as_loaded_ones(name: str, reason: str) -> None:
    with pytest.raises(UserError, match=f"{reason}|fails on images of"):
        open_encoder(built(name), device="cpu")


@pytest.mark.parametrize("name", table.DIFFERENT)
def test_what_no_weights_hold_tells_encoders_built_in_python_apart(name: str) -> None:
    found = [open_encoder(built(f"{which}_{name}"), device="cpu").fingerprint for which in ("one", "other", "one")]
    assert found[0] == found[2] != found[1]


def test_encoders_built_in_python_are_examined_once_and_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = built("one_environment", {"backbone": 16})
    before = encoder.train().requires_grad_(True).fingerprint
    opened = open_encoder(encoder, device="cpu")
    assert not opened.training
    assert not any(parameter.requires_grad for parameter in opened.parameters())
    assert opened.fingerprint != before
    monkeypatch.setattr("rcdm_core.encoders.any_network.examined", None)  # is not called again
    for known in (encoder, load_encoder("vicreg")):
        assert open_encoder(known, device="cpu") is known
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"gives levels \{'backbone': 16\}.*made with dimensions="):
        open_encoder(built("one_environment", {"backbone": 15}), device="cpu")


def test_the_fixed_images_are_the_same_bits_everywhere() -> None:
    images = torch.cat([fixed_images(size).flatten() for size in (1, 7, 32, 224)])
    assert images.min() >= 0
    assert images.max() <= 1
    digest = hashlib.sha256((images * 255).round().byte().numpy().tobytes()).hexdigest()
    assert digest == "dd1af360ae29343c4372068bba1339aafda2b719ac351de22ef0c149ab50edd4"


def test_rounding_does_not_change_what_an_encoder_is_known_by() -> None:
    rounding = rounding_of(table.Net())
    changed = 0
    for seed in range(200):
        draw = torch.Generator().manual_seed(seed)
        h = {"backbone": torch.randn(3, 64, generator=draw) + torch.randn(64, generator=draw)}
        noise = 4 * rounding * h["backbone"].norm(dim=1, keepdim=True) * torch.randn(3, 64, generator=draw) / 8
        changed += sketched(h, rounding) != sketched({"backbone": h["backbone"] + noise}, rounding)
        assert sketched(h, rounding) != sketched({"backbone": 1.1 * h["backbone"]}, rounding)
    assert changed <= 1


def test_the_number_of_threads_does_not_change_a_fingerprint() -> None:
    threads, found = torch.get_num_threads(), set()
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            found.add(load_encoder("timm/test_resnet", weights="random").fingerprint)
    finally:
        torch.set_num_threads(threads)
    assert len(found) == 1


def test_an_environment_that_decides_is_known_and_kept_representations_of_another_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder, images = (
        load_encoder("python:hostile_encoders:one_environment"),
        load_data("scenes", image_size=32, limit=20),
    )
    kept = represent(encoder, images, range(20), cache=tmp_path)["backbone"]
    torch.testing.assert_close(represent(encoder, images, range(20), cache=tmp_path)["backbone"], kept, rtol=0, atol=0)
    assert capsys.readouterr().err == ""
    encoder.trunk.after.factor = 1.02  # after it was loaded: its fingerprint knows nothing of it
    changed = represent(encoder, images, range(20), cache=tmp_path)["backbone"]
    torch.testing.assert_close(changed, 1.02 * kept)
    assert "are not what it gives now (level backbone): computed anew" in capsys.readouterr().err
    monkeypatch.setenv("FACTOR", "3")
    assert load_encoder("python:hostile_encoders:one_environment").fingerprint != encoder.fingerprint


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (lambda h: h.detach(), "computes without them"),
        (torch.no_grad()(lambda h: 2 * h), "computes without them"),
        (torch.inference_mode()(lambda h: 2 * h), "computes without them"),
        (lambda h: torch.from_numpy(h.detach().numpy()), "computes without them"),
        (lambda h: torch.zeros_like(h, requires_grad=True) + h.detach(), "does not depend on the images"),
        (lambda h: (h - h.detach()).sqrt() + h, "NaN or infinite"),
        (lambda h: {"backbone": h, "head": h.detach()}, None),
        (lambda h: (8 * h).round(), None),  # they vanish, which is another matter
        (lambda h: h, None),
    ],
)  # fmt: skip
def test_what_forbids_gradients_is_refused_and_says_why(after: object, reason: str | None) -> None:
    encoder = Encoder(
        "mine",
        preprocess=torch.nn.Identity(),
        trunk=table.Net(after),
        projector=None,
        dimensions={"backbone": 16},
        is_ssl=None,
    )
    if reason is None:
        refuse_without_gradients(encoder)
        if "head" in encoder(fixed_images(32)):
            with pytest.raises(UserError, match="at level 'head': it computes without"):
                refuse_without_gradients(encoder, "head")
        return
    with pytest.raises(UserError, match=f"gradients do not pass through mine at level 'backbone': .*{reason}"):
        refuse_without_gradients(encoder)


BUILD = """
from torch import nn
{imports}

def build():
    {late}
    return nn.Sequential(nn.Conv2d(3, {width}, 5, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


def write(path: Path, *, width: int = 8, imports: str = "", late: str = "pass") -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(BUILD.format(width=width, imports=imports, late=late))


@pytest.mark.parametrize("package", ["reports", "probes", "analyses", "calendar"])
def test_ones_own_modules_are_found_whatever_they_are_called(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = __import__(package)
    write(tmp_path / package / "__init__.py")
    write(tmp_path / package / "net.py", width=9, imports=f"from {package}.parts import WIDTH")
    (tmp_path / package / "parts.py").write_text("WIDTH = 9")
    assert load_encoder(f"python:{package}.net:build").dimensions == {"backbone": 9}
    assert load_encoder(f"python:{package}:build").dimensions == {"backbone": 8}
    assert sys.modules[package] is before
    assert f"{package}.parts" not in sys.modules
    assert str(tmp_path) not in sys.path


def test_other_modules_find_ones_own_package_of_a_usual_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "probes" / "__init__.py")
    write(tmp_path / "early_and_late.py", imports="from probes import build as other", late="import reports")
    write(tmp_path / "reports.py", width=5)
    assert load_encoder("python:early_and_late:build").dimensions == {"backbone": 8}
    write(tmp_path / "at_each_pass.py", late="return Late()")
    with (tmp_path / "at_each_pass.py").open("a") as file:
        file.write("""
class Late(nn.Conv2d):
    image_size = 32
    def __init__(self): super().__init__(3, 8, 5)
    def forward(self, x):
        from reports import build
        return super().forward(x)
""")
    with pytest.raises(UserError, match="cannot import name 'build' from 'reports'"):
        load_encoder("python:at_each_pass:build")


def test_a_folder_of_a_usual_name_that_is_no_package_gets_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "reports" / "net.py")
    with pytest.raises(UserError, match=r"no Python module 'reports.net': reports is another package; put an __init__"):
        load_encoder("python:reports.net:build")


def test_a_module_may_import_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "late_parts.py")
    write(tmp_path / "imports_late.py", late="from late_parts import build as other")
    assert load_encoder("python:imports_late:build").dimensions == {"backbone": 8}
