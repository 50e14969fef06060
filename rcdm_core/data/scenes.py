"""Fashion scenes: a small world in which every factor of variation is known.

A scene is one Fashion-MNIST garment (28 x 28 grey, Xiao et al. 2017), tinted, turned, scaled and moved on a 32 x 32 RGB
canvas over a background of two tones of one hue. It is a pure function of ``(split, index, seed)``: factors come from a
counter-based generator (splitmix64; Steele et al. 2014), so that any subset of scenes, in any order, on any machine, is
rendered alike and without rendering the others.

==================== ========================== ==========================================================
factor               range                      meaning
==================== ========================== ==========================================================
``class``            0 .. 9                     Fashion-MNIST label
``hue``              [0, 1), circular           hue of the garment, in turns
``background_hue``   [0, 1), circular           hue of the background, in turns
``brightness``       [0.25, 0.95]               value (HSV) of the background's lighter tone
``direction``        [0, 1), circular           where the background's lighter tone lies, in turns from +x
``x``, ``y``         [-0.2, 0.2]                garment centre from the canvas centre, in half sides (+ is right, down)
``scale``            [0.75, 1.0]                side of the garment's 28 x 28 box over side of the canvas
``angle``            [-30, 30]                  rotation in degrees, clockwise
==================== ========================== ==========================================================
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from rcdm_core.data.garments import load_garments

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import ArrayLike

SIZE = 32
CLASSES = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
RANGES = {
    "hue": (0.0, 1.0),
    "background_hue": (0.0, 1.0),
    "brightness": (0.25, 0.95),
    "direction": (0.0, 1.0),
    "x": (-0.2, 0.2),
    "y": (-0.2, 0.2),
    "scale": (0.75, 1.0),
    "angle": (-30.0, 30.0),
}
CIRCULAR = ("hue", "background_hue", "direction")
LINEAR = ("brightness", "x", "y", "scale", "angle")

_SATURATION_GARMENT, _SATURATION_BACKGROUND = 0.75, 0.45
_DARK_TONE = 0.75  # value of the background's darker tone, relative to the lighter one
_SHADING = (0.25, 0.75)  # garment value = offset + slope * grey level: black cloth stays visible


@dataclass(frozen=True)
class Scenes:
    """The scenes of one split, indexable by integer arrays.

    Args:
        split: ``"train"`` (60,000 garments, needs a download or a folder) or ``"test"`` (10,000, in the package).
        seed: Seed of the factors. Another seed is another draw of the same garments' colours and poses.
        root: Folder that holds the Fashion-MNIST files of the training split.

    Indices beyond the garments stand for the same ones with new factors.
    """

    split: str = "test"
    seed: int = 0
    root: Path | None = None

    def __len__(self) -> int:
        """Number of garments."""
        return len(load_garments(self.split, self.root)[1])

    def factors(self, indices: ArrayLike | None = None) -> pd.DataFrame:
        """The known factors, one row a scene, columns ``class`` and the keys of `RANGES`."""
        indices = np.arange(len(self)) if indices is None else np.asarray(indices)
        labels = load_garments(self.split, self.root)[1].numpy()
        uniform = _uniform(self.split, indices, self.seed, len(RANGES))
        columns = {name: low + (high - low) * uniform[:, i] for i, (name, (low, high)) in enumerate(RANGES.items())}
        return pd.DataFrame({"class": labels[indices % len(labels)], **columns}, index=indices)

    def images(self, indices: ArrayLike | None = None) -> torch.Tensor:
        """Rendered scenes, ``[N, 3, 32, 32]`` in [0, 1]."""
        indices = np.arange(len(self)) if indices is None else np.asarray(indices)
        garments = load_garments(self.split, self.root)[0]
        chosen = garments[torch.from_numpy(indices % len(garments))]
        return render(chosen.float() / 255, self.factors(indices))

    def __getitem__(self, indices: ArrayLike) -> torch.Tensor:
        return self.images(indices)


def render(garments: torch.Tensor, factors: pd.DataFrame) -> torch.Tensor:
    """Draw garments with the given factors.

    Args:
        garments: Grey levels ``[N, 28, 28]`` in [0, 1], 0 where there is no cloth.
        factors: One row a scene, columns as `RANGES`.

    Returns:
        Images ``[N, 3, 32, 32]`` in [0, 1].
    """
    f = {name: torch.tensor(factors[name].to_numpy(), dtype=torch.float32) for name in RANGES}
    angle = f["angle"] * (math.pi / 180)
    cos, sin = torch.cos(angle) / f["scale"], torch.sin(angle) / f["scale"]
    # Rows map canvas coordinates (centred on the garment) back to the garment's own.
    theta = torch.stack(
        [
            torch.stack([cos, sin, -cos * f["x"] - sin * f["y"]], -1),
            torch.stack([-sin, cos, sin * f["x"] - cos * f["y"]], -1),
        ],
        1,
    )
    grid = F.affine_grid(theta, [len(garments), 1, SIZE, SIZE], align_corners=False)
    cloth = (garments * 12).clamp(max=1)  # any grey above black is cloth, with a soft edge
    layers = torch.stack([garments, cloth], 1)
    grey, alpha = F.grid_sample(layers, grid, align_corners=False).split(1, 1)

    offset, slope = _SHADING
    garment = _hsv(f["hue"], _SATURATION_GARMENT) * (offset + slope * grey / alpha.clamp(min=1e-3)).clamp(max=1)

    line = torch.linspace(-1, 1, SIZE)
    turn = 2 * math.pi * f["direction"][:, None, None]
    along = torch.cos(turn) * line[None, None, :] + torch.sin(turn) * line[None, :, None]
    tone = _DARK_TONE + (1 - _DARK_TONE) * torch.sigmoid(8 * along)
    background = _hsv(f["background_hue"], _SATURATION_BACKGROUND) * (f["brightness"][:, None, None] * tone)[:, None]
    return alpha * garment + (1 - alpha) * background


def _hsv(hue: torch.Tensor, saturation: float) -> torch.Tensor:
    """RGB of full value, ``[N, 3, 1, 1]``, for hues ``[N]`` in turns."""
    offsets = torch.tensor([5.0, 3.0, 1.0])
    k = (offsets + hue[:, None] * 6) % 6
    rgb = 1 - saturation * torch.minimum(k, 4 - k).clamp(0, 1)
    return rgb[:, :, None, None]


def _uniform(split: str, indices: np.ndarray, seed: int, count: int) -> np.ndarray:
    """Uniform draws in [0, 1), ``[N, count]``, each a hash of (split, index, seed, column)."""
    with np.errstate(over="ignore"):
        state = _mix(np.uint64(seed) + np.uint64({"train": 1, "test": 2}[split]) * np.uint64(0x9E3779B97F4A7C15))
        state = _mix(indices.astype(np.uint64) + state)
        draws = _mix(state[:, None] + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return (draws >> np.uint64(11)).astype(np.float64) / 2**53


def _mix(z: Any) -> Any:
    """The finaliser of splitmix64: a bijection of 64-bit words that looks random."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
