"""Files of weights, RCDMs and cards that are none, lie or attack: one line with a remedy, or a right result told."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import random
import shutil
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from rcdm_core.errors import UserError
from rcdm_core.json_files import json_object
from rcdm_core.rcdm import load_rcdm
from rcdm_core.rcdm.published import read_checkpoint
from rcdm_core.state_dicts import fill, load_into
from rcdm_core.weight_files import load_state
from rcdm_core.weights import parse_weights

LAYOUT = "the small network's state dict"
Write = Callable[[Path], Any]


def network(seed: int = 1) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


STATE = network(2).state_dict()
OTHER = network(3).state_dict()
KERNEL = STATE["0.weight"]


def loaded(path: Path) -> tuple[str, nn.Module]:
    """What the card says of a file, and the network with the weights in it; any error but a `UserError` is one."""
    into = network()
    return load_into(into, load_state(path), path=path, layout=LAYOUT, without=("fc",)), into


def refusal(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """The one line that refuses, with its remedy, in time."""
    began = time.monotonic()
    with pytest.raises(UserError) as raised:
        call(*arguments, **options)
    line = str(raised.value)
    assert "\n" not in line
    assert raised.value.remedy
    assert len(line) < 600
    assert time.monotonic() - began < 10
    return line


class Running:
    """Asks for a function when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.asked = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.asked


def zipped(parts: dict[str, bytes], *, packing: int = zipfile.ZIP_STORED) -> Write:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", packing) as archive:
            for name, content in parts.items():
                archive.writestr(name, content)

    return write


def bomb(path: Path) -> None:
    """An archive of torch.save whose one tensor of zeros is packed, to a thousandth."""
    torch.save({"0.weight": torch.zeros(1 << 25)}, whole := io.BytesIO())
    with zipfile.ZipFile(whole) as archive:
        zipped({name: archive.read(name) for name in archive.namelist()}, packing=zipfile.ZIP_DEFLATED)(path)


def flipped(path: Path, *, legacy: bool = False) -> None:
    """One bit of a weight is another."""
    torch.save(STATE, path, _use_new_zipfile_serialization=not legacy)
    content = bytearray(path.read_bytes())
    content[bytes(content).index(KERNEL.numpy().tobytes()) + 5] ^= 1
    path.write_bytes(content)


def tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("weights"), io.BytesIO())


def many_values(path: Path) -> None:
    path.write_bytes(b"\x80\x02" + b"]" * 1_100_000 + b".")


