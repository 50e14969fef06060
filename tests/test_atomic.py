"""Files that are whole or not there."""

from __future__ import annotations

import pytest

from rcdm_core.atomic import atomic_path


def test_a_block_that_ends_well_replaces_the_file(tmp_path):
    path = tmp_path / "card.json"
    path.write_text("old")
    with atomic_path(path) as temporary:
        assert temporary.suffix == ".json"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "card.json"
    path.write_text("old")

    def interrupted() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_in_one_process_do_not_meet(tmp_path):
    with atomic_path(tmp_path / "card.json") as first, atomic_path(tmp_path / "card.json") as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert [path.name for path in tmp_path.iterdir()] == ["card.json"]
