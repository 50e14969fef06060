"""The ResNet-50s of the RCDM paper as they were published, with the preprocessing that their RCDMs were trained with.

Four layouts of files: torchvision's plain state dict; VISSL's, with trunk and heads apart deep inside a training
checkpoint; VICReg's and DINO's, training checkpoints with the names of their wrappers. Each is a table from published
names to the names of an `Encoder`, ``trunk.*`` and ``projector.*``, which a file may also hold as they are (as
safetensors). Every tensor is used, or is known to be of no use: classifiers, and DINO's layer of prototypes.

Whatever these networks saw in their training, their RCDMs were given representations of images cropped to 224 pixels
and scaled to [-1, 1]; so are they here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision.models import resnet50
from torchvision.transforms import Normalize

from rcdm_core.encoders.catalogue import PUBLISHED, PUBLISHED_FILES, PUBLISHED_WIDTH
from rcdm_core.encoders.encoder import Encoder
from rcdm_core.encoders.preprocess import HalvingCrop
from rcdm_core.errors import UserError
from rcdm_core.images import Side
from rcdm_core.kept import cache_folder
from rcdm_core.state_dicts import fill
from rcdm_core.weight_files import load_state
from rcdm_core.weights import Fresh, fetch, seeded, sha256_of, show_licence

IMAGE_SIZE = 224  # pixels
Tensors = dict[str, torch.Tensor]


def trunk() -> nn.Module:
    """A ResNet-50 of torchvision without its classifier: ``[N, 3, 224, 224]`` to pooled features ``[N, 2048]``."""
    network = resnet50(weights=None)
    network.fc = nn.Identity()
    return network


def projector(method: str) -> nn.Module | None:
    """The part of a method's published head that gives the level ``projector``; None for supervised."""
    match method:
        case "supervised":
            return None
        case "simclr":
            return nn.Sequential(nn.Linear(PUBLISHED_WIDTH, 2048), nn.ReLU(), nn.Linear(2048, 128))
        case "vicreg" | "barlow":
            bias = method == "vicreg"
            return nn.Sequential(
                *(nn.Linear(PUBLISHED_WIDTH, 8192, bias), nn.BatchNorm1d(8192), nn.ReLU()),
                *(nn.Linear(8192, 8192, bias), nn.BatchNorm1d(8192), nn.ReLU()),
                nn.Linear(8192, 8192, bias=False),
            )
        case "dino":  # up to the bottleneck
            return nn.Sequential(
                *(nn.Linear(PUBLISHED_WIDTH, 4096), nn.BatchNorm1d(4096), nn.GELU()), nn.Linear(4096, 256)
            )
        case _:
            raise ValueError(f"no published encoder of method {method!r}")


def preprocessing() -> nn.Module:
    """Centre crop of 224 pixels, in [-1, 1]."""
    return nn.Sequential(HalvingCrop(IMAGE_SIZE), Normalize([0.5] * 3, [0.5] * 3))


