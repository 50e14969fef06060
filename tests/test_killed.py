"""Runs and trainings killed at random moments end, when run again, with the records and weights of undisturbed ones.

A few kills are made with every run of the tests. ``RCDM_PROBE_KILLS=25 pytest -n 0 tests/test_killed.py`` makes as many
of a probe and of a training, each in a folder and a cache of its own, in some minutes.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from small_training import processes, run_command

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

KILLS = int(os.environ.get("RCDM_PROBE_KILLS", "1"))
PROBE = (
    "invariance", "-e", "vicreg", "--images", 20, "--gallery", 20, "--rendered", 4, "--varied", 2, "--samples", 2,
    "--pictures", 1, "--steps", 1, "-t", "grayscale", "-l", "backbone", "--out", "out",
)  # fmt: skip
TRAINING = (
    "train", "-e", "simclr", "-l", "projector", "-d", "../photos", "--image-size", 8, "--steps", 30, "--every", 12,
    "--batch-size", 4, "--looked-at", 4, "--precision", "no", "--start", "../tiny", "--out", "out",
)  # fmt: skip
LEFT = {
    PROBE: ("records.parquet", "tables/displacement.csv", "tables/readability.csv"),
    TRAINING: ("unet/diffusion_pytorch_model.safetensors", "heads.safetensors", "fidelity.csv"),
}
"""What is the same to the last bit."""


def begin(folder: Path, words: tuple[object, ...]) -> ForkServerProcess:
    folder.mkdir(exist_ok=True)
    variables = {"RCDM_PROBE_CACHE": str(folder / "cache")}
    process = processes().Process(target=run_command, args=(folder, words, variables))
    process.start()
    return process


def names(folder: Path) -> set[str]:
    """What lies in a folder, but for the cache."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if folder / "cache" not in path.parents}


@pytest.mark.parametrize("words", [PROBE, TRAINING], ids=["probe", "training"])
def test_killed_at_random_moments_it_ends_as_undisturbed(
    tmp_path: Path, words: tuple[object, ...], tiny_rcdm: Path
) -> None:
    if KILLS > 1:
        faulthandler.cancel_dump_traceback_later()  # many take longer than a test may
    (tmp_path / "photos").mkdir()
    (tmp_path / "tiny").symlink_to(tiny_rcdm)
    random = np.random.default_rng(len(words))
    for number in range(50):
        pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    begun = time.monotonic()
    (whole := begin(tmp_path / "whole", words)).join()
    seconds = time.monotonic() - begun
    assert whole.exitcode == 0
    killed = 0
    for trial in range(KILLS):
        folder = tmp_path / str(trial)
        begun = time.monotonic()
        process = begin(folder, words)
        process.join(random.uniform(0, seconds))
        process.kill()
        process.join()
        if process.exitcode == 0:  # the first run may have had to import what is imported by now
            seconds = min(seconds, time.monotonic() - begun)
        killed += process.exitcode == -signal.SIGKILL
        (again := begin(folder, words)).join()
        assert again.exitcode == 0
        for name in LEFT[words]:
            assert (folder / "out" / name).read_bytes() == (tmp_path / "whole" / "out" / name).read_bytes(), name
        assert names(folder) == names(tmp_path / "whole")
        print(f"{trial + 1} ended as undisturbed, of which {killed} were killed in time")
    assert killed >= KILLS // 2  # the others had ended before
