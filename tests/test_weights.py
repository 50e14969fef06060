"""Files of weights: fetched from a real server, checked, kept whole; read without running what they hold."""

from __future__ import annotations

import hashlib
import pickle
import socket
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from rcdm_core.encoders import load_encoder
from rcdm_core.encoders.catalogue import PUBLISHED_FILES
from rcdm_core.errors import UserError
from rcdm_core.progress import showing
from rcdm_core.state_dicts import fill
from rcdm_core.weight_files import load_state
from rcdm_core.weights import Fresh, checkpoint_folder, fetch, parse_weights, split_training

CONTENT = bytes(range(256)) * 10_000  # three chunks
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; of the file ``cut`` only the first half of what it announces."""

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path != "/cut":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) // 2])


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server of ``weights.pth``; PyTorch's cache is empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "*")
    (tmp_path / "served").mkdir()
    (tmp_path / "served/weights.pth").write_bytes(CONTENT)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=tmp_path / "served")) as http:
        thread = Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_the_cache_is_pytorchs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
        assert checkpoint_folder() == Path(torch.hub.get_dir()) / "checkpoints"
        monkeypatch.delenv(variable)
    assert checkpoint_folder() == Path(torch.hub.get_dir()) / "checkpoints"


@pytest.mark.parametrize("sha256", [None, SHA256, SHA256[:8]])
def test_a_file_is_fetched_once_with_progress_and_its_licence(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], sha256: str | None
) -> None:
    shown = []

    def progress(items: Any, description: str, total: int | None = None) -> Any:
        shown.append((description, total))
        return items

    with showing(progress):
        path = fetch(f"{server}/weights.pth", licence="a licence", sha256=sha256)
    assert path == tmp_path / "torch/hub/checkpoints/weights.pth"
    assert path.read_bytes() == CONTENT
    assert shown == [("downloading weights.pth (MB)", 3)]
    assert "weights.pth are published under a licence" in capsys.readouterr().err
    (tmp_path / "served/weights.pth").unlink()
    assert fetch(f"{server}/weights.pth", licence="a licence", sha256=sha256) == path
    assert capsys.readouterr().err == ""
    assert {file.name for file in path.parent.iterdir()} == {"weights.pth", ".weights.pth.licence"}


@pytest.mark.parametrize(
    "file, sha256, message",
    [
        ("weights.pth", "0" * 8, f"begins with {SHA256[:8]}, not 00000000"),
        ("cut", None, "the connection ended after 1280000 of 2560000 bytes"),
        ("missing.pth", None, "missing.pth is not in .* and could not be fetched .*File not found"),
    ],
)
def test_what_does_not_arrive_whole_and_right_is_not_kept(
    server: str, file: str, sha256: str | None, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        fetch(f"{server}/{file}", licence="a licence", sha256=sha256)
    assert list(checkpoint_folder().iterdir()) == []


def test_without_a_network_it_says_which_file_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # a port where nobody listens
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/model.torch"
        with pytest.raises(UserError) as raised:
            fetch(url, licence="a licence", name="simclr.torch")
    line = str(raised.value)
    assert f"simclr.torch is not in {tmp_path}/hub/checkpoints" in line
    assert f"fetch {url} elsewhere and put it there under that name" in line
    assert "\n" not in line


def test_a_published_encoder_is_taken_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    trunk = load_encoder("imagenet/supervised", weights="random:4").trunk
    checkpoint_folder().mkdir(parents=True)
    published = PUBLISHED_FILES["supervised"]
    torch.save(trunk.state_dict() | {"fc.weight": torch.ones(1000, 2048)}, published.path)
    with pytest.raises(UserError, match=r"resnet50-0676ba61.pth is not what was published.*not 0676ba61: remove it"):
        load_encoder("imagenet/supervised")
    sha256 = hashlib.sha256(published.path.read_bytes()).hexdigest()
    monkeypatch.setitem(PUBLISHED_FILES, "supervised", replace(published, sha256=sha256[:8]))
    encoder = load_encoder("imagenet/supervised")
    torch.testing.assert_close(encoder.trunk.conv1.weight, trunk.conv1.weight)
    assert "BSD 3-Clause" in encoder.card["licence"]
    assert "BSD 3-Clause" in capsys.readouterr().err


STATE = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2)}


def test_safetensors_and_torch_files_give_the_same(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "state.safetensors")
    torch.save(STATE, tmp_path / "state.pt")
    torch.save(STATE, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for name in ("state.safetensors", "state.pt", "old.pt"):
        loaded = load_state(tmp_path / name)
        assert list(loaded) == list(STATE) or set(loaded) == set(STATE)
        torch.testing.assert_close(loaded["a.weight"], STATE["a.weight"])


def test_settings_and_numbers_beside_the_weights_are_read(tmp_path: Path) -> None:
    torch.save(
        {"args": Namespace(lr=0.1), "loss": np.float64(2), "step": np.int64(3), "model": STATE}, tmp_path / "state.pt"
    )
    loaded = load_state(tmp_path / "state.pt")
    assert (loaded["args"].lr, loaded["loss"], loaded["step"]) == (0.1, 2, 3)


class Harmful:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("legacy", [True, False])
def test_a_file_that_would_run_code_is_not_opened(tmp_path: Path, legacy: bool) -> None:
    content = {"state_dict": STATE, "bonus": Harmful(tmp_path / "harm")}
    torch.save(content, tmp_path / "state.pt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(
        UserError, match=r"carries code \(getattr, pathlib.Path.*\), which is never run: save the weights"
    ):
        load_state(tmp_path / "state.pt")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"rubbish", b"PK\x03\x04" + bytes(100), pickle.dumps([1, 2]), None])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes | None) -> None:
    path = tmp_path / name
    if content is None:  # cut in the middle
        (save_file if name.endswith("safetensors") else torch.save)(STATE, path)
        content = path.read_bytes()[:-40]
    path.write_bytes(content)
    with pytest.raises(UserError, match=name) as raised:
        load_state(path)
    assert "\n" not in str(raised.value)


def test_a_missing_file_and_one_without_names(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        load_state(tmp_path / "nothing.pt")
    torch.save(torch.ones(3), tmp_path / "tensor.pt")
    with pytest.raises(UserError, match="holds a Tensor, not weights by name"):
        load_state(tmp_path / "tensor.pt")


def test_filling_says_how_many_differ_and_the_first() -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    state = network.state_dict()
    del state["0.bias"], state["1.num_batches_tracked"]
    state |= {"x": torch.ones(1), "y": torch.ones(1), "0.weight": torch.ones(3, 2)}
    with pytest.raises(UserError) as raised:
        fill(network, state, path="weights.pt", layout="mine")
    assert str(raised.value) == (
        "the weights in weights.pt do not fit: 1 missing (first: 0.bias), 2 unexpected (first: x), 1 of another shape "
        "(first: 0.weight (3, 2) instead of (2, 3)): expected mine"
    )


def test_filling_takes_half_precision_and_counts_that_are_missing() -> None:
    network = nn.BatchNorm1d(2)
    fill(
        network,
        {key: torch.full((2,), 0.5).half() for key in ("weight", "bias", "running_mean", "running_var")},
        path="weights.pt",
        layout="mine",
    )
    assert network.weight.tolist() == [0.5, 0.5]
    assert network.weight.dtype == torch.float32
    assert network.num_batches_tracked == 0


def test_what_the_option_weights_means() -> None:
    assert parse_weights(None) is None
    assert parse_weights("random") == Fresh(0)
    assert parse_weights("random:12") == Fresh(12)
    assert parse_weights("random.pt") == Path("random.pt")
    assert parse_weights("own") is None


def test_weights_may_say_how_they_were_trained() -> None:
    assert split_training("my.pt:self-supervised") == ("my.pt", True)
    assert split_training("own:supervised") == ("own", False)
    for untold in (None, "my.pt", "random:1", "self-supervised", Path("a:b")):
        assert split_training(untold) == (untold, None)


@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet", "test_vit", "tf_efficientnet_lite0"])
def test_a_whole_network_of_timm_fits_without_its_classifier(tmp_path: Path, name: str) -> None:
    """A name within blocks, such as bn2, may be one at the top as well: that makes no second set of weights."""
    whole = timm.create_model(name)
    save_file(whole.state_dict(), tmp_path / "whole.safetensors")
    encoder = load_encoder(f"timm/{name}", weights=tmp_path / "whole.safetensors")
    own = encoder.trunk.state_dict()
    assert all(torch.equal(own[key], value) for key, value in whole.state_dict().items() if key in own)
