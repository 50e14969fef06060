"""Any network of timm, by name or from the Hugging Face hub, with the transforms that timm gives its weights.

The level ``backbone`` is what the network itself pools for its classifier: the class token or the mean of the patches
of a transformer, as its weights were trained, the mean over positions of a convolutional network. The card says which.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies

import timm
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform
from torch import nn

from rcdm_core.encoders.any_network import fill_network, known_training, measured
from rcdm_core.encoders.preprocess import Steps, decoded_size
from rcdm_core.errors import UserError, first_line, unknown_name
from rcdm_core.weights import Fresh, seeded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rcdm_core.encoders.encoder import Encoder


def load_timm(name: str, *, weights: Path | Fresh | None = None) -> Encoder:
    """An encoder ``timm/NAME`` or ``hf-hub:ORG/NAME``.

    Args:
        name: The name; timm's may carry a tag of its weights (``timm/resnet18.a1_in1k``).
        weights: A file under the network's own names, or fresh weights; None takes timm's pretrained ones.

    Raises:
        UserError: No such network (says the nearest), or its weights are not here, cannot be fetched or do not fit.
    """
    model = name.removeprefix("timm/")
    architecture, _, tag = model.partition(".")
    if not name.startswith("hf-hub:") and not timm.is_model(architecture):
        raise unknown_name("timm network", architecture, timm.list_models())
    try:
        with seeded(weights), _hub():
            network: Any = timm.create_model(model, pretrained=weights is None, num_classes=0)
    except (OSError, HfHubHTTPError) as error:
        raise UserError(
            f"the weights of {name} are not on this machine and could not be fetched",
            f"give a file with --weights FILE, or a copy of the Hugging Face cache in {constants.HF_HUB_CACHE}",
        ) from error
    except Exception as error:  # whatever a repository of the hub holds
        if name.startswith("hf-hub:") or not isinstance(error, RuntimeError):
            raise UserError(
                f"timm cannot make {name} ({type(error).__name__}: {first_line(error)})",
                "check the name; the repository has to hold a network of timm and its config.json",
            ) from error
        tags = [known.partition(".")[2] for known in timm.list_models(f"{architecture}.*", pretrained=True)]
        if tag and tag not in tags:
            raise unknown_name(f"weights of {architecture}", tag, tags) from error
        raise UserError(f"timm has no weights of {architecture}", "give a file with --weights FILE") from error
    settings = network.pretrained_cfg
    source = f"{settings.get('architecture', architecture)}.{settings.get('tag') or 'untagged'}"
    classifier = settings.get("classifier") or ()
    layers = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    told = fill_network(network, weights, of=name, own=source, without=layers)
    config = resolve_model_data_config(network)
    pooling = _pooling(network)
    preprocess = Steps(create_transform(**config, is_training=False))
    size = decoded_size(preprocess) or max(config["input_size"][1:])
    encoder = measured(name, network, preprocess, size, about=pooling)
    encoder.is_ssl = known_training(weights, source)
    card = {"network": settings.get("architecture", architecture), "weights": told, "pooling": {"backbone": pooling}}
    encoder.card = card | encoder.card
    return encoder


def _pooling(network: Any) -> str:
    """How the network pools its features, in words."""
    pool = getattr(network, "global_pool", None) or getattr(getattr(network, "head", None), "global_pool", "")
    if isinstance(pool, nn.Module):
        kind, average = getattr(pool, "pool_type", ""), "mean over positions"
    else:
        kind, average = pool, "mean of patches"
    return {"avg": average, "token": "class token", "map": "attention pooling", "": "none"}.get(kind, str(kind))


@contextmanager
def _hub() -> Iterator[None]:
    """Without a network, the Hub's client is told so: it then looks into its cache at once, not after a minute."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _reachable(constants.ENDPOINT.split("/")[2])
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _reachable(host: str) -> bool:
    if getproxies():  # a proxy knows the names
        return True
    try:
        socket.getaddrinfo(host.partition(":")[0], 443)
    except OSError:
        return False
    return True
