"""Files that are whole or not there."""

from __future__ import annotations

import os

import pandas as pd
import pytest

from rcdm_core.kept import atomic_path
from reports import pdf, style, tables


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


def test_what_a_report_consists_of_takes_the_place_of_older_files_whole(tmp_path, monkeypatch):
    names = ("numbers.csv", "printed.tex", "figure.png", "figure.svg", "report.pdf")
    for name in names:
        (tmp_path / name).write_text("old")
        os.link(tmp_path / name, tmp_path / f"{name}.seen")  # the old file, whatever takes its name
    monkeypatch.setattr(pdf.typst, "compile", lambda *_, **__: b"new")
    tables.save_csv(tmp_path, "numbers", pd.DataFrame({"a": [1]}))
    tables.save_latex(tmp_path, tables.Table("printed", "caption", ("a",), (("1",),)))
    style.save(style.new_figure(10, 10), tmp_path, "figure")
    pdf.compile_pdf({}, tmp_path)
    for name in names:
        assert (tmp_path / name).read_bytes() != b"old"
        assert (tmp_path / f"{name}.seen").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2 * len(names)


def test_two_writers_in_one_process_do_not_meet(tmp_path):
    with atomic_path(tmp_path / "card.json") as first, atomic_path(tmp_path / "card.json") as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert [path.name for path in tmp_path.iterdir()] == ["card.json"]
