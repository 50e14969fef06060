"""Where and how the zoo is trained: what every part of it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """The circumstances of a training.

    Attributes:
        folder: Where checkpoints, weights and cards go, and where the RCDM finds its encoders.
        start: Folder of the weights to begin with; None for fresh ones. A checkpoint in ``folder`` goes before it.
        garments: Folder of the Fashion-MNIST training files; None looks for them, then downloads them.
        seed: Of weights, scenes and views; another one makes another zoo by the same recipe.
        device: ``"cpu"``, ``"cuda"`` or ``"mps"``.
    """

    folder: Path
    start: Path | None = None
    garments: Path | None = None
    seed: int = 0
    device: str = "cpu"

    def loop(self, name: str) -> dict[str, Any]:
        """What `rcdm_core.training.train` is told of the part ``name``."""
        return {
            "folder": self.folder / name,
            "description": name,
            "of": name,
            "device": self.device,
        }
