"""Feature spaces: what sets of images are compared in, each with the name that its numbers must carry.

A Frechet distance is called FID, and an Inception score IS, only in the space of the Inception network of Heusel et al.
(2017), whose weights torch-fidelity (``pt_inception-2015-12-05``) reads from a file. In any other space the numbers are
others, and so are their names: FD-judge and IS-judge, FD-vicreg.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from rcdm_core.data.scenes import CLASSES
from rcdm_core.encoders import Encoder, load_encoder
from rcdm_core.errors import UserError
from rcdm_core.fingerprint import fingerprint
from rcdm_core.kept import cache_folder
from rcdm_core.precision import device_of
from rcdm_core.weight_files import load_state
from rcdm_core.zoo.judge import load_judge

if TYPE_CHECKING:
    from rcdm_core.data.imageset import ImageSet

JUDGE, INCEPTION = "judge", "inception"
INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
INCEPTION_URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{INCEPTION_FILE}"

Look = tuple[torch.Tensor, torch.Tensor | None]
"""Features ``[N, D]`` and, where the space has classes, their probabilities ``[N, C]``."""


@dataclass(frozen=True, eq=False)
class FeatureSpace:
    """A network that looks at images.

    Attributes:
        name: As `load_features` takes it.
        distance: What a squared Frechet distance is called in it.
        score: What an Inception score is called in it; empty where the network has no classes.
        fingerprint: SHA-256 of its weights: equal fingerprints give equal features.
        look: From images ``[N, 3, H, W]`` in [0, 1], on any device, to what is seen in them.
    """

    name: str
    distance: str
    score: str
    fingerprint: str
    look: Callable[[torch.Tensor], Look]

    @torch.no_grad()
    def of(self, images: torch.Tensor, *, batch_size: int = 256) -> Look:
        """Features and class probabilities of images ``[N, 3, H, W]`` in [0, 1], on the CPU."""
        seen = [self.look(batch) for batch in images.split(batch_size)]
        features = torch.cat([features.float().cpu() for features, _ in seen])
        classes = [probabilities.float().cpu() for _, probabilities in seen if probabilities is not None]
        return features, torch.cat(classes) if classes else None


def load_features(name: str, *, device: str | torch.device = "cpu") -> FeatureSpace:
    """A feature space by name.

    Args:
        name: ``judge``, ``inception``, or any encoder of the registry, of which the level ``backbone`` is taken.
        device: Where to compute.

    Raises:
        UserError: No such network, or its weights are not at hand.
    """
    if name == JUDGE:
        return _judge(device)
    if name == INCEPTION:
        return _inception(device)
    return encoder_features(load_encoder(name, device=device))


def default_features(images: ImageSet, encoder: Encoder) -> FeatureSpace:
    """The space in which sets of pictures are compared unless a user names one.

    The judge on scenes, else Inception where its weights are at hand, else the encoder.

    Args:
        images: What pictures are compared with.
        encoder: The encoder under study, or the first of several; on the device where to compute.
    """
    device = device_of(encoder)
    if images.factors([0]) is not None:
        return _judge(device)
    return _inception(device) if inception_is_here() else encoder_features(encoder)


def encoder_features(encoder: Encoder) -> FeatureSpace:
    """The space of an encoder's level ``backbone``, on its device."""
    device = device_of(encoder)

    def look(images: torch.Tensor) -> Look:
        return encoder(images.to(device))["backbone"], None

    return FeatureSpace(encoder.name, f"FD-{encoder.name}", "", encoder.network_fingerprint, look)


def inception_file() -> Path:
    """Where the weights of Inception are looked for."""
    return cache_folder() / INCEPTION_FILE


def inception_is_here() -> bool:
    """Whether FID can be computed: torch-fidelity is installed and the weights are in their place."""
    return find_spec("torch_fidelity") is not None and inception_file().is_file()


def _judge(device: str | torch.device) -> FeatureSpace:
    judge = load_judge(device)

    def look(images: torch.Tensor) -> Look:
        features = judge.features(images.to(device))
        return features, judge.heads(features)[:, : len(CLASSES)].softmax(1)

    return FeatureSpace(JUDGE, "FD-judge", "IS-judge", judge.fingerprint, look)


def _inception(device: str | torch.device) -> FeatureSpace:
    path = inception_file()
    if not path.is_file():
        raise UserError(
            f"the weights of Inception are not here, and without them there is no FID: {path} is missing",
            f"put {INCEPTION_URL} there, or use --features with judge or an encoder",
        )
    if find_spec("torch_fidelity") is None:
        raise UserError("FID needs the package torch-fidelity", "pip install torch-fidelity")
    load_state(path)  # refuses what holds more than tensors, before torch-fidelity unpickles it
    extractor = import_module("torch_fidelity.feature_extractor_inceptionv3").FeatureExtractorInceptionV3
    outputs = ["2048", "logits_unbiased"]
    network = extractor(INCEPTION, outputs, feature_extractor_weights_path=str(path)).to(device)

    def look(images: torch.Tensor) -> Look:
        features, logits = network((images * 255).round().to(device, torch.uint8))  # what a picture file holds
        return features, logits.softmax(1)

    return FeatureSpace(INCEPTION, "FID", "IS", fingerprint(network), look)
