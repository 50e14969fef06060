"""Networks that others publish: any of timm, by name or from the Hugging Face hub, and entry points of torch.hub.

Of timm's networks the level ``backbone`` is what the network itself pools for its classifier: the class token or the
mean of the patches of a transformer, as its weights were trained, the mean over positions of a convolutional network.
The card says which, where that is all that it does. The preprocessing is the one that timm gives the weights.

A repository of torch.hub is run only if it is trusted: PyTorch asks before the first use of one, and remembers the
answer. It may also be a folder with a ``hubconf.py``. What an entry point returns says nothing of its preprocessing:
ImageNet's usual one is taken, and the card says so; for another, write a function and name it ``python:...``.
"""

from __future__ import annotations

import re
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

import timm
import torch
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError
from timm.data.config import resolve_model_data_config
from timm.data.constants import IMAGENET_DEFAULT_MEAN as MEAN
from timm.data.constants import IMAGENET_DEFAULT_STD as STD
from timm.data.transforms_factory import create_transform
from torch import nn

from rcdm_core.encoders.any_network import assembled, fill_network, left_out, measured, ready
from rcdm_core.encoders.encoder import pooled
from rcdm_core.encoders.others_modules import imported_from, modules_as_they_are
from rcdm_core.encoders.preprocess import Steps, decoded_size
from rcdm_core.encoders.soundness import fixed_images, others_code
from rcdm_core.errors import UserError, told, unknown_name
from rcdm_core.fingerprint import fingerprint
from rcdm_core.hub import offline_without_a_network
from rcdm_core.paths import user_path
from rcdm_core.weights import Fresh, seeded

if TYPE_CHECKING:
    from rcdm_core.encoders.encoder import Encoder

_OWN = "write a function that returns the network with its transform, and name it python:..."
IMAGE_SIZE = 224  # pixels
DECODED = 256  # pixels of the short side before it is cropped

CLASSIFIERS = ("fc", "classifier", "head", "heads")
"""What torchvision and others call the last layers of a network."""

