"""The judge: a network trained only to read the known factors off a scene. It is never the encoder under study.

Class by cross-entropy; linear factors by squared error on [-1, 1]; circular ones by squared error on (cos, sin).
"""

from __future__ import annotations

import math
from functools import cached_property
from importlib.resources import as_file, files
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from rcdm_core.data.scenes import CIRCULAR, CLASSES, LINEAR, RANGES
from rcdm_core.encoders.embedded import WIDTH, preprocessing, trunk
from rcdm_core.errors import UserError
from rcdm_core.fingerprint import fingerprint
from rcdm_core.state_dicts import fill_new
from rcdm_core.weight_files import load_state

OUTPUTS = len(CLASSES) + len(LINEAR) + 2 * len(CIRCULAR)


class Judge(nn.Module):
    """Reads class, linear and circular factors from images ``[N, 3, 32, 32]`` in [0, 1].

    Args:
        device: Of its weights, which are fresh; on ``"meta"`` there are none.
    """

    def __init__(self, device: str = "cpu") -> None:
        super().__init__()
        self.preprocess = preprocessing()
        with torch.device(device):
            self.trunk, self.heads = trunk(), nn.Linear(WIDTH, OUTPUTS)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Pooled features ``[N, 384]``, the space of FD-judge."""
        return self.trunk(self.preprocess(images)).float()

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Class logits ``[N, 10]``, linear factors ``[N, 5]`` in [-1, 1], circular ones ``[N, 3, 2]``."""
        logits, linear, circular = (
            self.heads(self.trunk(self.preprocess(images)))
            .float()
            .split([len(CLASSES), len(LINEAR), 2 * len(CIRCULAR)], dim=1)
        )
        return logits, linear, circular.unflatten(1, (len(CIRCULAR), 2))

    @torch.no_grad()
    def read(self, images: torch.Tensor, *, batch_size: int = 512) -> pd.DataFrame:
        """The factors of images in their own units, columns as `rcdm_core.data.scenes.Scenes.factors`."""
        device = self.heads.weight.device
        parts = [self(batch.to(device)) for batch in images.split(batch_size)]
        logits, linear, circular = (torch.cat(part).cpu() for part in zip(*parts, strict=True))
        table = {"class": logits.argmax(1).numpy()}
        turns = (torch.atan2(circular[..., 1], circular[..., 0]) / (2 * math.pi)) % 1
        for name in RANGES:
            if name in CIRCULAR:
                table[name] = turns[:, CIRCULAR.index(name)].numpy()
            else:
                low, high = RANGES[name]
                unit = linear[:, LINEAR.index(name)].numpy()
                table[name] = low + (high - low) * (unit + 1) / 2
        return pd.DataFrame(table)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights."""
        return fingerprint(self)


def targets(factors: pd.DataFrame) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Labels ``[N]``, linear targets ``[N, 5]`` in [-1, 1] and circular ones ``[N, 3, 2]`` of a table of factors."""
    labels = torch.tensor(factors["class"].to_numpy())
    linear = [2 * (factors[n] - RANGES[n][0]) / (RANGES[n][1] - RANGES[n][0]) - 1 for n in LINEAR]
    turns = torch.tensor(factors[list(CIRCULAR)].to_numpy(), dtype=torch.float32) * 2 * math.pi
    return (
        labels,
        torch.tensor(pd.concat(linear, axis=1).to_numpy(), dtype=torch.float32),
        torch.stack([turns.cos(), turns.sin()], -1),
    )


def load_judge(device: str | torch.device = "cpu") -> Judge:
    """The judge that ships in the package, frozen and in evaluation mode.

    Raises:
        UserError: The package was built without its weights.
    """
    with as_file(files("rcdm_core.zoo") / "weights") as folder:
        return read_judge(folder).to(device)


def read_judge(folder: Path) -> Judge:
    """The judge of ``folder/judge.safetensors``.

    Raises:
        UserError: The weights are not there, are damaged or do not fit.
    """
    path = folder / "judge.safetensors"
    if not path.is_file():
        raise UserError(f"the judge's weights are not in {folder}", "train them with `rcdm-probe zoo train`")
    judge = Judge("meta")
    fill_new(judge, load_state(path), path, "the judge's state dict, with names trunk.* and heads.*")
    return judge.eval().requires_grad_(False)
