"""Networks of transformers and of OpenCLIP, which are optional: ``hf:ORG/NAME`` and ``open_clip:NAME/TAG``.

Of a network of transformers the level ``backbone`` is what it pools itself (for a CLIP or SigLIP, its image tower); by
name there are besides, where it has them, ``class_token`` and ``patches``, the grid of patches behind its last layer,
as a level their mean. Its image processor tells sizes, filter and normalisation; they are done by torchvision here, so
that a gradient goes through them. Of a network of OpenCLIP ``backbone`` is the embedding that is compared with texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub import constants
from timm.data.transforms import ResizeKeepRatio
from torch import nn
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from rcdm_core.encoders.any_network import assembled, fill_network, measured, ready
from rcdm_core.encoders.hubs import known_training
from rcdm_core.encoders.preprocess import Steps, Way, alike, decoded_size, picture_of, smooth
from rcdm_core.encoders.soundness import fixed_images, others_code
from rcdm_core.errors import UserError, told, unknown_name
from rcdm_core.hub import offline_without_a_network
from rcdm_core.images import square
from rcdm_core.state_dicts import COUNTER, require_tensors
from rcdm_core.weight_files import load_state
from rcdm_core.weights import Fresh, seeded

if TYPE_CHECKING:
    from PIL import Image

    from rcdm_core.encoders.encoder import Encoder

_FILTERS = {0: InterpolationMode.NEAREST, 2: InterpolationMode.BILINEAR, 3: InterpolationMode.BICUBIC}
_WARPED = 384  # pixels from which ConvNeXt resizes without regard to shape
_COUNTS = ("position_ids", COUNTER)  # whole numbers beside the weights
_TO_RGB = ("MaybeConvertMode", "_convert_to_rgb")  # what OpenCLIP calls it; of pictures alone
_OWN = "write a function that returns the network with its transform, and name it python:..."


class _Level(nn.Module):
    """Gives on what it is given: a place by which a tensor can be caught."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features.clone()