def lying_header(size: int) -> bytes:
    header = json.dumps({"0.weight": {"dtype": "F32", "shape": [size], "data_offsets": [0, 4 * size]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(16)


def text(content: str | bytes) -> Write:
    return lambda path: path.write_bytes(content.encode() if isinstance(content, str) else content)


def saved(state: Any, **options: Any) -> Write:
    return lambda path: torch.save(state, path, **options)


def kernel(value: Any) -> Write:
    return saved({**STATE, "0.weight": value})


FILES: dict[str, tuple[Write, str]] = {
    "nothing": (lambda _: None, "there is no file"),
    "folder": (Path.mkdir, "it is a folder, not a file"),
    "named pipe": (os.mkfifo, "it is a named pipe, not a file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a file"),
    "loop": (lambda path: path.symlink_to(path.name), "cannot read"),
    "empty": (text(""), "is empty"),
    "one byte": (text("\x80"), "is damaged or holds no weights"),
    "rubbish": (text(random.Random(0).randbytes(5000)), "is damaged or holds no weights"),
    "zeros": (text(bytes(4000)), "is damaged or holds no weights"),
    "words": (text("my best weights, epoch 7"), "is a text that begins with 'my best weights, epoch 7'"),
    "page": (text("\n <!DOCTYPE html><html>404</html>"), "is a web page"),
    "json": (text('{"a": [1, 2]}'), "is a text"),
    "pointer": (text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "is a pointer of Git LFS"),
    "hdf5": (text(b"\x89HDF\r\n\x1a\n" + bytes(99)), "is an HDF5 file"),
    "onnx.onnx": (text(b"\x08\x07\x12\x07pytorch" + bytes(99)), "seems to be an ONNX network"),
    "gguf": (text(b"GGUF" + bytes(99)), "is a GGUF file"),
    "picture": (text(b"\x89PNG\r\n\x1a\n" + bytes(99)), "is a picture"),
    "npy": (lambda path: path.open("wb").write(b"\x93NUMPY\x01"), "is an array of NumPy"),
    "npz": (zipped({"a.npy": b""}), "holds arrays of NumPy"),
    "gzip": (lambda path: path.write_bytes(gzip.compress(b"x")), "is packed with gzip"),
    "tar": (tar, "is a tar archive"),
    "zip of others": (zipped({"readme.txt": b"x"}), "is a zip archive of other files"),
    "empty zip": (zipped({}), "is an empty zip archive"),
    "keras": (zipped({"model.weights.h5": b"x"}), "is a network of Keras"),
    "exported": (zipped({"e/archive_format": b"pt2", "e/models/model.json": b"{}"}), "is a program of torch.export"),
    "torchscript": (lambda path: torch.jit.script(nn.Linear(2, 2)).save(str(path)), "is a TorchScript program"),
    "flipped bit": (flipped, "is damaged or holds no weights"),
    "half": (lambda path: path.write_bytes(dumped()[: len(dumped()) // 2]), "is damaged or holds no weights"),
    "many values": (many_values, "holds more than 1,000,000 values"),
    "huge, of old": (lambda path: (text(b"\x80\x02")(path), os.truncate(path, 5 << 30)), "in the old layout"),
    "lying header": (text(lying_header(10**9)), "is damaged or holds no weights"),
    "endless header": (text((1 << 62).to_bytes(8, "little") + b"{}"), "is damaged or holds no weights"),
    "safetensors, cut": (lambda path: path.write_bytes(tensors()[:-9]), "is damaged or holds no weights"),
    "code": (saved({"x": Running(os.system, "true")}), "carries code (posix.system), which is never run: save the"),
    "code, of old": (saved(Running(eval, "1"), _use_new_zipfile_serialization=False), "carries code (eval)"),
    "code, protocol 4": (saved({"x": Running(os.system, "true")}, pickle_protocol=4), "carries code (posix.system)"),
    "a whole network": (saved(nn.Linear(2, 2)), "carries code (torch.nn.modules.linear.Linear"),
    "pickled": (lambda path: path.write_bytes(pickle.dumps(dict(STATE))), "carries code (torch.storage._load_from"),
    "protocol 4": (saved(STATE, pickle_protocol=4), "is a pickle of a protocol"),
    "lazy": (saved(nn.LazyLinear(2).state_dict()), "holds layers that have no weights yet"),
    "a tensor": (saved(KERNEL), "holds a Tensor, not weights by name"),
    "a list": (saved([KERNEL]), "holds a list, not weights by name"),
    "empty dictionary": (saved({}), "holds no tensors by name; what it holds is called nothing"),
    "optimiser": (saved({"state": {0: {"exp_avg": KERNEL}}, "param_groups": []}), "is called 'state', 'param_groups'"),
    "numbered": (saved(dict(enumerate(STATE.values()))), "holds no tensors by name"),
    "a number": (kernel(3), "0.weight is no tensor (int)"),
    "none": (kernel(None), "0.weight is no tensor (NoneType)"),
    "a list of numbers": (kernel([1.0]), "0.weight is no tensor (list)"),
    "a dictionary": (kernel({"a": 1}), "0.weight is no tensor (dict)"),
    "words for weights": (kernel("x"), "0.weight is no tensor (str)"),
    "sparse": (kernel(KERNEL.to_sparse()), "0.weight is a sparse or nested tensor"),
    "nested": (kernel(torch.nested.nested_tensor([KERNEL[0], KERNEL[1]])), "0.weight"),
    "quantised": (kernel(torch.quantize_per_tensor(KERNEL, 0.1, 0, torch.qint8)), "0.weight is quantised"),
    "meta": (kernel(KERNEL.to("meta")), "0.weight has a shape but no numbers"),
    "complex": (kernel(KERNEL.to(torch.complex64)), "0.weight holds complex numbers"),
    "whole numbers": (kernel((KERNEL * 100).to(torch.int8)), "holds whole numbers (torch.int8), which are nothing"),
    "truths": (kernel(KERNEL > 0), "holds whole numbers (torch.bool)"),
    "8 bits": (kernel(KERNEL.to(torch.float8_e4m3fn)), "holds numbers of 8 bits"),
    "nan": (kernel(torch.full_like(KERNEL, np.nan)), "NaN or infinity in 0.weight"),
    "beyond float32": (kernel(KERNEL.double() * 1e300), "NaN or infinity in 0.weight"),
    "counter of fractions": (saved({**STATE, "1.num_batches_tracked": torch.tensor(0.5)}), "holds fractions"),
    "no rows": (kernel(torch.zeros(0, 3, 3, 3)), "1 of another shape (first: 0.weight (0, 3, 3, 3)"),
    "spread to a terabyte": (kernel(torch.zeros(1).expand(1 << 20, 1 << 18)), "1 of another shape"),
    "names of another": (saved({f"x{name}": value for name, value in STATE.items()}), "8 missing"),
    "one left over": (saved({**STATE, "extra": KERNEL}), "1 unexpected (first: extra)"),
    "two that fit": (saved({"a": STATE, "b": OTHER}), "several sets of weights that fit: those under 'a', those under"),
    "a mean over steps": (saved({"model": OTHER, "averaged_model": STATE}), "several sets of weights that fit"),
    "a target": (saved({"online_network": OTHER, "target_network": STATE}), "several sets of weights that fit"),
    "two averages": (saved({"ema": STATE, "model_ema": OTHER}), "several sets of weights that fit"),
    "query and key": (
        saved({f"{part}.{name}": value for part, s in (("q", STATE), ("k", OTHER)) for name, value in s.items()}),
        "several sets of weights that fit: those named k.*, those named q.*",
    ),
}


def dumped(**options: Any) -> bytes:
    torch.save(STATE, content := io.BytesIO(), **options)
    return content.getvalue()


def tensors() -> bytes:
    from safetensors.torch import save

    return save(STATE)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_holds_no_weights_for_the_network(tmp_path: Path, name: str) -> None:
    write, says = FILES[name]
    path = tmp_path / (name if "." in name else "weights.pt")
    write(path)
    assert says in refusal(loaded, path)


def test_a_bomb_takes_no_memory(tmp_path: Path) -> None:
    bomb(tmp_path / "weights.pt")
    status = Path("/proc/self/status")
    if not status.is_file():
        pytest.skip("this system does not say how much memory a process had")
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    before = peak(status)
    assert "unpack to" in refusal(loaded, tmp_path / "weights.pt")
    assert peak(status) - before < 60 << 10


def peak(status: Path) -> int:
    return int(status.read_text().partition("VmHWM:")[2].split()[0])


LIGHTNING = {f"model.{name}": value for name, value in STATE.items()} | {"head.weight": torch.ones(2)}
DINO = {
    "student": {f"module.backbone.{name}": value for name, value in OTHER.items()},
    "teacher": {f"backbone.{name}": value for name, value in STATE.items()} | {"head.weight": torch.ones(2)},
    "optimizer": {"state": {0: {"exp_avg": KERNEL}}},
    "epoch": 7,
}
AVERAGE = {"n_averaged": torch.tensor(7), **{f"module.{name}": value for name, value in STATE.items()}}
UNFIT = {"n_averaged": torch.tensor(7), "module.0.weight": OTHER["0.weight"]}
RIGHT: dict[str, tuple[Any, str]] = {
    "plain": (STATE, "weights.pt"),
    "with plain values beside": ({**STATE, "epoch": 3, "note": "best"}, "weights.pt"),
    "with the classifier": ({**STATE, "fc.weight": torch.ones(3)}, "weights.pt"),
    "double": ({name: value.double() for name, value in STATE.items()}, "weights.pt"),
    "counter as a number": ({**STATE, "1.num_batches_tracked": 0}, "weights.pt"),
    "without a counter": ({name: v for name, v in STATE.items() if "num_batches" not in name}, "weights.pt"),
    "parallel": ({"state_dict": {f"module.{name}": value for name, value in STATE.items()}}, "weights.pt"),
    "compiled": ({"net": {f"module._orig_mod.{name}": value for name, value in STATE.items()}}, "weights.pt"),
    "twice the same": ({"model": STATE, "ema": dict(STATE)}, "weights.pt"),
    "deep": ({"classy_state_dict": {"base_model": {"model": {"trunk": STATE}}}}, "weights.pt"),
    "averaged": ({"model": OTHER, "model_ema": STATE}, "weights.pt: the weights under 'model_ema', not those under"),
    "averaged, of timm": ({"state_dict": OTHER, "state_dict_ema": STATE}, "under 'state_dict_ema', not those"),
    "averaged, of a generator": ({"generator": OTHER, "g_ema": STATE}, "under 'g_ema', not those under 'generator'"),
    "averaged, of basicsr": ({"params": OTHER, "params_ema": STATE}, "under 'params_ema', not those under 'params'"),
    "averaged, deep": ({"module": OTHER, "ema": {"module": STATE, "decay": 0.9}}, "under 'ema' > 'module', not those"),
    "beside its average": ({**OTHER, "ema": STATE}, "under 'ema', not those at the top"),
    "an average of torch": (AVERAGE, "weights.pt: the weights named module.*, averaged (n_averaged)"),
    "an average of torch, wrapped": (
        {f"module.{name}": value for name, value in AVERAGE.items()},
        "weights.pt: the weights named module.module.*, averaged (n_averaged)",
    ),
    "an average of torch beside others": (
        {"network": OTHER, "averages": AVERAGE},
        "under 'averages' named module.*, averaged (n_averaged), not those under 'network'",
    ),
    **{
        f"beside averages {kind}": ({"model": STATE, **more}, f"the weights under 'model'; averages {where} do not fit")
        for kind, more, where in [
            ("of parameters", {"ema": {"0.weight": OTHER["0.weight"]}}, "under 'ema'"),
            ("without names", {"ema": {"shadow_params": [*OTHER.values()]}}, "under 'ema'"),
            ("with more", {"model_ema": {**OTHER, "more": torch.ones(3)}}, "under 'model_ema'"),
            ("with a prefix", {f"ema.{name}": v for name, v in OTHER.items() if "0" in name}, "named ema*"),
            ("of torch", {"a": UNFIT}, "under 'a' named n_averaged*"),
        ]
    },
    "beside settings of averages": ({"model": STATE, "ema_decay": 0.9, "args": {"ema": True, "teacher": "x"}}, "w"),
    "of Lightning": ({"state_dict": LIGHTNING}, "under 'state_dict' named model.*; 1 other tensors are left aside"),
    "of DINO": (DINO, "under 'teacher' named backbone.*, not those under 'student' named module.backbone.*"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_the_weights_that_are_meant_are_taken_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    content, says = RIGHT[name]
    torch.save(content, tmp_path / "weights.pt")
    told, into = loaded(tmp_path / "weights.pt")
    assert says in told
    err = capsys.readouterr().err
    assert (told == "weights.pt") == (err == "")
    assert ("more than one" in err) == any(words in told for words in ("not those", "left aside", "do not fit"))
    for key, value in into.state_dict().items():
        torch.testing.assert_close(value, STATE[key])


@pytest.mark.parametrize("ending", [".pt", ".safetensors", ".bin", ""])
def test_the_content_tells_the_kind_and_not_the_ending(tmp_path: Path, ending: str) -> None:
    for content in (dumped(), dumped(_use_new_zipfile_serialization=False), tensors()):
        (tmp_path / f"weights{ending}").write_bytes(content)
        assert torch.equal(loaded(tmp_path / f"weights{ending}")[1].get_parameter("0.weight"), KERNEL)


def test_checksums_that_were_left_out_are_not_missed(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(STATE, tmp_path / "weights.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert torch.equal(loaded(tmp_path / "weights.pt")[1].get_parameter("0.weight"), KERNEL)


def test_a_network_without_shapes_yet() -> None:
    assert "lazy" in refusal(fill, nn.LazyLinear(2), STATE, path="weights.pt", layout=LAYOUT)


@pytest.mark.parametrize("seed", ["x", "-1", "1.5", "9" * 40, "²", " 1", ""])
def test_a_seed_of_random_weights_that_is_none(seed: str) -> None:
    assert "the seed of" in refusal(parse_weights, f"random:{seed}")


def mutations() -> Iterator[bytes]:
    """Sound files with a byte changed, or an end cut off, here and there."""
    chance = random.Random(0)
    for content in (dumped(), dumped(_use_new_zipfile_serialization=False), tensors()):
        for _ in range(12):
            damaged = bytearray(content)
            for _ in range(chance.choice((1, 1, 4))):
                damaged[chance.randrange(min(len(content), 1500))] = chance.randrange(256)
            yield bytes(damaged)
            yield content[: chance.randrange(len(content))]


def test_damage_anywhere_is_a_line_or_does_no_harm(tmp_path: Path) -> None:
    for content in mutations():
        (tmp_path / "weights.pt").write_bytes(content)
        try:
            values = loaded(tmp_path / "weights.pt")[1].state_dict().values()
        except UserError as error:
            lines, values = str(error).splitlines(), ()
        else:
            lines = [""]
        assert len(lines) == 1
        assert all(value.isfinite().all() for value in values)


N, C, S, U = "rcdm.json", "conditions", "scheduler/scheduler_config.json", "unet/config.json"
DELETED = object()
CARDS: list[tuple[str, str, Any]] = [
    *((N, "network.channels", value) for value in ([-32, 64], [], [32], [33, 32], "32", None, [10**6, 32], [32] * 9)),
    *((N, "network.patch", value) for value in (0, -1, 3, 1.0, True, "4", 10**9)),
    *((N, "network.image_size", value) for value in ("32", 0, 33, 10**9, None, [32])),
    *((N, "network.attention", value) for value in ([True], [0, 1], "no", None)),
    *((N, "network.blocks", value) for value in (0, 2, 1_000_000, "1", 1.5)),
    *((N, "network.attention_width", value) for value in (0, 33, None)),
    *((N, "network.attention_heads", value) for value in (0, 3, "2")),
    *((N, "network.embedding_width", value) for value in (0, 5, 10**12)),
    *((N, "network.whitening", value) for value in (False, "yes", 1)),
    (N, "network.learned_variances", True),
    (N, "network.colour", "red"),
    (N, "network", [1]),
    (N, "network", DELETED),
    *((N, C, value) for value in ({"vicreg/backbone": "384"}, {"vicreg/backbone": -1}, {"": 384}, {"keys": 384})),
    *(
        (N, C, value)
        for value in ([["vicreg/backbone", 384]], {"a/b": 10**12}, {"/class/": 3}, {"a/b.c": 3, "a/b_c": 3})
    ),
    *((N, "encoders", value) for value in ([], {"vicreg": 3}, "all")),
    *((N, "training", value) for value in ([], "long", {"data_fingerprint": "x"}, {"legs": []}, {"legs": [3]})),
    (N, "trained_images", "0" * 64),
    (N, "trained_images", 3),
    (S, "beta_schedule", "nope"),
    (S, "beta_schedule", DELETED),
    (S, "beta_schedule", "laplace"),
    *((S, "trained_betas", value) for value in ([], [0.1], "x", [None] * 1000)),
    *((S, "prediction_type", value) for value in ("nope", "sample", None, 3)),
    *((S, "num_train_timesteps", value) for value in (-1, 0, "1000", 10**9, 1000.0)),
    *((S, "beta_end", value) for value in (-0.1, 2, "x", 1e-7)),
    *((S, "clip_sample_range", value) for value in (0.5, "1")),
    *((S, "timestep_spacing", value) for value in ("trail", None)),
    (S, "variance_type", "learned_range"),
    (S, "steps_offset", 1),
    (S, "_class_name", "EulerDiscreteScheduler"),
    (S, "rescale_betas_zero_snr", True),
    (U, "block_out_channels", [64, 64]),
    (U, "attention_head_dim", "8"),
]


@pytest.mark.parametrize("file, key, value", CARDS)
def test_a_card_that_says_what_no_rcdm_has(tiny_rcdm: Path, tmp_path: Path, file: str, key: str, value: Any) -> None:
    folder = shutil.copytree(tiny_rcdm, tmp_path / "rcdm")
    content = json.loads((folder / file).read_text())
    within = content
    *path, last = key.split(".")
    for step in path:
        within = within[step]
    if value is DELETED:
        del within[last]
    else:
        within[last] = value
    (folder / file).write_text(json.dumps(content))
    assert str(folder) in refusal(load_rcdm, folder)


TEXTS = {
    "empty": b"",
    "a list": b"[]",
    "a name on a hub": b'"someone/some-repository"',
    "a number": b"3",
    "nothing said": b"{}",
    "deep": b"[" * 100_000,
    "twice": b'{"network": 1, "network": 2}',
    "no number": b'{"network": NaN}',
    "infinite": b'{"network": 1e999}',
    "a very long number": b'{"network": ' + b"9" * 5000 + b"}",
    "not UTF-8": b'{"network": "\xff"}',
    "UTF-16": '{"network": 1}'.encode("utf-16"),
    "cut": b'{"network": {"chan',
    "zeros": bytes(100),
}


@pytest.mark.parametrize("file", [N, S, U])
@pytest.mark.parametrize("name", TEXTS)
def test_a_file_of_an_rcdm_that_is_no_card(
    tiny_rcdm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, name: str
) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("a file asks the network"))
    if (file, name) == (U, "nothing said"):
        pytest.skip("what diffusers' file leaves out is in the card")
    folder = shutil.copytree(tiny_rcdm, tmp_path / "rcdm")
    (folder / file).write_bytes(TEXTS[name])
    assert Path(file).name in refusal(load_rcdm, folder)


def test_a_card_in_a_file_that_is_none_or_too_large(tmp_path: Path) -> None:
    options = {"what": "card", "remedy": "make it again"}
    (tmp_path / "large.json").write_bytes(b"{}")
    os.truncate(tmp_path / "large.json", 1 << 30)
    os.mkfifo(tmp_path / "pipe.json")
    assert "at most 16,777,216 are read" in refusal(json_object, tmp_path / "large.json", **options)
    assert "it is a named pipe" in refusal(json_object, tmp_path / "pipe.json", **options)
    (tmp_path / "marked.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert json_object(tmp_path / "marked.json", **options) == {"a": 1}


@pytest.mark.parametrize(
    "file, value, says",
    [
        ("unet/diffusion_pytorch_model.safetensors", np.nan, "NaN or infinity in"),
        ("heads.safetensors", np.inf, "NaN or infinity in"),
        ("heads.safetensors", None, "2 missing"),
    ],
)
def test_weights_of_an_rcdm_that_are_no_numbers(
    tiny_rcdm: Path, tmp_path: Path, file: str, value: float | None, says: str
) -> None:
    folder = shutil.copytree(tiny_rcdm, tmp_path / "rcdm")
    state = dict(load_state(folder / file))
    first = next(iter(state))
    if value is None:
        state = {name: tensor for name, tensor in state.items() if "linear" not in name or "projector" not in name}
    else:
        state[first] = torch.full_like(state[first], value)
    save_file(state, folder / file)
    assert says in refusal(load_rcdm, folder)


@pytest.mark.parametrize(
    "state",
    [
        {"state_dict": STATE},
        {0: KERNEL},
        {"time_embed.0.weight": None},
        {"time_embed.0.weight": torch.zeros(0, 0), "ssl_emb.weight": torch.zeros(0, 0)},
        {"time_embed.0.weight": torch.zeros(1).expand(1 << 20, 1 << 20)},
        {"time_embed.0.weight": torch.full((128, 32), np.nan)},
        {"time_embed.0.weight": torch.zeros(128, 32, dtype=torch.int8)},
        {
            "time_embed.0.weight": torch.zeros(128, 32),
            "ssl_emb.weight": torch.zeros(128, 5),
            "input_blocks.1.0.in_layers.2.weight": torch.zeros(32, 32, 3, 3),
            "output_blocks.9999.0.in_layers.2.weight": torch.zeros(1),
        },
    ],
)
def test_a_checkpoint_that_does_not_convert(tmp_path: Path, state: dict[Any, Any]) -> None:
    torch.save(state, tmp_path / "rcdm.pt")
    assert "rcdm.pt" in refusal(read_checkpoint, tmp_path / "rcdm.pt", "a/backbone", {"image_size": 32, "num_heads": 4})
