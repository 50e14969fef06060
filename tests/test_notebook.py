"""Notebooks: what a result, a table and a picture show there, and an example that runs as a user runs it."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from rcdm_core.progress import current, silent, track
from rcdm_probe import progress

EXAMPLE = Path(__file__).parent.parent / "examples" / "look.ipynb"
QUICKLY = """
from reports import style
from rcdm_core.quick_import import import_diffusers_quickly

style.DPI = 60
import_diffusers_quickly()
"""
"""As `conftest.coarse_pictures` and the command line do, in the process of the notebook."""


def test_the_example_runs_and_shows_results_tables_and_pictures(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(EXAMPLE, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(QUICKLY))
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [[out.get("data", {}) for out in cell.outputs] for cell in notebook.cells[1:] if cell.cell_type == "code"]
    result, table, panel, plotted, samples, saved = ([one for one in data if one] for data in shown)
    assert "Finding 1" in result[-1]["text/html"]
    assert "<progress" not in str(shown)  # bars are gone when their loops are done
    assert table[-1]["text/html"].startswith("<p>Backbone minus projector")
    for picture in (panel, plotted, samples):
        assert "image/png" in picture[-1]
    assert 'href="my-report/report.pdf"' in saved[-1]["text/html"]
    assert (tmp_path / "my-report" / "run.json").exists()


def test_a_result_shows_verdicts_a_figure_and_what_a_name_holds_as_text(invariance_report: tuple[Any, Path]) -> None:
    found = replace(invariance_report[0], saved=[invariance_report[1]])
    told = found._repr_html_()
    assert all(verdict.heading in told for verdict in found.verdicts)
    assert told.count("data:image/png;base64,") == 1
    assert f'href="{invariance_report[1].as_posix()}/report.pdf"' in told
    assert len(repr(found)) < 100
    run = {**found.run, "data_card": {**found.run["data_card"], "name": "<script>x"}}
    assert "<script>" not in replace(found, run=run)._repr_html_()


def test_tables_have_captions_and_what_is_made_of_them_has_none(invariance_report: tuple[Any, Path]) -> None:
    table = invariance_report[0].tables["comparison"]
    caption = invariance_report[0].printed["comparison"].caption
    assert table._repr_html_() == f"<p>{escape(caption)}</p>{pd.DataFrame(table)._repr_html_()}"
    assert "<p>" not in table.head()._repr_html_()
    assert type(table) is pd.DataFrame  # as what its CSV is read into


def test_pictures_are_images_and_stand_on_axes(invariance_report: tuple[Any, Path]) -> None:
    from matplotlib.figure import Figure

    for picture in (invariance_report[0].panels[0], invariance_report[0].maps[0]):
        data, size = picture._repr_png_()
        image = picture.image()
        assert Image.open(BytesIO(data)).size == image.size
        assert size["width"] == pytest.approx(picture.figure().get_figwidth() * 96, abs=1)
        ax = Figure().subplots()
        assert picture.plot(ax) is ax
        assert ax.images[0].get_array().shape[:2] == image.size[::-1]
        assert "tensor" not in repr(picture)


def test_bars_of_a_notebook_tell_how_far_every_loop_is_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    display = pytest.importorskip("IPython.display")
    shown: list[str] = []
    area = SimpleNamespace(update=lambda html: shown.append(html.data))
    monkeypatch.setattr(display, "display", lambda html, display_id: area)
    monkeypatch.setattr(progress, "_OFTEN", -1.0)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    with progress.asked_for():
        for _ in track(range(2), "outer <b>"):
            assert list(track(iter("ab"), "inner", 2)) == ["a", "b"]
    assert current() is silent
    assert '<progress value="1" max="2"></progress> outer &lt;b&gt; 1/2' in "".join(shown)
    assert any("outer" in html and "inner 1/2" in html for html in shown)
    assert shown[-1] == ""
