"""Places to write in, as options name them: nobody's and somebody else's are refused before anything is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import Result

from rcdm_probe import runs

WRITING: dict[str, tuple[object, ...]] = {
    "invariance": ("-e", "vicreg"),
    "adversarial": (),
    "fidelity": (),
    "interpolate": ("-e", "vicreg"),
    "manipulate": ("-e", "vicreg"),
    "generate": ("-e", "vicreg"),
    "reproduce": (),
    "train": ("-e", "vicreg", "-d", "scenes"),
    "adapt": ("-e", "vicreg", "-d", "scenes"),
    "convert": ("a.pt",),
    "sample": ("scenes:1", "-e", "vicreg"),
}
"""Commands that take ``--out``, with what they cannot do without."""


@pytest.mark.parametrize("name", WRITING)
@pytest.mark.parametrize("out", ["", "  ", "~nobody-of-this-name/out", "x" * 300])
def test_what_is_no_place_is_refused_by_every_command(command: Callable[..., Result], name: str, out: str) -> None:
    result = command(name, *WRITING[name], "--out", out)
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert "place to write" in result.stderr
    assert list(Path().iterdir()) == []


def test_a_picture_takes_the_place_of_one_of_its_own_only(command: Callable[..., Result], tmp_path: Path) -> None:
    words = ("sample", "scenes:1", "-e", "vicreg", "--samples", 1, "--steps", 1, "--out")
    for _ in range(2):
        assert command(*words, "ours.png").exit_code == 0
    Image.new("RGB", (8, 8)).save("theirs.png")
    Path("text.png").write_text("mine")
    Path("folder.png").mkdir()
    for name in ("theirs.png", "text.png", "folder.png"):
        result = command(*words, name)
        assert result.exit_code == 2
        assert "is there already and no picture of this command" in result.stderr
    assert Path("text.png").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"ours.png", "theirs.png", "text.png", "folder.png"}


def test_the_zoo_is_trained_by_one_at_a_time_and_not_among_strangers(command: Callable[..., Result]) -> None:
    Path("theirs").mkdir()
    Path("theirs", "photo.jpg").touch()
    result = command("zoo", "train", "judge", "--folder", "theirs", "--device", "cpu")
    assert result.exit_code == 2
    assert "holds photo.jpg and no part of the zoo" in result.stderr
    with runs.locked(Path("ours")):
        result = command("zoo", "train", "judge", "--folder", "ours", "--device", "cpu")
    assert result.exit_code == 2
    assert "under way in ours" in result.stderr