_SELF_SUPERVISED = {"dino", "dinov2", "dinov3", "fcmae", "ijepa", "mae", "mim", "seer"}
_UNLABELLED = {"lvd142m", "lvd1689m", "sat493m"}
"""Words in timm's tags for methods without labels, and whole tags: images on which DINOv2 and DINOv3 were trained."""
_AUTHORS = re.compile(
    r"facebookresearch/(barlowtwins|dino|dinov2|dinov3|swav|vicreg)|facebook/(dino|ijepa|vit-mae|vit-msn|webssl).*"
)
"""Repositories of the authors of such methods, on GitHub and on the hub."""


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
        with seeded(weights), offline_without_a_network():
            network: Any = timm.create_model(model, pretrained=weights is None, num_classes=0)
    except (OSError, HfHubHTTPError) as error:
        raise UserError(
            f"the weights of {name} are not on this machine and could not be fetched",
            "give a file with --weights FILE, fresh ones with --weights random, or a copy of the Hugging Face cache "
            f"in {constants.HF_HUB_CACHE}",
        ) from error
    except Exception as error:  # whatever a repository of the hub holds
        if name.startswith("hf-hub:") or not isinstance(error, RuntimeError):
            raise UserError(
                f"timm cannot make {name} ({told(error)})",
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
    filled = fill_network(network, weights, name, source, layers)
    config = resolve_model_data_config(network)
    about = _pooling(network)
    with others_code(f"the preprocessing that timm gives {name} cannot be done on tensors", _OWN):
        transform: Any = create_transform(**config, is_training=False)
        preprocess = Steps(transform)
        size = decoded_size(preprocess) or max(config["input_size"][1:])
    card = {"network": settings.get("architecture", architecture), "weights": filled}
    is_timms = name.startswith(("timm/", "hf-hub:timm/"))  # whoever tunes one of them hands its tag on
    is_ssl = known_training(weights, settings.get("tag") or "") if is_timms else known_training(weights)
    encoder = assembled(name, network, preprocess, size, is_ssl, about)
    encoder = measured(encoder, card, theirs=lambda picture: transform(picture)[None])
    with torch.no_grad():
        encoder.card.setdefault("pooling", {"backbone": _pooled_by(network, preprocess(fixed_images(size)[:1]))})
    return encoder


def _pooled_by(network: Any, pixels: torch.Tensor) -> str:
    """How the network pools its features, in words, where that is all it does: many norm what they pooled."""
    features, h = network.forward_features(pixels), network(pixels)
    if not isinstance(features, torch.Tensor) or features.ndim not in (3, 4):
        return "the network's own"
    ways = {"mean over positions": pooled(features, network)}
    if features.ndim == 3:
        before, norm = getattr(network, "num_prefix_tokens", 0), getattr(network, "fc_norm", None) or nn.Identity()
        ways = {"mean of patches": norm(features[:, before:].mean(1))}
        ways |= {"class token": norm(features[:, 0])} if before else {}
    fitting = (words for words, one in ways.items() if one.shape == h.shape and one.allclose(h, atol=1e-4))
    return next(fitting, "the network's own")


def _pooling(network: Any) -> str:
    """What the network says of its pooling, by which it is known again beside weights and code."""
    pool = getattr(network, "global_pool", None) or getattr(getattr(network, "head", None), "global_pool", "")
    if isinstance(pool, nn.Module):
        kind, average = getattr(pool, "pool_type", ""), "mean over positions"
    else:
        kind, average = pool, "mean of patches"
    return {"avg": average, "token": "class token", "map": "attention pooling", "": "none"}.get(kind, str(kind))


def load_torchhub(name: str, *, weights: Path | Fresh | None = None) -> Encoder:
    """An encoder ``torchhub/REPO:NAME``.

    Args:
        name: REPO is ``owner/repository``, ``owner/repository:branch`` or a folder; NAME is an entry point.
        weights: A file under the network's own names, or fresh weights; None takes the pretrained ones.

    Raises:
        UserError: The repository cannot be fetched, is not trusted or has no such entry point; weights do not fit; or
            fresh ones are not what the entry point gives.
    """
    repository, _, entry = name.removeprefix("torchhub/").rpartition(":")
    folder = user_path(repository, "the repository")
    local = bool(repository) and folder.is_dir()
    owned, _, branch = repository.partition(":")
    if not local and repository.startswith((".", "/", "~")):
        raise UserError(f"there is no folder {repository}", f"the current folder is {Path.cwd()}")
    if not local and owned.count("/") != 1:
        raise UserError(
            f"{name!r} names no repository", "write torchhub/OWNER/REPOSITORY:BRANCH:NAME, or torchhub/./FOLDER:NAME"
        )
    address, source = (str(folder.resolve()), "local") if local else (repository, "github")
    options: dict[str, Any] = {"source": source, "trust_repo": "check", "verbose": False}
    fetched, cache = f"{owned}_{branch or '*'}".replace("/", "_"), Path(torch.hub.get_dir())
    own, root = ([folder], folder) if local else ([*cache.glob(fetched)], cache)  # of all branches where none is named

    def made(weights: Path | Fresh | None) -> Any:
        with modules_as_they_are(own, root), seeded(weights):
            try:
                return torch.hub.load(address, entry, pretrained=weights is None, **options)
            except TypeError as error:  # an entry point that knows no ``pretrained``
                if isinstance(weights, Fresh) or "pretrained" not in str(error):
                    raise
                return torch.hub.load(address, entry, **options)

    try:
        network = made(weights)
        another = made(Fresh(weights.seed ^ 1)) if isinstance(weights, Fresh) else None
    except (Exception, SystemExit) as error:  # the repository's own code has run
        raise UserError(f"torch.hub gives no {entry!r} of {repository} ({told(error)})", _remedy(error)) from error
    if not isinstance(network, nn.Module):
        raise UserError(
            f"{name} gives a {type(network).__name__}, not a network", "wrap it in a function and use python:..."
        )
    if another is not None and fingerprint(another) == fingerprint(network):
        raise UserError(
            f"{name} gives the same weights whatever the seed: it loads its own even if asked for a network without",
            "leave out --weights random",
        )
    network = ready(network, name)
    replaced = without_classifier(network)
    card = {
        "network": f"{entry} of {repository}",
        "weights": fill_network(network, weights, name, "the repository's", CLASSIFIERS),
        "preprocessing": "ImageNet's usual one, assumed",
        "pooling": {"backbone": "the network's own"},
        **({"classifier": left_out(name, replaced)} if replaced else {}),
    }
    crop: dict[str, Any] = {"interpolation": "bicubic", "crop_pct": IMAGE_SIZE / DECODED, "mean": MEAN, "std": STD}
    preprocess = Steps(create_transform(IMAGE_SIZE, **crop, is_training=False))
    code = {file for one in own for file in imported_from(one / "hubconf.py", one)}
    size, is_ssl = decoded_size(preprocess) or DECODED, known_training(weights, repository=owned)
    return measured(assembled(name, network, preprocess, size, is_ssl), card, code, not replaced)


_CONNECT = "connect to the network once, or put a copy of the repository in a folder: torchhub/./FOLDER:NAME"


def _remedy(error: BaseException) -> str:
    match error:
        case EOFError():
            return "it is not trusted yet: answer y to the question in a terminal"
        case OSError() if Path(error.filename or "").name == "hubconf.py":
            return "name the folder of a repository that has one"
        case OSError() | HTTPException():
            return _CONNECT
        case RuntimeError() if "internet" in str(error):
            return _CONNECT
        case _:
            return "the repository's hubconf.py says which entry points there are and what they need"


def without_classifier(network: nn.Module) -> dict[str, int]:
    """Replace a network's last linear layer, if it has one under a usual name, by nothing: names and widths of such."""
    replaced = {}
    for name in CLASSIFIERS:
        layer = getattr(network, name, None)
        if isinstance(layer, nn.Linear):
            replaced[name] = layer.out_features
            setattr(network, name, nn.Identity())
        elif isinstance(layer, nn.Sequential) and len(layer) and isinstance(layer[-1], nn.Linear):
            replaced[name] = layer[-1].out_features
            layer[-1] = nn.Identity()
    return replaced


def known_training(weights: Path | Fresh | None, tag: str = "", repository: str = "") -> bool | None:
    """Whether weights are self-supervised, as far as it is known.

    Args:
        weights: A file, of which nothing is known; fresh weights, which were not trained; or None for the published
            ones.
        tag: What timm calls the published weights. It tells of labels (``in1k``), or of self-supervised training that
            no fine-tuning (``ft``) followed (``dino``), or of neither. What others call theirs tells nothing.
        repository: Where they are from, as ``facebook/dinov2-base``: what authors of methods publish, these have made.

    Returns:
        None where it is not known.
    """
    if weights is not None:
        return False if isinstance(weights, Fresh) else None
    words = set(tag.split("_"))
    if _AUTHORS.fullmatch(repository) or tag in _UNLABELLED or (words & _SELF_SUPERVISED and "ft" not in words):
        return True
    return False if any(re.fullmatch(r"ft|in\d+k", word) for word in words) else None
