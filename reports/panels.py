"""Panels and maps: the pictures that a probe leaves, before anyone has drawn them.

A panel is a labelled grid of images, a map a labelled row of pixel maps. They hold numbers and labels, and no layout;
their captions are words of the report. Both can be looked at.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rcdm_core.images import resize
from rcdm_core.kept import atomic_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from matplotlib.figure import Figure
    from PIL import Image


class Picture(ABC):
    """What can be looked at: in a notebook, as an image, and on axes of one's own."""

    name: str

    @abstractmethod
    def figure(self) -> Figure:
        """The picture with its labels, as a report prints it."""

    def image(self) -> Image.Image:
        """The same as pixels."""
        from reports.notebook import rasterised

        return rasterised(self.figure())

    def plot(self, ax: Any = None) -> Any:
        """The same on axes of matplotlib, by default those of a new figure of ``pyplot``; gives the axes."""
        image = self.image()
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.figure(figsize=[side / image.info["dpi"][0] for side in image.size]).add_axes((0, 0, 1, 1))
        ax.imshow(image)
        ax.set_axis_off()
        return ax

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        from reports.notebook import css_size, png

        image = self.image()
        return png(image), css_size(image)


@dataclass(frozen=True, eq=False)
class Panel(Picture):
    """A grid of images.

    Args:
        name: Identifies the panel in a run; a file name.
        images: ``[R, C, 3, H, W]`` in [0, 1].
        rows: A label for each row.
        columns: A label for each column.
    """

    name: str
    images: torch.Tensor = field(repr=False)
    rows: tuple[str, ...]
    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.images.ndim != 5 or self.images.shape[:3] != (len(self.rows), len(self.columns), 3):
            raise ValueError(
                f"panel {self.name!r}: {len(self.rows)} rows and {len(self.columns)} columns do not label images of "
                f"shape {tuple(self.images.shape)}"
            )

    def figure(self, **size: float) -> Figure:
        """The grid with its labels, within the width of a text block.

        Args:
            **size: ``width`` and ``largest`` of `reports.figures.grid.draw_panel`, where others are wanted.
        """
        from reports.figures.grid import draw_panel

        return draw_panel(self.images, self.rows, self.columns, **size)

    def save(self, path: Path) -> None:
        """Write it as arrays of NumPy: ``images`` in 8 bits, ``rows`` and ``columns``."""
        pixels = (self.images.float().clamp(0, 1) * 255).round().byte().cpu().numpy()
        with atomic_path(path) as temporary:
            np.savez_compressed(temporary, images=pixels, rows=np.array(self.rows), columns=np.array(self.columns))


def read_panel(path: Path) -> Panel:
    """A panel that was saved, to be drawn anew."""
    with np.load(path) as kept:
        images = torch.from_numpy(kept["images"]) / 255
        return Panel(path.stem, images, tuple(kept["rows"].tolist()), tuple(kept["columns"].tolist()))


@dataclass(frozen=True, eq=False)
class Map(Picture):
    """Pixel maps of one quantity.

    Args:
        name: Identifies the map in a run; a file name.
        values: ``[K, H, W]``.
        labels: A label for each of the K.
        unit: What a value counts.
    """

    name: str
    values: torch.Tensor = field(repr=False)
    labels: tuple[str, ...]
    unit: str

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or len(self.values) != len(self.labels):
            raise ValueError(
                f"map {self.name!r}: {len(self.labels)} labels do not name values of shape {tuple(self.values.shape)}"
            )

    def figure(self) -> Figure:
        """The maps side by side, on one scale of colours."""
        from reports.figures.grid import draw_maps

        return draw_maps(self.values, self.labels, self.unit)


def numbered(images: torch.Tensor) -> tuple[str, ...]:
    """Labels of images ``[N, ...]``: ``image 1``, ``image 2``, ..."""
    return tuple(f"image {number + 1}" for number in range(len(images)))


def in_columns(name: str, size: int, pictures: Mapping[str, torch.Tensor]) -> Panel:
    """Pictures ``[N, 3, S, S]`` by label, a column each, brought to one size; a row is an image."""
    grid = torch.stack([resize(of, size) for of in pictures.values()], 1)
    return Panel(name, grid, numbered(grid), tuple(pictures))


def in_rows(name: str, size: int, pictures: Mapping[str, torch.Tensor]) -> Panel:
    """The same, a row each; a column is an image."""
    grid = torch.stack([resize(of, size) for of in pictures.values()])
    return Panel(name, grid, tuple(pictures), tuple(str(number + 1) for number in range(grid.shape[1])))
