"""Representations: right numbers in the right rows, kept across runs and interruptions, never from a dead encoder."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import rcdm_core.representations as module
from rcdm_core.data.registry import load_data
from rcdm_core.encoders.encoder import Encoder
from rcdm_core.errors import UserError
from rcdm_core.progress import showing
from rcdm_core.representations import CHECKED, PIXELS, encode, represent, representation_cache

SCENES = load_data("scenes", image_size=32, limit=40)


class Counted(nn.Module):
    """Passes images on and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.images = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.images += len(images)
        return images


def make_encoder(seed: int = 0) -> Encoder:
    torch.manual_seed(seed)
    trunk = nn.Sequential(nn.Conv2d(3, 8, 3, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    return Encoder(
        "tiny",
        preprocess=Counted(),
        trunk=trunk,
        projector=nn.Linear(32, 5),
        dimensions={"backbone": 32, "projector": 5},
        is_ssl=True,
    )


def encoded(encoder: Encoder) -> int:
    """How many images the encoder has seen."""
    assert isinstance(encoder.preprocess, Counted)
    return encoder.preprocess.images


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 8)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("batch_size", [1, 3, 8, 100])
@pytest.mark.parametrize("kept", [False, True])
def test_rows_are_those_of_the_encoder_in_the_order_asked(tmp_path: Path, batch_size: int, kept: bool) -> None:
    encoder = make_encoder()
    indices = np.random.default_rng(0).permutation(40)[:21]
    levels = represent(encoder, SCENES, indices, batch_size=batch_size, cache=tmp_path if kept else None)
    with torch.no_grad():
        expected = encoder(SCENES.images(indices))
    assert list(levels) == ["backbone", "projector"]
    for level, h in levels.items():
        assert h.dtype == torch.float32
        torch.testing.assert_close(h, expected[level])


@pytest.mark.usefixtures("small_chunks")
def test_the_second_time_a_few_are_encoded_to_be_compared(tmp_path: Path) -> None:
    first, second = make_encoder(), make_encoder()
    before = represent(first, SCENES, range(21), cache=tmp_path)
    after = represent(second, SCENES, range(21), cache=tmp_path)
    assert (encoded(first), encoded(second)) == (21, CHECKED)
    for level in before:
        torch.testing.assert_close(before[level], after[level], rtol=0, atol=0)


def test_without_a_cache_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RCDM_PROBE_CACHE", str(tmp_path))
    represent(make_encoder(), SCENES, range(4))
    assert list(tmp_path.iterdir()) == []


def test_other_weights_images_or_indices_are_encoded_anew(tmp_path: Path) -> None:
    represent(make_encoder(), SCENES, range(10), cache=tmp_path)
    other_set = load_data("scenes", image_size=32, limit=40, seed=1)
    for weights, images, indices in [(1, SCENES, range(10)), (0, other_set, range(10)), (0, SCENES, range(9, -1, -1))]:
        encoder = make_encoder(weights)
        represent(encoder, images, indices, cache=tmp_path)
        assert encoded(encoder) == 10


@pytest.mark.usefixtures("small_chunks")
def test_an_interrupted_run_goes_on_and_gives_the_same(tmp_path: Path) -> None:
    def interrupting(items: object, description: str, total: int | None = None) -> object:
        yield from islice(items, 5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), showing(interrupting):
        represent(make_encoder(), SCENES, range(30), batch_size=4, cache=tmp_path)
    encoder = make_encoder()
    resumed = represent(encoder, SCENES, range(30), batch_size=4, cache=tmp_path)
    assert encoded(encoder) == 30 - 16 + CHECKED  # two chunks of eight were complete
    whole = represent(make_encoder(), SCENES, range(30), batch_size=4)
    for level in whole:
        torch.testing.assert_close(resumed[level], whole[level], rtol=0, atol=0)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("damage", [b"", b"rubbish", None])
def test_a_damaged_chunk_is_computed_again(tmp_path: Path, damage: bytes | None) -> None:
    whole = represent(make_encoder(), SCENES, range(20), cache=tmp_path)
    file = sorted(tmp_path.rglob("*.safetensors"))[1]
    file.write_bytes(file.read_bytes()[:-10] if damage is None else damage)
    encoder = make_encoder()
    again = represent(encoder, SCENES, range(20), cache=tmp_path)
    assert encoded(encoder) == 8 + CHECKED
    for level in whole:
        torch.testing.assert_close(again[level], whole[level], rtol=0, atol=0)


@pytest.mark.usefixtures("small_chunks")
def test_only_whole_chunks_lie_in_the_cache(tmp_path: Path) -> None:
    represent(make_encoder(), SCENES, range(20), cache=tmp_path)
    assert [file.name for file in sorted(tmp_path.rglob("*")) if file.is_file()] == [
        "000000000.safetensors",
        "000000008.safetensors",
        "000000016.safetensors",
    ]


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_nan_names_encoder_and_level_and_is_not_kept(tmp_path: Path, poison: float) -> None:
    encoder = make_encoder()
    assert isinstance(encoder.projector, nn.Linear)
    encoder.projector.bias[2] = poison
    with pytest.raises(UserError, match="'tiny' gives NaN or infinity at level 'projector' for 10 of 10 images"):
        represent(encoder, SCENES, range(10), cache=tmp_path)
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize("bias", [0.0, 0.3])
def test_a_collapsed_encoder_is_named_as_such_each_time(tmp_path: Path, bias: float) -> None:
    encoder = make_encoder()
    assert isinstance(encoder.projector, nn.Linear)
    encoder.projector.weight.mul_(1e-8)
    encoder.projector.bias.fill_(bias)
    if not bias:
        encoder.projector.weight.zero_()
    for _ in range(2):
        with pytest.raises(UserError, match="collapsed encoder: 'tiny' .* at level 'projector'"):
            represent(encoder, SCENES, range(10), cache=tmp_path)
    assert represent(encoder, SCENES, range(10), cache=tmp_path, asked=["backbone"])["backbone"].shape == (10, 32)


def test_a_small_but_real_spread_is_no_collapse() -> None:
    encoder = make_encoder()
    assert isinstance(encoder.projector, nn.Linear)
    encoder.projector.bias.fill_(20.0)
    assert represent(encoder, SCENES, range(10))["projector"].std(0).max() > 0


def test_one_image_cannot_show_collapse() -> None:
    assert represent(make_encoder(), SCENES, [3])["backbone"].shape == (1, 32)


def test_a_cache_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be kept in .*RCDM_PROBE_CACHE") as raised:
        represent(make_encoder(), SCENES, range(4), cache=tmp_path / "file")
    assert "\n" not in str(raised.value)


def test_the_default_cache_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RCDM_PROBE_CACHE", str(tmp_path))
    assert representation_cache() == tmp_path / "representations"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RCDM_PROBE_CACHE", "~/mine")
    assert representation_cache() == tmp_path / "mine" / "representations"
    monkeypatch.delenv("RCDM_PROBE_CACHE")
    assert representation_cache() == tmp_path / ".cache/rcdm-probe/representations"


def test_large_images_are_encoded_a_few_at_a_time() -> None:
    seen: list[int] = []

    class Mean(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(len(images))
            return images.mean((2, 3))

    encoder = Encoder(
        "mean", preprocess=nn.Identity(), trunk=Mean(), projector=None, dimensions={"backbone": 3}, is_ssl=None
    )
    images = torch.rand(7, 3, 600, 600, generator=torch.Generator().manual_seed(0))
    h = encode(encoder, images)["backbone"]
    assert max(seen) * 600 * 600 <= PIXELS
    torch.testing.assert_close(h, images.mean((2, 3)))
    seen.clear()
    encode(encoder, images[..., :32, :32], batch_size=5)
    assert seen == [5, 2]  # small ones as the caller says
