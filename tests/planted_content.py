"""Content of an invariance report from planted records: real scenes, real statistics, numbers that were made up."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from analyses.records import join, records
from probes.invariance import PROBE, Invariance, samples_panel, side_by_side
from probes.scale import MOVED
from probes.transformations import TRANSFORMATIONS
from rcdm_core.data.scenes import CIRCULAR, CLASSES, LINEAR, Scenes
from rcdm_probe.conduct import Result
from reports.panels import Map, Panel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TRAINED = ("crop", "horizontal_flip", "color_jitter", "grayscale", "blur")


@cache  # nothing in it is changed by who uses it
def content(
    *,
    levels: tuple[str, ...] = ("backbone", "projector"),
    transformations: tuple[str, ...] = tuple(TRANSFORMATIONS),
    encoder: str = "vicreg",
    images: int = 60,
    rcdm: bool = True,
    factors: bool = True,
    data: str = "scenes",
    pictures: int = 8,
) -> Result:
    """What a run would hand to the report."""
    rows = join(list(_records(encoder, levels, transformations, images, rcdm=rcdm, factors=factors)))
    return Result(
        probe=PROBE,
        settings=Invariance(levels=levels, transformations=transformations),
        records=rows,
        images=pd.DataFrame(),
        panels=tuple(_panels(levels, transformations, pictures)) if rcdm else (),
        maps=tuple(_maps(levels)) if rcdm else (),
        run={**run(encoder, data, images), "drawn_levels": list(levels) if rcdm else []},
    )


def run(encoder: str = "vicreg", data: str = "scenes", images: int = 60) -> dict[str, Any]:
    """A ``run.json``."""
    return {
        "probe": "invariance",
        "command": f"rcdm-probe invariance --encoder {encoder} --data {data} --images {images} --seed 0",
        "arguments": {
            "encoder": encoder, "data": data, "level": None, "images": images, "pictures": 8, "samples": 8,
            "steps": 12, "solver": "dpmsolver++", "seed": 0, "device": "cpu",
        },
        "seed": 0,
        "versions": {"rcdm-probe": "0.1.0", "python": "3.11.9", "torch": "2.6.0", "kornia": "0.8.0", "numpy": "2.1.0"},
        "git_commit": "0123456789abcdef0123456789abcdef01234567",
        "hashes": {name: f"{i}f" * 32 for i, name in enumerate(("encoder", "rcdm", "judge", "data"))},
        "machine": {"cpu": "Some CPU @ 2.50GHz", "cores": 2, "memory_gb": 15.6, "gpu": "", "system": "Linux-6.1"},
        "encoder_card": {
            "name": encoder, "levels": {"backbone": 384, "projector": 512}, "self_supervised": encoder != "supervised",
            "training_augmentations": list(TRAINED),
            "training": {
                "data": "fashion scenes, training split, new factors at every pass", "images": 1_200_000,
                "settings": {"steps": 2400, "batch_size": 500, "learning_rate": 1e-3}, "device": "cpu", "seconds": 3600,
            },
            "scores": {"backbone": {"class": 0.834, "hue": 0.91}, "projector": {"class": 0.71, "hue": 0.12}},
        },
        "data_card": {
            "name": data, "images": 10000, "image_size": 32, "classes": list(CLASSES),
            "known_factors": ["class", *CIRCULAR, *LINEAR], "skipped": 0, "skipped_files": [],
        },
        "started": "2026-01-02T10:20:30+01:00",
        "resumed": [],
        "finished": "2026-01-02T10:22:05+01:00",
        "seconds": 95.2,
        "peak_memory_gb": 2.31,
    }  # fmt: skip


def _records(
    encoder: str, levels: Sequence[str], transformations: Sequence[str], count: int, *, rcdm: bool, factors: bool
) -> Iterator[pd.DataFrame]:
    rng = np.random.default_rng(0)
    numbers = np.arange(count)
    truth = _components(Scenes().factors(numbers))
    pull = dict(zip(TRANSFORMATIONS, rng.uniform(0.08, 0.8, len(TRANSFORMATIONS)), strict=True))
    for depth, level in enumerate(levels):
        for measure in MOVED:
            yield records("unit_error", [0.01], [-1], encoder=encoder, level=level, condition=measure)
        for name in transformations:
            t = TRANSFORMATIONS[name]
            size = pull[name] * (1.0, 0.3, 0.6)[depth] * (0.7 if name in TRAINED else 1.3)
            for dose in t.doses:
                moved = size * (dose / t.reference) ** 0.7 * rng.lognormal(0, 0.4, count)
                common = {"encoder": encoder, "level": level, "condition": name, "strength": dose}
                yield records("relative_displacement", moved, numbers, **common)
                yield records("whitened_displacement", 1.2 * moved, numbers, **common)
                yield records("cosine", 1 - moved**2 / 4, numbers, **common)
                yield records("rank", 1 + rng.poisson(3 * moved**2), numbers, **common)
            for dose in (0.0, t.reference):
                score = rng.normal(0, 1, count) + 4 * size * (dose > 0)
                yield records(
                    "applied_score", score, numbers, encoder=encoder, level=level, condition=name, strength=dose
                )
            for dose in (0.0, *t.doses):
                told = size / (size + 0.3)
                read = told * dose + (1 - told) * np.mean(t.doses) + rng.normal(0, t.reference * 0.2 * told, count)
                yield records(
                    "strength_predicted", read, numbers, encoder=encoder, level=level, condition=name, strength=dose
                )
        for place, (name, values) in enumerate(truth.items() if factors else ()):
            for measure, samples in (("present", [-1]), *((("rendered", [0, 1]),) if rcdm else ())):
                for sample in samples:
                    kept = (1 - 0.12 * (place % 5)) / (1 + 2 * depth)
                    read = (
                        values.mean()
                        + kept * (values - values.mean())
                        + rng.normal(0, (0.2 if sample < 0 else 1 - kept + 0.1) * values.std(), count)
                    )
                    if name == "class":
                        wrong = rng.uniform(size=count) < 0.15 * (1 + depth) * (1.3 if sample >= 0 else 1)
                        read = np.where(wrong, rng.integers(0, 10, count), values)
                    yield records(measure, read, numbers, encoder=encoder, level=level, condition=name, sample=sample)
        if rcdm:
            yield records(
                "within_variance", rng.gamma(4, 0.002 * (1 + depth), count), numbers, encoder=encoder, level=level
            )
            apart = rng.gamma(2, 0.015 / (1 + depth), count)
            yield records("between_variance", apart, numbers, encoder=encoder, level=level)
    for name, values in truth.items() if factors else ():
        yield records("true", values, numbers, encoder=encoder, condition=name)


def _components(factors: pd.DataFrame) -> pd.DataFrame:
    circular = {
        f"{name}.{part.__name__}": part(2 * np.pi * factors[name]) for name in CIRCULAR for part in (np.cos, np.sin)
    }
    return pd.DataFrame({"class": factors["class"], **circular, **{name: factors[name] for name in LINEAR}})


def _panels(levels: Sequence[str], transformations: Sequence[str], count: int) -> Iterator[Panel]:
    """Panels as the probe makes them; a sample of a level is the image with noise, more of it at a deeper level."""
    originals = Scenes().images(np.arange(count))

    def samples(images: torch.Tensor, depth: int, number: int) -> torch.Tensor:
        draws = [torch.randn(images.shape, generator=torch.Generator().manual_seed(k)) for k in range(number)]
        return torch.stack([(images + 0.06 * (1 + 2 * depth) * noise).clamp(0, 1) for noise in draws], 1)

    drawn = {level: samples(originals, depth, 8) for depth, level in enumerate(levels)}
    panels = {level: samples_panel(level, originals, drawn[level]) for level in levels}
    yield from panels.values()
    yield side_by_side(panels)
    chosen = [TRANSFORMATIONS[name] for name in transformations]
    for number in range(2):
        changed = [t.apply(originals[number : number + 1], t.reference) for t in chosen]
        inputs = torch.cat([originals[number : number + 1], *changed])
        grid = torch.stack([inputs, *(samples(inputs, depth, 1)[:, 0] for depth, _ in enumerate(levels))])
        columns = ("untouched", *(t.label for t in chosen))
        yield Panel(f"transformed_{number + 1}", grid, ("input", *levels), columns)
    inputs = torch.cat(
        [originals[:1], *(TRANSFORMATIONS[n].apply(originals[:1], TRANSFORMATIONS[n].reference) for n in TRAINED)]
    )
    grid = torch.cat([inputs[:, None], *(samples(inputs, depth, 4) for depth, _ in enumerate(levels))], 1)
    columns = [f"{level} {number + 1}" for level in levels for number in range(4)]
    rows = ("untouched", *(TRANSFORMATIONS[name].label for name in TRAINED))
    yield Panel("training_augmentations", grid, rows, ("input", *columns))


def _maps(levels: Sequence[str]) -> Iterator[Map]:
    line = torch.linspace(-1, 1, 32)
    blob = torch.exp(-2 * (line[:, None] ** 2 + line[None] ** 2))
    values = torch.stack([blob * 0.1 * (1 + depth) for depth, _ in enumerate(levels)])
    for name in ("within_deviation", "fixed_share"):
        yield Map(name, values, tuple(levels), "standard deviation")