def load_published(name: str, *, weights: Path | Fresh | None = None) -> Encoder:
    """A published encoder, downloaded at its first use.

    Args:
        name: Key of `rcdm_core.encoders.PUBLISHED`.
        weights: A file in the published layout, or fresh weights, instead of the published file. Of a file that is
            another one by its hash nothing is known, or by its layout where no hash was published; where that is the
            published one, what is told holds if the file is, and says so.

    Raises:
        UserError: The file is not here and cannot be fetched (says which file to put where), or does not fit.
    """
    method, entry = name.removeprefix("imagenet/"), PUBLISHED[name]
    file, is_given = PUBLISHED_FILES[method], isinstance(weights, Path)
    if weights is None:
        weights = fetch(file.url, licence=file.licence, sha256=file.sha256, name=file.name)
    with seeded(weights), torch.device("cpu" if isinstance(weights, Fresh) else "meta"):
        parts = preprocessing(), trunk(), projector(method)
        encoder = Encoder(name, *parts, entry.dimensions, is_ssl=False, image_size=Side(IMAGE_SIZE, "halving"))
    encoder.card = {"network": "ResNet-50", "weights": str(weights), "pooling": {"backbone": "mean over positions"}}
    if isinstance(weights, Fresh):
        return encoder
    read, layout = _LAYOUTS[method]
    state = load_state(weights)
    if is_published_layout := not any(str(key).startswith("trunk.") for key in state):
        try:
            state = read(state)
        except (KeyError, TypeError, AttributeError) as error:
            begins = ", ".join(repr(str(key)[:40])[1:-1] for key in list(state)[:3])
            problem = f"the weights in {weights} do not fit: the file begins with {begins}"
            raise UserError(problem, f"expected {layout}") from error
    fill(encoder.to_empty(device="cpu"), state, weights, layout)
    encoder.card["weights"], encoder.is_ssl = weights.name, None
    if not is_given or (sha256_of(weights).startswith(file.sha256) if file.sha256 else is_published_layout):
        unless = ", if the file is the published one" if is_given and not file.sha256 else ""
        licence = f"{file.licence}{unless}"
        encoder.card |= {"method": f"{entry.method}{unless}", "licence": licence}
        encoder.is_ssl, encoder.training_augmentations = entry.is_ssl, entry.training_augmentations
        if is_given:  # else it was told when it was fetched
            show_licence(weights, licence, marker=cache_folder() / "licences" / weights.name)
    return encoder


_VISSL_HEADS = {
    "simclr": {"0.clf.0": "0", "1.clf.0": "2"},
    "barlow": {"0.clf.0": "0", "0.clf.1": "1", "1.clf.0": "3", "1.clf.1": "4", "2.clf.0": "6"},
}


def _vissl(state: Any, method: str) -> Tensors:
    model = state["classy_state_dict"]["base_model"]["model"]
    tensors = {f"trunk.{key.removeprefix('_feature_blocks.')}": tensor for key, tensor in model["trunk"].items()}
    layers = _VISSL_HEADS[method]
    for key, tensor in model["heads"].items():
        layer, _, parameter = key.rpartition(".")
        tensors[f"projector.{layers.get(layer, layer)}.{parameter}"] = tensor
    return tensors


def _dino(state: Any) -> Tensors:
    teacher = {key: tensor for key, tensor in state["teacher"].items() if "head.last_layer." not in key}
    return _renamed(teacher, {"backbone.": "trunk.", "head.mlp.": "projector."})


def _renamed(state: Mapping[str, torch.Tensor], prefixes: Mapping[str, str]) -> Tensors:
    """Keys with other prefixes, and without the ``module.`` of a distributed training."""
    tensors = {}
    for key, tensor in state.items():
        key = key.removeprefix("module.")
        prefix = next((prefix for prefix in prefixes if key.startswith(prefix)), "")
        tensors[prefixes.get(prefix, "") + key.removeprefix(prefix)] = tensor
    return tensors


_VISSL = "a VISSL checkpoint: [classy_state_dict][base_model][model] with trunk (_feature_blocks.*) and heads (0.clf.*)"
_LAYOUTS: Mapping[str, tuple[Callable[[Any], Tensors], str]] = {
    "supervised": (
        lambda state: {f"trunk.{key}": tensor for key, tensor in state.items() if not key.startswith("fc.")},
        "torchvision's state dict of a ResNet-50, with names like conv1.weight",
    ),
    "simclr": (partial(_vissl, method="simclr"), _VISSL),
    "vicreg": (
        lambda state: _renamed(state["model"], {"backbone.": "trunk.", "projector.": "projector."}),
        "VICReg's full checkpoint: [model] with module.backbone.* and module.projector.*",
    ),
    "barlow": (partial(_vissl, method="barlow"), _VISSL),
    "dino": (_dino, "DINO's full checkpoint: [teacher] with backbone.* and head.mlp.*"),
}
