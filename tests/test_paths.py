"""Paths as users write them: homes, and what no file can be called."""

from __future__ import annotations

from pathlib import Path

import pytest

from rcdm_core.errors import UserError
from rcdm_core.paths import user_path


@pytest.mark.parametrize(
    "text", ["~nosuchuser/x.pt", "nul\0byte", "long" * 2000, "half\ud800", "loop/x", "x/" * 3000 + "y"]
)
def test_a_path_that_no_file_can_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    with pytest.raises(UserError, match="the file") as raised:
        user_path(text, "the file")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400


def test_a_path_that_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "file").touch()
    assert user_path("~/nowhere/x", "the file") == tmp_path / "nowhere/x"
    assert user_path("~/file/x", "the file") == tmp_path / "file/x"
    assert user_path(b"not-utf8-\xff".decode(errors="surrogateescape"), "the file").name == "not-utf8-\udcff"
