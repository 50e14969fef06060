"""Draw a folder of simple images, one subfolder for each shape: ``python draw_shapes.py shapes/ 300``."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from PIL import Image, ImageDraw

SIDE = 96  # pixels
SHAPES = ("circle", "square", "triangle")


def draw(shape: str, rng: random.Random) -> Image.Image:
    """One shape of any colour, place and size on a background of any colour."""
    image = Image.new("RGB", (SIDE, SIDE), _colour(rng))
    radius = rng.randint(SIDE // 8, SIDE // 3)
    x, y = (rng.randint(radius, SIDE - radius) for _ in "xy")
    pen, colour = ImageDraw.Draw(image), _colour(rng)
    if shape == "circle":
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), colour)
    else:
        pen.regular_polygon((x, y, radius), 4 if shape == "square" else 3, rng.randint(0, 359), colour)
    return image


def main(folder: Path, number: int, seed: int = 0) -> None:
    """Write ``number`` images of every shape into a subfolder each."""
    rng = random.Random(seed)
    for shape in SHAPES:
        (folder / shape).mkdir(parents=True, exist_ok=True)
        for i in range(number):
            draw(shape, rng).save(folder / shape / f"{i:04d}.png")


def _colour(rng: random.Random) -> tuple[int, int, int]:
    return rng.randint(0, 255), rng.randint(0, 255), rng.randint(0, 255)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