class ImageTower(nn.Module):
    """A vision network of transformers: what it pools, and by name its class token and the grid of its patches.

    Args:
        network: Gives ``last_hidden_state``, tokens ``[N, T, C]`` or a map ``[N, C, H, W]``, and may pool it.
        patch: Side of a patch in pixels; 0 for a network without.
        pools: Whether what it pools is trained; else the class token stands for it, or the mean.
        behind: Tokens that are no patches and stand behind them; others stand before.
    """

    def __init__(self, network: nn.Module, patch: int, pools: bool, behind: int = 0) -> None:
        super().__init__()
        self.network, self.patch, self.pools, self.behind = network, patch, pools, behind
        self.class_token, self.patches = _Level(), _Level()

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Features ``[N, D]`` of ``[N, 3, H, W]``."""
        return self.pooled(pixels)[0]

    def pooled(self, pixels: torch.Tensor) -> tuple[torch.Tensor, str]:
        """Features ``[N, D]`` of ``[N, 3, H, W]``, and in words how they are pooled."""
        found = self.network(pixel_values=pixels)
        hidden, words = found.last_hidden_state, "mean over positions"
        if hidden.ndim == 4:
            mean = self.patches(hidden).mean((2, 3))
        else:
            words = "mean of patches"
            hidden = hidden[:, : hidden.shape[1] - self.behind]
            rows, columns = (side // self.patch if self.patch else 0 for side in pixels.shape[2:])
            before = max(0, hidden.shape[1] - rows * columns) if self.patch else 0
            mean, tokens = hidden[:, before:].mean(1), hidden[:, before:].mT
            if rows * columns != tokens.shape[2]:  # merged on their way
                rows = columns = isqrt(tokens.shape[2])
            self.patches(tokens.unflatten(2, (rows, columns)) if rows * columns == tokens.shape[2] else mean)
            if before:
                mean, words = self.class_token(hidden[:, 0]), "class token"
        pooler = getattr(found, "pooler_output", None) if self.pools else None
        return (mean, words) if pooler is None else (pooler.flatten(1), "the network's own")


def load_huggingface(name: str, *, weights: Path | Fresh | None = None) -> Encoder:
    """An encoder ``hf:ORG/NAME``, or ``hf:./FOLDER``.

    Args:
        name: A repository of the Hugging Face hub, or a folder as ``save_pretrained`` writes it.
        weights: A file under the network's own names, or fresh weights; None takes the repository's.

    Raises:
        UserError: transformers is not installed; there is no such repository here or to be fetched; it holds no vision
            network with an image processor; or weights do not fit.
    """
    transformers = _required("transformers", "hf", name)
    source = name.removeprefix("hf:")
    transformers.utils.logging.disable_progress_bar()
    try:
        with offline_without_a_network(), seeded(weights):
            processor = transformers.AutoImageProcessor.from_pretrained(source)
            settings = processor.to_dict()
            shape = transformers.AutoConfig.from_pretrained(source)
            asked: dict[str, Any] = {"config": shape, "output_loading_info": True}
            info: dict[str, Any] = {}
            if weights is None:
                network, info = transformers.AutoModel.from_pretrained(source, **asked)
            else:
                network = transformers.AutoModel.from_config(shape)
                if not isinstance(weights, Fresh):
                    asked |= {"state_dict": _state(network, weights), "ignore_mismatched_sizes": True}
                    network, info = type(network).from_pretrained(None, **asked)
            reshaped = [name for name, *_ in info.get("mismatched_keys", ())]
            untrained = [*info.get("missing_keys", ()), *reshaped]
            if isinstance(weights, Fresh) and not _is_saved_with_pooler(transformers, shape):
                untrained = [key for key in network.state_dict() if "pooler" in key]
    except OSError as error:
        raise UserError(
            f"{name} is not on this machine and could not be fetched ({told(error)})",
            f"check the name, or put a copy of the Hugging Face cache in {constants.HF_HUB_CACHE}",
        ) from error
    except UserError:
        raise
    except Exception as error:  # whatever a repository of the hub holds
        raise UserError(
            f"transformers makes no vision network of {name} ({told(error)})",
            "the repository has to hold a network of transformers and a preprocessor_config.json",
        ) from error
    pools = not any("pooler" in key for key in untrained)  # those of a classifier are not
    lacking = [key for key in untrained if "pooler" not in key]
    parts, others = {*dict(network.named_children())}, sorted(info.get("unexpected_keys", ()))
    plain = {key: key.removeprefix(f"{getattr(network, 'base_model_prefix', '')}.") for key in others}
    strange = [key for key in others if plain[key].partition(".")[0] in parts] if isinstance(weights, Path) else []
    for problem, keys in (("lacks or has in another shape", lacking), ("has beside those", strange)):
        if keys:
            raise UserError(
                f"{weights or name} {problem} of the network {len(keys)} tensors, the first {keys[0]}",
                "give the file that belongs to it, with the names that save_pretrained writes",
            )
    filled = "the repository's" if weights is None else weights.name if isinstance(weights, Path) else str(weights)
    if isinstance(weights, Path) and others:
        filled += f", of which {len(others)} tensors are left aside (first: {others[0]})"
    network = ready(getattr(network, "vision_model", network), name)
    patch = getattr(network.config, "patch_size", 0)
    trunk = ImageTower(
        network, patch if isinstance(patch, int) else 0, pools, getattr(network.config, "num_detection_tokens", 0)
    )
    preprocess = Steps(transforms.Compose(_steps(settings, name)))
    size = decoded_size(preprocess) or max(_sides(settings.get("crop_size") or settings["size"]))

    def theirs(picture: Image.Image) -> torch.Tensor:
        return processor(picture, return_tensors="pt")["pixel_values"]

    _refuse_another(preprocess, theirs, size, name)
    card = {
        "network": type(network).__name__,
        "weights": filled,
        "pooling": {"backbone": "the network's own"},
    }
    about, is_ssl = f"{transformers.__version__}{network.config}", known_training(weights, repository=source)
    encoder = measured(assembled(name, trunk, preprocess, size, is_ssl, about), card, theirs=theirs)
    with torch.no_grad():
        encoder.card["pooling"] = {"backbone": trunk.pooled(preprocess(fixed_images(size)[:1]))[1]}
    return encoder


def _state(network: nn.Module, path: Path) -> dict[str, torch.Tensor]:
    """The weights in a file, for transformers to fill a network with, which takes whatever numbers there are.

    Raises:
        UserError: It holds anything but plain numbers by name, or the network twice: as it is and within another.
    """
    state = load_state(path)
    require_tensors({key: value for key, value in state.items() if str(key).rpartition(".")[2] not in _COUNTS}, path)
    within = f"{getattr(network, 'base_model_prefix', '')}."
    if twice := [key for key in state if key.startswith(within) and key.removeprefix(within) in state]:
        raise UserError(
            f"{path} holds several sets of weights: beside {twice[0]} there is {twice[0].removeprefix(within)}",
            "save the one that is meant alone, as a state dict",
        )
    return state


def _is_saved_with_pooler(transformers: Any, shape: Any) -> bool:
    """Whether the network that a repository holds has a part that pools, as those within classifiers have none."""
    saved = getattr(transformers, next(iter(shape.architectures or ()), ""), None)
    if saved is None:
        return True
    with torch.device("meta"):
        return any("pooler" in key for key in saved(shape).state_dict())


def _refuse_another(preprocess: nn.Module, theirs: Way, size: int, name: str) -> None:
    """Raise a `UserError` if a preprocessing does not do to a picture what the library does: flips colours, say."""
    for side in (size, size + size // 2):
        picture = picture_of(smooth(side, side))
        with torch.no_grad(), others_code(f"the image processor of {name} fails"):
            wanted = theirs(picture)
        if not alike(preprocess(square(picture, size)[None]), wanted):
            raise UserError(
                f"the image processor of {name} does something else to a picture than its settings say to resize, "
                "crop and normalise it",
                _OWN,
            )


def _steps(settings: Mapping[str, Any], name: str) -> list[Any]:
    """What an image processor does to a picture, as torchvision's transforms.

    Raises:
        UserError: It scales pixels to something else than [0, 1] before it normalises them.
    """
    if not settings.get("do_rescale") or abs(settings.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-3:
        raise UserError(f"the image processor of {name} does not scale pixels to [0, 1]", _OWN)
    if not settings.get("size"):
        raise UserError(f"the image processor of {name} does not say to which size it resizes pictures", _OWN)
    steps: list[Any] = []
    crop = settings.get("crop_size") if settings.get("do_center_crop") else None
    if settings.get("do_resize"):
        sides, share = _sides(settings["size"]), settings.get("crop_pct")
        if share and len(sides) == 1:  # of the side that is resized to; of ConvNeXt's large ones nothing is cropped
            crop = crop or (sides if sides[0] < _WARPED else None)
            sides = (int(sides[0] / share),) if crop else 2 * sides
        mode = _FILTERS.get(int(settings.get("resample", 3)), InterpolationMode.BICUBIC)
        steps.append(transforms.Resize(sides[0] if len(sides) == 1 else sides, mode, antialias=True))
    if crop:
        steps.append(transforms.CenterCrop(_sides(crop)))
    steps.append(transforms.ToTensor())
    if settings.get("do_flip_channel_order"):
        steps.append(_blue_first)
    if settings.get("do_normalize"):
        steps.append(transforms.Normalize(settings["image_mean"], settings["image_std"]))
    return steps


def _blue_first(images: torch.Tensor) -> torch.Tensor:
    return images.flip(-3)


def _sides(size: int | tuple[int, ...] | Mapping[str, int]) -> tuple[int, ...]:
    """Height and width, or the short side alone."""
    if isinstance(size, int):
        return (size,)
    if isinstance(size, tuple):
        return size
    known = [size[key] for key in ("height", "width", "shortest_edge") if size.get(key)]
    return tuple(known) if known else (max(size.values()),)


def load_open_clip(name: str, *, weights: Path | Fresh | None = None) -> Encoder:
    """An encoder ``open_clip:NAME/TAG``: the image tower.

    Args:
        name: Name of a network of OpenCLIP, and the tag of its weights (``open_clip:ViT-B-32/laion2b_s34b_b79k``).
        weights: A file under the network's own names, or fresh weights, with which no tag is needed.

    Raises:
        UserError: OpenCLIP is not installed, has no such network or tag, or weights are not here or do not fit.
    """
    library = _required("open_clip", "clip", name)
    model, _, tag = name.removeprefix("open_clip:").partition("/")
    if model not in library.list_models():
        raise unknown_name("network of OpenCLIP", model, library.list_models())
    tags = library.list_pretrained_tags_by_model(model)
    if (weights is None or tag) and tag not in tags:
        raise unknown_name(f"weights of {model}", tag, tags)
    try:
        with offline_without_a_network(), seeded(weights):
            network = library.create_model(model, pretrained=tag if weights is None else None)
    except Exception as error:  # of the hub, of the file
        raise UserError(
            f"the weights of {name} are not on this machine and could not be fetched ({told(error)})",
            f"give a file with --weights FILE, or a copy of the Hugging Face cache in {constants.HF_HUB_CACHE}",
        ) from error
    filled = fill_network(network, weights, name, tag)
    settings = library.transform.PreprocessCfg(**network.visual.preprocess_cfg)
    transform = library.transform.image_transform_v2(settings, is_train=False)
    steps = [step for step in transform.transforms if getattr(step, "__name__", type(step).__name__) not in _TO_RGB]
    preprocess = Steps(transforms.Compose([*map(_on_tensors, steps)]))
    size = decoded_size(preprocess) or max(network.visual.image_size)

    def theirs(picture: Image.Image) -> torch.Tensor:
        return transform(picture)[None]

    _refuse_another(preprocess, theirs, size, name)
    card = {"network": model, "weights": filled, "pooling": {"backbone": "the embedding compared with texts"}}
    is_ssl, tower = known_training(weights), ready(network.visual, name)
    return measured(assembled(name, tower, preprocess, size, is_ssl, library.__version__), card, theirs=theirs)


def _on_tensors(step: Any) -> Any:
    """A step of OpenCLIP as one that takes tensors: timm's, where its own takes pictures alone."""
    if type(step).__name__ != "ResizeKeepRatio":
        return step
    ours = ResizeKeepRatio(step.size, step.longest)
    ours.interpolation = step.interpolation
    return ours


def _required(module: str, extra: str, name: str) -> Any:
    """An optional package.

    Raises:
        UserError: It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise UserError(f"{name} needs the package {module}", f"pip install 'rcdm-probe[{extra}]'") from error
