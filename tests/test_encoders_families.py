"""Encoders by prefix: timm's, torch.hub's and one's own, with the files and functions that users have."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from urllib.error import URLError

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from typer.testing import Result

from probes.untrained import untrained_of
from rcdm_core.encoders import load_encoder
from rcdm_core.encoders.hubs import known_training
from rcdm_core.errors import UserError
from rcdm_probe.facts import encoder_card

EXAMPLES = Path(__file__).parents[1] / "examples"
IMAGES = torch.rand(2, 3, 40, 50, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, PyTorch's cache in it, no modules left from other tests, no Hugging Face hub."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("own", "hubconf", "my_encoder", "draw_shapes"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def network(name: str = "test_resnet", classes: int = 7) -> torch.nn.Module:
    torch.manual_seed(5)
    return timm.create_model(name, num_classes=classes).eval()


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet"])
def test_a_timm_network_gives_what_timm_pools(name: str, tmp_path: Path) -> None:
    model = network(name)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    encoder = load_encoder(f"timm/{name}", weights=tmp_path / "weights.safetensors")
    x = encoder.preprocess(IMAGES)
    assert x.shape[-2:] == (160, 160)
    assert encoder.image_size == int(160 / model.pretrained_cfg["crop_pct"])  # what is resized to, before the crop
    with torch.no_grad():
        expected = model.forward_head(model.forward_features(x), pre_logits=True)
    torch.testing.assert_close(encoder(IMAGES)["backbone"], expected)
    assert encoder.dimensions == {"backbone": expected.shape[1]}
    rule = {"test_vit": "class token", "test_convnext": "the network's own"}.get(name, "mean over positions")
    assert encoder.card["pooling"]["backbone"] == rule  # of ConvNeXt that mean is normed


@pytest.mark.parametrize(
    ("name", "options", "rule"),
    [
        ("deit_tiny_distilled_patch16_224", {}, "the network's own"),
        ("vit_tiny_patch16_224", {"global_pool": "avg"}, "mean of patches"),
        ("swin_tiny_patch4_window7_224", {"window_size": 4}, "mean over positions"),
        ("resnet50_clip", {}, "the network's own"),
    ],
)
def test_a_card_tells_how_a_network_pools_where_that_is_all_it_does(
    name: str, options: dict[str, object], rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda model, **given: create(model, **given, **options))
    assert load_encoder(f"timm/{name}", weights="random").card["pooling"] == {"backbone": rule}


@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in s.items()}}]
)
def test_files_of_trainings_load_plain_and_wrapped(tmp_path: Path, wrap: Callable[[dict], dict]) -> None:
    torch.save(wrap(network().state_dict()), tmp_path / "checkpoint.pt")
    encoder = load_encoder("timm/test_resnet", weights="checkpoint.pt")
    torch.testing.assert_close(encoder.trunk.conv1[0].weight, network().conv1[0].weight)


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    torch.save(network("test_vit").state_dict(), tmp_path / "vit.pt")
    with pytest.raises(
        UserError, match=r"do not fit: \d+ missing .* unexpected .*expected the state dict of timm/test_re"
    ):
        load_encoder("timm/test_resnet", weights="vit.pt")


def test_how_a_file_was_trained_is_not_known_unless_it_is_told(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "mine.pt")
    training = {"": None, ":self-supervised": True, ":supervised": False}
    cards = []
    for word, is_ssl in training.items():
        encoder = load_encoder("timm/test_resnet", weights=f"mine.pt{word}")
        assert encoder.is_ssl is is_ssl
        cards.append(encoder_card(encoder, encoder.levels)["self_supervised"])
    assert cards == ["not told", True, False]
    assert load_encoder("timm/test_resnet", weights="random").is_ssl is False
    assert load_encoder("vicreg", weights="own:supervised").is_ssl is False


@pytest.mark.parametrize(
    "tag, is_ssl",
    [
        ("lvd142m", True),
        ("fcmae", True),
        ("fcmae_ft_in1k", False),
        ("mim_in22k", True),
        ("mim_m38m_ft_in1k", False),
        ("in1k_ijepa", True),
        ("a1_in1k", False),
        ("sam_in1k", False),
        ("openai", None),
        ("eupe_lvd1689m", None),
        ("", None),
    ],
)
def test_tags_of_published_weights_tell_how_they_were_trained(tag: str, is_ssl: bool | None) -> None:
    assert known_training(None, tag) is is_ssl


@pytest.mark.parametrize(
    "repository, is_ssl",
    [
        ("facebook/dinov2-base", True),
        ("facebookresearch/vicreg", True),
        ("facebookresearch/vicreg-supervised", None),
        ("someone/facebook/dinov2-base", None),
        ("someone/dinov2-base", None),
        ("facebook/convnext-tiny-224", None),
    ],
)
def test_the_repositories_of_a_methods_authors_tell_how_weights_were_trained(
    repository: str, is_ssl: bool | None
) -> None:
    assert known_training(None, repository=repository) is is_ssl
    assert known_training(Path("mine.pt"), repository=repository) is None


def test_no_owner_folder_or_architecture_tells_how_weights_were_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub(tmp_path / "mae_vs_dino")
    assert load_encoder("torchhub/./mae_vs_dino:small").is_ssl is None
    tagged = network("test_vit", 0)
    tagged.pretrained_cfg = {**tagged.pretrained_cfg, "tag": "dino"}
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: tagged)
    told = {name: load_encoder(name).is_ssl for name in ("timm/test_vit.dino", "hf-hub:mae/dino")}
    assert told == {"timm/test_vit.dino": True, "hf-hub:mae/dino": None}  # somebody's, who may have tuned it


def test_fingerprints_follow_weights_and_network() -> None:
    names = [("test_resnet", "random"), ("test_resnet", "random:1"), ("test_vit", "random"), ("test_vit2", "random")]
    encoders = [load_encoder(f"timm/{name}", weights=weights) for name, weights in names]
    assert len({encoder.fingerprint for encoder in encoders}) == 4
    assert load_encoder("timm/test_vit", weights="random:0").fingerprint == encoders[2].fingerprint


def test_loading_leaves_the_random_state_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    load_encoder("timm/test_vit", weights="random:3")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "name, message",
    [
        ("timm/resnet_18", "unknown timm network 'resnet_18': did you mean resnet18"),
        ("timm/resnet18.a9_in1k", "unknown weights of resnet18 'a9_in1k': did you mean a3_in1k"),
        ("timm/resnet18", "weights of timm/resnet18 are not on this machine .*--weights FILE"),
        ("hf-hub:timm/nobody", "weights of hf-hub:timm/nobody are not on this machine"),
        ("resnet18", "did you mean timm/resnet18"),
        ("imagenet/vicrek", "did you mean imagenet/vicreg"),
        ("qqqqqqq", "`rcdm-probe encoders` lists them; others are timm/NAME, hf-hub:ORG/NAME"),
        ("torchhub/vicreg:main", "names no repository: write torchhub/OWNER/REPOSITORY:BRANCH:NAME"),
        ("python:my_encoder", "names no function: write python:package.module:function"),
        ("python:nowhere:build", "there is no Python module 'nowhere': the current folder is"),
        ("python:json:dumbs", "unknown function of json 'dumbs': did you mean dumps"),
    ],
)
def test_mistaken_names_get_one_line(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        load_encoder(name)
    assert "\n" not in str(raised.value)


HUBCONF = """
    dependencies = ["torch"]
    import timm, torch

    def small(pretrained=True):
        torch.manual_seed(1 if pretrained else torch.initial_seed())
        return timm.create_model("test_resnet", num_classes=9)

    def plain():
        torch.manual_seed(2)
        return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 9, stride=8), torch.nn.ReLU())

    def words(pretrained=True):
        return "no network"

    def projecting():
        torch.manual_seed(2)
        net = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 9), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        net.fc = torch.nn.Linear(16, 128)
        return net

    def trained(**options):
        return plain()
