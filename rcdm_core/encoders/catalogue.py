"""What is known of encoders before they are loaded; nothing heavy is imported, so that a list of them is quick."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from rcdm_core.weights import APACHE, BSD, CC_BY_NC, weight_file


@dataclass(frozen=True)
class Entry:
    """What is known of an encoder before it is loaded.

    Attributes:
        method: How it was trained, in words.
        is_ssl: Whether without labels.
        dimensions: Levels and their dimensions.
        weights: Where the weights are, in words.
        here: Whether they are on this machine.
        training_augmentations: Names of the probes' transformations it was trained with, at some strength.
    """

    method: str
    is_ssl: bool
    dimensions: Mapping[str, int]
    weights: str
    here: Callable[[], bool]
    training_augmentations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Published:
    """A published file of weights.

    Attributes:
        url: Where it is.
        licence: Under which licence, in words.
        name: Its name in PyTorch's cache, where it is not the last part of the URL.
        sha256: First digits of its hash, where they were published.
    """

    url: str
    licence: str
    name: str | None = None
    sha256: str | None = None

    @property
    def path(self) -> Path:
        """Where it is kept on this machine, if it is."""
        return weight_file(self.url, self.name)

    def is_here(self) -> bool:
        return self.path.is_file()


@dataclass(frozen=True)
class Family:
    """Encoders under a common prefix.

    Attributes:
        pattern: How their names are made.
        example: One of them.
        words: Where they come from.
    """

    pattern: str
    example: str
    words: str


METHODS = {
    "supervised": "cross-entropy on labels",
    "simclr": "SimCLR (Chen et al. 2020)",
    "vicreg": "VICReg (Bardes et al. 2022)",
    "barlow": "Barlow Twins (Zbontar et al. 2021)",
    "dino": "DINO (Caron et al. 2021)",
}
SSL_AUGMENTATIONS = ("crop", "horizontal_flip", "color_jitter", "grayscale", "blur")
AUGMENTATIONS = dict.fromkeys(METHODS, SSL_AUGMENTATIONS) | {"supervised": ("crop", "horizontal_flip")}

WIDTH = 384  # features of the embedded trunk
PROJECTOR_DIMENSIONS = {"simclr": 128, "vicreg": 512, "barlow": 512, "dino": 128}

PUBLISHED_WIDTH = 2048  # features of a ResNet-50
PUBLISHED_PROJECTOR_DIMENSIONS = {"simclr": 128, "vicreg": 8192, "barlow": 8192, "dino": 256}
_META = "https://dl.fbaipublicfiles.com"
PUBLISHED_FILES: Mapping[str, Published] = {
    "supervised": Published("https://download.pytorch.org/models/resnet50-0676ba61.pth", BSD, sha256="0676ba61"),
    "simclr": Published(
        f"{_META}/vissl/model_zoo/simclr_rn50_1000ep_simclr_8node_resnet_16_07_20.afe428c7/"
        "model_final_checkpoint_phase999.torch",
        CC_BY_NC,
        "simclr_rn50_1000ep_simclr_8node_resnet_16_07_20.afe428c7.torch",
    ),
    "vicreg": Published(f"{_META}/vicreg/resnet50_fullckpt.pth", CC_BY_NC, "vicreg_resnet50_fullckpt.pth"),
    "barlow": Published(
        f"{_META}/vissl/model_zoo/barlow_twins/barlow_twins_32gpus_4node_imagenet1k_1000ep_resnet50.torch", CC_BY_NC
    ),
    "dino": Published(f"{_META}/dino/dino_resnet50_pretrain/dino_resnet50_pretrain_full_checkpoint.pth", APACHE),
}


def _entry(method: str, width: int, projectors: Mapping[str, int], weights: str, here: Callable[[], bool]) -> Entry:
    dimensions = {"backbone": width} | ({"projector": projectors[method]} if method in projectors else {})
    return Entry(METHODS[method], method != "supervised", dimensions, weights, here, AUGMENTATIONS[method])


_FOLDER = files("rcdm_core.zoo") / "weights"
_PACKAGED = "in the package"
EMBEDDED: Mapping[str, Entry] = {
    method: _entry(method, WIDTH, PROJECTOR_DIMENSIONS, _PACKAGED, (_FOLDER / f"{method}.safetensors").is_file)
    for method in METHODS
}
"""Small ResNets trained on fashion scenes."""

UNTRAINED = "untrained"
"""The trunk of the embedded encoders before any training: what is drawn from it too, no training has taught."""

PUBLISHED: Mapping[str, Entry] = {
    f"imagenet/{method}": _entry(
        method, PUBLISHED_WIDTH, PUBLISHED_PROJECTOR_DIMENSIONS, file.url.split("/")[2], file.is_here
    )
    for method, file in PUBLISHED_FILES.items()
}
"""The ResNet-50s of the RCDM paper, trained on ImageNet."""

ENCODERS: Mapping[str, Entry] = {
    **EMBEDDED,
    UNTRAINED: Entry(
        method="none: fresh weights, as a floor",
        is_ssl=False,
        dimensions={"backbone": WIDTH},
        weights=_PACKAGED,
        here=(_FOLDER / f"{UNTRAINED}.safetensors").is_file,
    ),
    **PUBLISHED,
}
"""All encoders that have a name of their own."""

FAMILIES: Mapping[str, Family] = {
    "timm/": Family("timm/NAME", "timm/resnet18", "any network of timm, with timm's pretrained weights and transforms"),
    "hf-hub:": Family("hf-hub:ORG/NAME", "hf-hub:timm/resnet18.a1_in1k", "timm networks on the Hugging Face hub"),
    "hf:": Family(
        "hf:ORG/NAME", "hf:facebook/dinov2-small", "vision networks of transformers (pip install 'rcdm-probe[hf]')"
    ),
    "open_clip:": Family(
        "open_clip:NAME/TAG",
        "open_clip:ViT-B-32/laion2b_s34b_b79k",
        "image towers of OpenCLIP (pip install 'rcdm-probe[clip]')",
    ),
    "torchhub/": Family(
        "torchhub/REPO:NAME", "torchhub/facebookresearch/vicreg:main:resnet50", "entry points of a torch.hub repository"
    ),
    "python:": Family(
        "python:MODULE:FUNCTION",
        "python:my_encoder:build",
        "your own: a function that returns a network (see examples/)",
    ),
}
"""Encoders by prefix."""
