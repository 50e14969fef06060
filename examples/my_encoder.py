"""An encoder of one's own, for ``--encoder python:my_encoder:build``.

`build` is all that rcdm-probe needs: a function without arguments that returns a network and its preprocessing. Take
your own network here and load your own weights; this one is a timm network with random weights and a projector, so that
the example runs without a download.
"""

from __future__ import annotations

import timm
import torch
from torch import nn
from torchvision.transforms import v2

SIZE = 64  # pixels


class MyEncoder(nn.Module):
    """A trunk and the projector it was trained with.

    A network may also return a tensor ``[N, D]`` alone: then it has the level ``backbone`` only.
    """

    is_ssl = True  # trained without labels: the reports compare it with the claims on such encoders
    training_augmentations = ("crop", "horizontal_flip", "color_jitter")  # what its projector should not see

    def __init__(self) -> None:
        super().__init__()
        self.trunk = timm.create_model("test_resnet", num_classes=0)
        self.projector = nn.Sequential(nn.Linear(96, 128), nn.ReLU(), nn.Linear(128, 32))

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Preprocessed images ``[N, 3, 64, 64]`` to the representations at each level, ``[N, D]``."""
        h = self.trunk(images)
        return {"backbone": h, "projector": self.projector(h)}


def build() -> tuple[nn.Module, nn.Module]:
    """The network, and what makes its input of images ``[N, 3, H, W]`` in [0, 1]."""
    network = MyEncoder()
    # network.load_state_dict(torch.load("my_weights.pt", weights_only=True))  # or give --weights my_weights.pt
    preprocessing = v2.Compose(
        [v2.Resize(SIZE), v2.CenterCrop(SIZE), v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])]
    )
    return network, preprocessing