"""


def hub(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "hubconf.py").write_text(dedent(HUBCONF))


def test_a_torchhub_repository_in_the_cache_needs_no_network(tmp_path: Path) -> None:
    hub(tmp_path / "torch/hub/somebody_networks_main")
    encoder = load_encoder("torchhub/somebody/networks:main:small")
    torch.manual_seed(1)
    model = timm.create_model("test_resnet", num_classes=9).eval()
    x = encoder.preprocess(IMAGES)
    assert x.shape == (2, 3, 224, 224)
    with torch.no_grad():
        expected = model.forward_head(model.forward_features(x), pre_logits=True)
    torch.testing.assert_close(encoder(IMAGES)["backbone"], expected)
    assert "assumed" in encoder.card["preprocessing"]


def test_a_torchhub_folder_and_what_it_pools(tmp_path: Path) -> None:
    hub(tmp_path / "mine")
    encoder = load_encoder("torchhub/./mine:plain")
    assert encoder.dimensions == {"backbone": 4}
    assert (
        load_encoder("torchhub/./mine:small", weights="random").fingerprint
        != load_encoder("torchhub/./mine:small").fingerprint
    )
    torch.save(network().state_dict(), tmp_path / "weights.pt")
    filled = load_encoder("torchhub/./mine:small", weights="weights.pt")
    torch.testing.assert_close(filled.trunk.conv1[0].weight, network().conv1[0].weight)


def test_what_loads_its_weights_whatever_it_is_asked_is_not_its_own_floor(tmp_path: Path) -> None:
    hub(tmp_path / "mine")
    small, trained = (load_encoder(f"torchhub/./mine:{entry}") for entry in ("small", "trained"))
    assert untrained_of(trained, ["backbone"]) is None
    floor = untrained_of(small, ["backbone"])
    assert floor is not None
    assert floor.fingerprint != small.fingerprint
    small.card["pooling"] = {"backbone": "class token"}  # of another function than its floor's
    assert untrained_of(small, ["backbone"]) is None


MADE = """
from torch import nn

def make():
    return nn.Sequential(nn.Conv2d(3, 8, 7, stride=8), nn.{}(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


def test_a_last_layer_that_is_left_out_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub(tmp_path / "mine")
    told = {name: load_encoder(f"torchhub/./mine:{name}") for name in ("small", "projecting")}
    cards = [encoder.card.get("classifier") for encoder in told.values()]
    assert cards == ["fc, over 9 classes, left out", "fc, over 128 numbers, left out"]
    assert capsys.readouterr().err.count("left out; if that makes features") == 2


def test_two_repositories_whose_modules_have_one_name_are_two_networks(tmp_path: Path) -> None:
    for name, activation in {"one": "ReLU", "two": "Tanh"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "models.py").write_text(MADE.format(activation))
        entry = "from models import make\n\ndef net(pretrained=False):\n    return make()\n"
        (tmp_path / name / "hubconf.py").write_text(entry)
    networks = [load_encoder(f"torchhub/./{name}:net") for name in ("one", "two", "one")]
    assert [type(encoder.trunk[1]).__name__ for encoder in networks] == ["ReLU", "Tanh", "ReLU"]
    assert networks[0].fingerprint != networks[1].fingerprint


def test_code_that_is_edited_in_a_session_is_run_as_it_is_recorded(tmp_path: Path) -> None:
    """In a notebook a file is edited, and the encoder asked for once more: its own file, and one that it imports."""
    given = (
        "import edited_part\n\ndef build():\n    net = edited_part.make()\n    net.image_size = 32\n    return net, "
    )
    (tmp_path / "edited_part.py").write_text(MADE.format("ReLU"))
    found = []
    for scale, activation in ((1.0, "ReLU"), (3.0, "ReLU"), (3.0, "Tanh")):
        (tmp_path / "edited.py").write_text(f"{given}lambda x: x * {scale}\n")
        (tmp_path / "edited_part.py").write_text(MADE.format(activation))
        encoder = load_encoder("python:edited:build", weights="random")
        x = encoder.preprocess(torch.ones(1, 3, 32, 32)).max().item()
        found.append((x, type(encoder.trunk[1]).__name__))
    assert found == [(1.0, "ReLU"), (3.0, "ReLU"), (3.0, "Tanh")]


@pytest.mark.parametrize(
    "name, weights, message",
    [
        ("./mine:large", None, "Cannot find callable large .*hubconf.py says which"),
        ("./mine:words", None, "gives a str, not a network"),
        ("./mine:plain", "random", "pretrained"),
        ("./nowhere:plain", None, "there is no folder ./nowhere: the current folder is"),
        ("./empty:plain", None, "name the folder of a repository that has one"),
        ("somebody/nothing:plain", None, "connect to the network once, or put a copy"),
        ("./mine:trained", "random", "gives the same weights whatever the seed"),
    ],
)
def test_torchhub_mistakes_get_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, weights: str | None, message: str
) -> None:
    hub(tmp_path / "mine")
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr("torch.hub.urlopen", unreachable)
    with pytest.raises(UserError, match=message):
        load_encoder(f"torchhub/{name}", weights=weights)


def unreachable(*_: object, **__: object) -> None:
    raise URLError("no network")


OWN = """
    import torch
    from torch import nn

    class Net(nn.Module):
        image_size = 24

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 6, 3)

        def forward(self, x):
            return self.conv(x)

    def network(): return Net()
    def with_function(): return Net(), lambda x: x * 2
    def numpy_preprocessing(): return Net(), lambda x: torch.from_numpy(x.detach().numpy())
    def broken(): raise ValueError("no weights today")
    def words(): return "words"
    def no_backbone(): return nn.Sequential(Net(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), Named("head"))
    def deep(): return nn.Sequential(nn.Linear(7, 7))
    def forgetful(): return Forgetful()
    def untold(): return Net(), [lambda x: x * 2][0].__call__

    class Forgetful(nn.Module):
        def forward(self, x):
            return undefined(x)

    class Named(nn.Module):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def forward(self, x):
            return {self.name: x}
"""


def test_ones_own_network_is_pooled_and_resized_to(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(dedent(OWN))
    encoder = load_encoder("python:own:network", levels=["conv"])
    assert encoder.image_size == 24
    assert encoder.dimensions == {"conv": 6, "backbone": 6}
    assert encoder.preprocess(IMAGES).shape == (2, 3, 24, 24)
    levels = encoder(IMAGES)
    torch.testing.assert_close(levels["backbone"], encoder.trunk(encoder.preprocess(IMAGES)).mean((2, 3)))
    torch.testing.assert_close(levels["backbone"], levels["conv"])


@pytest.mark.parametrize(
    "function, message",
    [
        ("numpy_preprocessing", "gradients do not pass through the preprocessing of python:own:numpy_preprocessing"),
        ("broken", r"fails .ValueError: no weights today.: own.py, line \d+"),
        ("words", "returns a str: it has to return a torch.nn.Module"),
        ("no_backbone", r"gives {'head': \(2, 6\)} for 2 images: it has to give \[N, D\] at a level named backbone"),
        ("deep", "encoder python:own:deep fails on images of 224x224 pixels .RuntimeError"),
        ("forgetful", "fails on images of 224x224 pixels .NameError: name 'undefined' is not defined"),
        ("untold", "a step of the preprocessing of python:own:untold shows neither its code nor its settings"),
    ],
)
def test_mistakes_in_ones_own_code_get_one_line(tmp_path: Path, function: str, message: str) -> None:
    (tmp_path / "own.py").write_text(dedent(OWN))
    with pytest.raises(UserError, match=message) as raised:
        load_encoder(f"python:own:{function}")
    assert "\n" not in str(raised.value)


def test_ones_own_code_is_part_of_the_fingerprint_and_comments_are_not(tmp_path: Path) -> None:
    def fingerprint(code: str) -> str:
        (tmp_path / "own.py").write_text(dedent(code))
        sys.modules.pop("own", None)
        return load_encoder("python:own:with_function").fingerprint

    codes = OWN, OWN.replace("image_size = 24", "image_size = 24  # pixels"), OWN.replace("x * 2", "x * 3")
    plain, commented, other = (fingerprint(code) for code in codes)
    assert plain == commented != other


def test_the_example_runs(command: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import draw_shapes

    draw_shapes.main(tmp_path / "shapes", 4)
    pictures = sorted((tmp_path / "shapes").glob("*/*.png"))
    assert len(pictures) == 12
    assert len({np.asarray(Image.open(path)).tobytes() for path in pictures}) == 12
    monkeypatch.chdir(EXAMPLES)
    result = command("encoders", "python:my_encoder:build")
    assert "trunk.layer3" in result.output, result.output
    encoder = load_encoder("python:my_encoder:build", levels=["trunk.layer3"])
    assert encoder.dimensions == {"trunk.layer3": 192, "backbone": 96, "projector": 32}
    assert (encoder.image_size, encoder.is_ssl, len(encoder.training_augmentations)) == (64, True, 3)
    images = torch.stack([torch.from_numpy(np.asarray(Image.open(path)) / 255).permute(2, 0, 1) for path in pictures])
    h = encoder(images.float())["projector"]
    assert h.std(0).min() > 0


def test_code_of_all_files_that_make_a_network_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    parts = "from torch import nn\nclass Double(nn.Flatten):\n    def forward(self, x): return 2 * super().forward(x)\n"
    own = "from parts_of_own import Double\ndef build(): return Double()\n"

    def fingerprint(parts: str) -> str:
        (tmp_path / "parts_of_own.py").write_text(parts)
        (tmp_path / "own.py").write_text(own)
        for name in ("own", "parts_of_own"):
            sys.modules.pop(name, None)
        return load_encoder("python:own:build").fingerprint

    codes = parts, parts + "# a comment\n", parts.replace("2 *", "3.5 *")
    plain, commented, other = map(fingerprint, codes)
    sys.modules.pop("parts_of_own", None)
    assert plain == commented != other


@pytest.mark.parametrize("name", ["python:own:build", "torchhub/./mine:build"])
def test_helpers_and_settings_that_no_fixed_image_shows_are_part_of_the_fingerprint(tmp_path: Path, name: str) -> None:
    """What is done to nearly black pictures alone, by a function that a module of a package imports, and by a file."""
    folder = tmp_path / ("mine" if "hub" in name else ".")
    (folder / "made").mkdir(parents=True)
    own = """
        import json
        from pathlib import Path
        from torch import nn
        import made.parts

        class Settings:
            def __init__(self, values): self.__dict__ = values

        class Net(nn.Conv2d):
            image_size = 32

            def __init__(self):
                super().__init__(3, 4, 9)
                self.settings = Settings(json.loads(Path(__file__).with_name("settings.json").read_text()))

            def forward(self, x): return made.parts.mend(super().forward(x), x < self.settings.dark)

        def build(pretrained=True): return Net()
    """
    (folder / ("hubconf.py" if "hub" in name else "own.py")).write_text(dedent(own))
    (folder / "made/parts.py").write_text("from .deeper import factor\ndef mend(h, dark): return h * factor(dark)\n")

    def fingerprint(code: str, dark: float) -> str:
        (folder / "made/deeper.py").write_text(f"def factor(dark): return 1 + {code} * dark.all()\n")
        (folder / "settings.json").write_text(f'{{"dark": {dark}}}')
        return load_encoder(name).fingerprint

    found = [fingerprint(*given) for given in (("2", 0.01), ("2  ", 0.01), ("3", 0.01), ("2", 0.02))]
    assert found[0] == found[1]
    assert len({*found}) == 3


@pytest.mark.parametrize("name", ["torchhub/./mine:plain", "torchhub/somebody/mine:main:plain"])
def test_the_entry_points_of_a_repository_are_part_of_the_fingerprint(tmp_path: Path, name: str) -> None:
    folder = tmp_path / ("mine" if "./" in name else "torch/hub/somebody_mine_main")
    hub(folder)
    before = load_encoder(name).fingerprint
    code = folder / "hubconf.py"
    code.write_text("# a comment\n" + code.read_text())
    assert load_encoder(name).fingerprint == before
    code.write_text(code.read_text() + "\ndef more():\n    return None\n")
    assert load_encoder(name).fingerprint != before


def test_a_hub_of_something_else_gets_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise KeyError("architecture")

    monkeypatch.setattr(timm, "create_model", broken)
    with pytest.raises(UserError, match=r"timm cannot make hf-hub:some/words \(KeyError: 'architecture'\)"):
        load_encoder("hf-hub:some/words")


@pytest.mark.parametrize(
    "overlay",
    [{"interpolation": "box"}, {"interpolation": "random"}, {"std": (0.0,) * 3}, {"input_size": (3, 3000, 3000)}],
)
def test_a_preprocessing_of_timm_that_cannot_be_done_gets_one_line(
    overlay: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    tagged = network("test_vit", 0)
    tagged.pretrained_cfg = {**tagged.pretrained_cfg, **overlay}
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: tagged)
    with pytest.raises(UserError, match="the preprocessing that timm gives timm/test_vit cannot be done on tensors"):
        load_encoder("timm/test_vit", weights="random")


SCORING = """
    dependencies = ["torch"]
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self, name, layer, after=None, shape=None):
            super().__init__()
            self.maps, self.name, self.after, self.shape = nn.Conv2d(3, 48, 9, 8), name, after, shape
            setattr(self, name, layer)

        def forward(self, x):
            h = self.maps(x).relu()
            layer = getattr(self, self.name)
            h = layer(h if isinstance(layer, (nn.Conv2d, nn.Sequential)) else h.mean((2, 3)))
            h = h.mean((2, 3)) if h.ndim == 4 else h
            h = h if self.after is None else self.after(h)
            return h if self.shape is None else h.view(self.shape)

    def linear(pretrained=False): return Net("last_linear", nn.Linear(48, 1000))
    def leading(pretrained=False): return Net("_fc", nn.Linear(48, 1001, bias=False))
    def output(pretrained=False): return Net("output", nn.Linear(48, 10))
    def convolution(pretrained=False): return Net("output", nn.Conv2d(48, 1000, 1))
    def squeeze(pretrained=False):
        return Net("final", nn.Sequential(nn.Dropout(), nn.Conv2d(48, 1000, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)))
    def likely(pretrained=False): return Net("scores", nn.Linear(48, 1000), after=lambda h: h.softmax(-1))
    def shaped(pretrained=False): return Net("scores", nn.Linear(48, 1000), shape=(-1, 1000))
    def features(pretrained=False): return Net("last", nn.Linear(48, 128))
    def network(): return linear()
"""


@pytest.mark.parametrize(
    ("entry", "dimension", "card"),
    [
        ("linear", 48, "last_linear, over 1,000 classes, left out"),
        ("leading", 48, "_fc, over 1,001 classes, left out"),
        ("output", 48, "output, over 10 classes, left out"),
        ("convolution", 48, "output, over 1,000 classes, left out"),
        ("squeeze", 48, "final.1, over 1,000 classes, left out"),
        ("likely", 1000, "backbone looks like the scores of 1,000 classes that its last layer scores gives"),
        ("shaped", 1000, "backbone looks like the scores of 1,000 classes that its last layer scores gives"),
        ("features", 128, None),
    ],
)
def test_scores_of_classes_are_left_out_or_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], entry: str, dimension: int, card: str | None
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/hubconf.py").write_text(dedent(SCORING))
    encoder = load_encoder(f"torchhub/./mine:{entry}", weights="random")
    assert encoder.dimensions == {"backbone": dimension}
    assert encoder_card(encoder, encoder.levels).get("classifier") == card
    assert ("not features" in capsys.readouterr().err) == (dimension == 1000)
    if dimension == 48:
        images = torch.rand(2, 3, 256, 256)
        features = encoder.trunk.maps(encoder.preprocess(images)).relu().mean((2, 3))
        torch.testing.assert_close(encoder(images)["backbone"], features)
    again = load_encoder(f"torchhub/./mine:{entry}", weights="random")
    assert again.fingerprint == encoder.fingerprint


def test_scores_of_ones_own_network_are_told_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own.py").write_text(dedent(SCORING))
    encoder = load_encoder("python:own:network")
    assert encoder.dimensions == {"backbone": 1000}
    assert "scores of 1,000 classes" in encoder.card["classifier"]
    assert "python:own:network: backbone looks like the scores of 1,000 classes" in capsys.readouterr().err
