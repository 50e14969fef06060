"""Figures: pixels stay exact, everything measured is drawn, nothing is cut off, the same input gives the same file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import combinations, pairwise, product
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from PIL import Image
from planted_content import TRAINED, content

from analyses.records import records
from probes.corruptions import PROBE as CORRUPTIONS
from probes.corruptions import Corruptions, draw_curves
from probes.invariance import NEGLIGIBLE, at_reference, labels
from probes.page import _figures as figures
from rcdm_probe.conduct import Result
from reports import style
from reports.figures.by_encoder import Axis, draw_by_encoder, draw_matrices_by_encoder
from reports.figures.displacement import draw_displacement, draw_dose_response
from reports.figures.factors import draw_factors
from reports.figures.grid import DPI, compose
from reports.figures.robustness import draw_rendered, draw_robustness
from reports.names import FACTOR_LABELS
from reports.panels import Map, Panel, read_panel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@pytest.fixture(autouse=True, scope="module")
def as_printed():
    """The pictures that are looked at here have all their pixels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "DPI", DPI)
        yield


@pytest.fixture(scope="module")
def full():
    return content(images=30, pictures=3)


@pytest.fixture(scope="module")
def drawn(full):
    return dict(figures(full))


def panel(rows=2, columns=3, size=32, labels=None, seed=0) -> Panel:
    images = torch.rand(rows, columns, 3, size, size, generator=torch.Generator().manual_seed(seed))
    names = labels or tuple(f"column {i}" for i in range(columns))
    return Panel("p", images, tuple(f"row {i}" for i in range(rows)), names)


def test_composing_repeats_every_pixel_and_changes_none():
    images = panel().images.numpy()
    grid = compose(images, 3, gutter=5)
    assert grid.shape == (2 * 96 + 5, 3 * 96 + 2 * 5, 3)
    second = grid[101:, 101:197]  # row 1, column 1
    np.testing.assert_array_equal(second[::3, ::3], np.rint(images[1, 1].transpose(1, 2, 0) * 255))
    np.testing.assert_array_equal(second[::3], second[1::3])
    assert (grid[96:101] == 255).all()


def test_a_panel_reaches_the_page_dot_for_dot(tmp_path):
    given = panel()
    style.save(given.figure(), tmp_path, "p")
    page = np.asarray(Image.open(tmp_path / "p.png").convert("RGB")).astype(int)
    wanted = compose(given.images.numpy(), 5).astype(int)  # 14 mm at 300 dpi hold 5 dots a pixel
    printed = page[-wanted.shape[0] :, -wanted.shape[1] :]
    assert np.abs(printed - wanted).max() <= 1


@pytest.mark.parametrize(
    "size, columns, millimetres", [(32, 9, 13.5), (64, 6, 16.3), (128, 6, 21.7), (128, 8, 19.8), (224, 10, 15.8)]
)
def test_images_of_many_pixels_are_printed_larger(size, columns, millimetres):
    (axes,) = panel(1, columns, size).figure().axes
    printed = axes.get_window_extent().height / style.DPI * 25.4
    assert printed == pytest.approx(millimetres, abs=0.7)


def test_images_that_fill_the_page_unevenly_are_resampled_not_cut(tmp_path):
    left, right = torch.zeros(3, 224, 112), torch.ones(3, 224, 112)
    given = Panel("p", torch.cat([left, right], -1)[None, None], ("",), ("",))
    style.save(given.figure(), tmp_path, "p")
    page = np.asarray(Image.open(tmp_path / "p.png").convert("L"))
    row = page[len(page) // 2]
    assert (row < 8).sum() == pytest.approx((row > 247).sum(), abs=4)
    assert ((row > 8) & (row < 247)).sum() < 6


@pytest.mark.parametrize("rows, columns, size", [(1, 1, 32), (13, 6, 32), (3, 14, 32), (2, 25, 32), (2, 4, 224)])
def test_no_panel_is_wider_than_the_text_or_taller_than_the_page(rows, columns, size):
    width, height = panel(rows, columns, size).figure().get_size_inches() * 25.4
    assert width <= style.TEXT_WIDTH + 0.5
    assert height <= 190


def test_a_kept_panel_is_drawn_anew_smaller_with_all_its_pixels_and_letters_of_the_same_size(tmp_path):
    labels = ("input", *(f"{level} {n}" for level in style.LEVEL_COLOURS for n in (1, 2, 3)))
    given = replace(panel(3, 7, labels=labels), rows=("", "horizontal flip", "h of cross-fade"))
    given.save(tmp_path / "p.npz")
    again = read_panel(tmp_path / "p.npz")
    assert (again.rows, again.columns) == (given.rows, given.columns)
    figure = again.figure(width=82.5, largest=8.2)
    assert figure.get_figwidth() * 25.4 <= 82.5
    assert {text.get_fontsize() for text in figure.texts} == {style.SMALL}
    first, second = (text.get_window_extent() for text in figure.texts[1:3])  # of the rows
    assert first.y0 >= second.y1
    assert min(first.x0, second.x0) >= -1
    style.save(figure, tmp_path, "p")
    page = np.asarray(Image.open(tmp_path / "p.png").convert("RGB")).astype(int)
    wanted = compose(given.images.numpy(), 3, gaps=(28, 4, 4, 28, 4, 4)).astype(int)  # 8.2 mm: 3 dots a pixel
    assert np.abs(page[-wanted.shape[0] :, -wanted.shape[1] :] - wanted).max() <= 1


def test_columns_of_a_level_share_one_heading_in_its_colour():
    labels = ("input", "backbone 1", "backbone 2", "projector 1", "projector 2")
    texts = {text.get_text(): text.get_color() for text in panel(columns=5, labels=labels).figure().texts}
    assert texts["backbone"] == style.LEVEL_COLOURS["backbone"]
    assert texts["projector"] == style.LEVEL_COLOURS["projector"]
    assert "backbone 1" not in texts


def test_maps_share_one_scale_from_zero():
    values = torch.stack([torch.full((8, 8), 0.1), torch.full((8, 8), 0.4)])
    figure = Map("m", values, ("backbone", "projector"), "a unit with a rather long name").figure()
    limits = {axes.images[0].get_clim() for axes in figure.axes if axes.images}
    assert limits == {(0.0, float(values.max()))}


def test_every_transformation_has_its_curves_and_its_unit(full, drawn):
    plots = [axes for axes in drawn["dose-response"].axes if axes.get_xlabel()]
    assert len(plots) == full.tables["displacement"]["condition"].nunique()
    marked = {axes.get_title(loc="left").removeprefix("● ") for axes in plots if "●" in axes.get_title(loc="left")}
    assert marked == {labels(full)[name] for name in TRAINED}
    for axes in plots:
        for level in full.settings.levels:
            colours = [line.get_color() for line in axes.lines]
            assert style.LEVEL_COLOURS[level] in colours


def test_the_mark_of_training_is_explained_where_something_bears_it(full, drawn):
    def explained(figure):
        return "used in training" in {text.get_text() for text in figure.findobj(Text)}

    card = {**full.run["encoder_card"], "training_augmentations": ["solarize"]}  # none of those that were measured
    unmarked = replace(full, run={**full.run, "encoder_card": card})
    assert explained(drawn["dose-response"])
    assert not explained(next(figure for name, figure in figures(unmarked) if name == "dose-response"))
    told = {name: any("used in training" in t.caption for t in c.printed.values()) for name, c in
            (("marked", full), ("unmarked", unmarked))}  # fmt: skip
    assert told == {"marked": True, "unmarked": False}


def test_the_dot_plot_is_sorted_by_the_backbone_and_marks_training(full, drawn):
    left = drawn["displacement"].axes[0]
    order = [tick.get_text() for tick in left.get_yticklabels()]
    moved = at_reference(full, full.tables["displacement"])
    backbone = moved[moved["level"] == "backbone"].set_index("condition")
    values = backbone["relative_displacement"].rename(labels(full))
    assert order == list(values.sort_values().index)
    bold = {tick.get_text() for tick in left.get_yticklabels() if tick.get_fontweight() == "bold"}
    assert bold == {labels(full)[name] for name in TRAINED}


def test_no_text_is_below_seven_points_and_nothing_is_cut_off(drawn):
    for name, figure in drawn.items():
        figure.canvas.draw()
        sizes = {text.get_fontsize() for text in figure.findobj(Text) if text.get_text().strip()}
        assert min(sizes) >= 7, name
        ink, page = figure.get_tightbbox(), figure.get_size_inches()
        assert min(ink.x0, ink.y0) >= -0.01, name
        assert ink.x1 <= page[0] + 0.01, name
        assert ink.y1 <= page[1] + 0.01, name


def test_a_legend_below_the_plots_covers_no_label(full, drawn):
    moved = full.tables["displacement"].groupby(["level", "condition"], as_index=False).last()
    moved = pd.concat([moved.assign(encoder=name) for name in "abcde"])
    labels = {name: name.replace("_", " ") for name in moved["condition"]}
    series = {"relative_displacement": "one", "cosine": "another one", "mrr": "a third one, of a long and wordy name"}
    by_encoder = draw_by_encoder(moved, Axis("u"), row="condition", labels=labels, series=series, tick=("rank", "tick"))
    below = {name: figure for name, figure in {**drawn, "by-encoder": by_encoder}.items() if figure.legends}
    assert len(below) > 2
    for name, figure in below.items():
        figure.draw_without_rendering()
        legend = figure.legends[0].get_window_extent().padded(12, 0)  # a millimetre to the sides
        ticks = [
            tick.label1
            for axes in figure.axes
            for axis in (axes.xaxis, axes.yaxis)
            for tick in axis.get_major_ticks()
            if min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
        ]
        titles = [text for axes in figure.axes for text in (axes.xaxis.label, axes.yaxis.label, axes.title)]
        for text in [*ticks, *titles, *figure.texts]:
            if text.get_text() and text.get_visible():
                assert not legend.overlaps(text.get_window_extent()), f"{name}: {text.get_text()}"


@pytest.fixture
def several() -> dict[str, Figure]:
    """Figures of five encoders with long names, of which one has one level only, and numbers beyond the edge."""
    names = [f"timm/resnet50-with-a-long-name-{letter}" for letter in "abcde"]
    keys = [(name, level, row) for name in names for level in ("backbone", "projector") for row in ("first", "second")]
    rows = pd.DataFrame(keys, columns=["encoder", "level", "row"]).assign(value=-3.0, value_low=-4.0, value_high=0.5)
    rows = rows[(rows["encoder"] != names[0]) | (rows["level"] == "backbone")]
    matrices = {(name, level): np.eye(2) for name, level in zip(rows["encoder"], rows["level"], strict=True)}
    labels = {"first": "first row", "second": "second row"}
    dots = draw_by_encoder(rows, Axis("u", least=-1.2), row="row", labels=labels, series={"value": "v"})
    squares = draw_matrices_by_encoder(matrices, rows=["a", "b"], columns=["c", "d"], full=1.0, unit="u")
    return {"dots": dots, "matrices": squares}


def test_one_long_interval_does_not_stretch_the_axis() -> None:
    ends = [0.1] * 9 + [5.0]
    rows = pd.DataFrame({"row": [f"r{i}" for i in range(10)], "encoder": "a", "level": "l", "value": 0.2})
    rows = rows.assign(value_low=[-end for end in ends], value_high=ends)
    labels = {name: name for name in rows["row"]}
    frames = []
    for longest in (np.inf, 8):
        figure = draw_by_encoder(rows, Axis("u", longest=longest), row="row", labels=labels, series={"value": "v"})
        frames.append(figure.axes[0].get_xlim())
    whole, (low, high) = frames
    assert whole[0] < -5
    assert whole[1] > 5
    assert -0.2 < low < -0.1  # every dot, and all lines but the long one
    assert 0.2 < high < 0.3


def test_titles_of_several_encoders_do_not_run_into_each_other(several: dict[str, Figure]) -> None:
    test_no_text_is_below_seven_points_and_nothing_is_cut_off(several)
    for figure in several.values():
        boxes = [axes.title.get_window_extent() for axes in figure.axes[:5]]
        assert all(one.x1 < next_one.x0 for one, next_one in pairwise(boxes))


def test_what_lies_beyond_the_edge_is_an_arrow_at_it(several: dict[str, Figure]) -> None:
    arrows = [line for line in several["dots"].axes[0].lines if line.get_marker() == "<"]
    assert [x for line in arrows for x in line.get_xdata() if np.isfinite(x)] == [-1.2, -1.2]


LONG = (
    "supervised", "timm/vit_small_patch16_224.dino", "timm/vit_small_patch16_224.augreg_in21k", "timm/resnet50.a1_in1k",
    "timm/vit_base_patch16_224.mae", "timm/convnext_tiny.fb_in22k_ft_in1k", "hf:facebook/dinov2-small",
)  # fmt: skip
LABELS = {"first": "first row", "second": "second row"}
LAYERS = [f"layer{n}" for n in range(14)]
ATTACK = SimpleNamespace(name="PGD", noise="noise", unit="255ths")


def numbers(*names: str, **columns: Iterable[Any]) -> pd.DataFrame:
    """A table of these numbers, with intervals, of every combination of these columns."""
    rows = pd.DataFrame(product(*columns.values()), columns=list(columns))
    return rows.assign(**{f"{name}{end}": 0.5 for name in names for end in ("", "_low", "_high")})


def under_attack(encoders: Iterable[str]) -> pd.DataFrame:
    measures = "accuracy", "relative_displacement", "class_seen"
    return numbers(*measures, encoder=encoders, condition=["PGD"], strength=[1.0, 2.0])


def severities(encoders: Sequence[str]) -> Figure:
    """The curves of a probe on several encoders."""
    rows = [
        records("relative_displacement", [0.1, 0.2], [0, 1], "backbone", "fog", encoder=name, strength=strength)
        for name, strength in product(encoders, (1.0, 2.0))
    ]
    settings, none = Corruptions(reference=encoders[0], corruptions=("fog",)), pd.DataFrame()
    run = {"encoder_cards": {name: {} for name in encoders}}
    about = {"records": pd.concat(rows), "images": none, "panels": (), "maps": (), "run": run}
    return draw_curves(Result(probe=CORRUPTIONS, settings=settings, **about))


def beside(encoders: Iterable[str], level: str, **about: Any) -> Figure:
    """A figure with a plot an encoder."""
    rows = numbers("value", encoder=encoders, level=[level], row=["first", "second"])
    return draw_by_encoder(rows, Axis("u"), row="row", labels=LABELS, series={"value": "v"}, **about)


CROWDED = {
    "robustness": lambda: draw_robustness(under_attack(LONG), [ATTACK], style.encoder_looks(LONG, LONG[0])),
    "rendered": lambda: draw_rendered(under_attack(LONG), ATTACK, style.encoder_looks(LONG, LONG[0])),
    "severities": lambda: severities(LONG),
    "6 encoders": lambda: beside(LONG[1:], "backbone"),
    "12 encoders": lambda: beside([f"{name}{n}" for n in range(2) for name in LONG[1:]], "backbone"),
    "doses": lambda: draw_dose_response(
        numbers("relative_displacement", level=LAYERS, condition=["blur"], strength=[1.0]),
        labels={"blur": "blur"}, units={"blur": "u"}, references={}, trained=(),
    ),
    "displacement": lambda: draw_displacement(
        *[numbers("relative_displacement", "auc", "chance", level=LAYERS, condition=["blur"])] * 2,
        labels={"blur": "blur"}, trained=(), negligible=0.1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("draw", CROWDED.values(), ids=CROWDED)
def test_many_and_long_names_are_whole_and_leave_the_plots_their_room(draw):
    figure = draw()
    figure.canvas.draw()
    page = figure.bbox.padded(1)
    texts = [*figure.legends[0].get_texts(), *(axes.title for axes in figure.axes), *figure.texts]
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    assert all(page.contains(*corner) for box in boxes for corner in (box.min, box.max))
    assert min(axes.get_window_extent().height for axes in figure.axes) / style.DPI * 25.4 > 3.5
    drawn = [axes.get_tightbbox() for axes in figure.axes if axes.axison]
    assert not any(one.overlaps(other) for one, other in combinations(drawn, 2))
    assert not any(figure.legends[0].get_window_extent().padded(-2).overlaps(box) for box in drawn)


def test_an_encoder_looks_the_same_in_every_figure_of_a_run_and_like_no_other():
    looks = style.encoder_looks([f"encoder{n}" for n in range(30)], "encoder7")
    assert len(set(looks.values())) == 30
    assert not {colour for colour, _ in looks.values()} & set(style.LEVEL_COLOURS.values())
    looks = style.encoder_looks(LONG, LONG[0])
    for names in (LONG, LONG[:1] + LONG[3:]):
        rows = under_attack(names)
        for figure in (draw_robustness(rows, [ATTACK], looks), draw_rendered(rows, ATTACK, looks)):
            drawn = {line.get_label(): (line.get_color(), line.get_marker()) for line in figure.axes[0].lines}
            assert {name: drawn[name] for name in names} == {name: looks[name] for name in names}


def test_a_level_looks_the_same_where_the_table_lacks_an_earlier_one():
    (handle,) = beside("a", "layer4", levels=["layer3", "layer4"]).legends[0].legend_handles
    assert (handle.get_color(), handle.get_marker()) == style.level_looks(["layer3", "layer4"])["layer4"]


def test_a_name_with_dollars_is_no_formula(tmp_path):
    style.save(panel(labels=("cost $5 and $6_7", r"a$\x$", "")).figure(), tmp_path, "p")
    figure = draw_robustness(under_attack(["$5_6$"]), [ATTACK], style.encoder_looks(["$5_6$"], "$5_6$"))
    assert not any(text.get_parse_math() for text in figure.findobj(Text))


def test_levels_keep_their_looks_and_others_differ():
    looks = style.level_looks(["layer2", "projector", "backbone", "layer3"])
    assert list(looks) == ["backbone", "projector", "layer2", "layer3"]
    assert looks["projector"][0] == style.LEVEL_COLOURS["projector"]
    assert len(set(looks.values())) == 4
    assert len(set(style.level_looks([f"layer{n}" for n in range(30)]).values())) == 30


def test_the_same_figure_gives_the_same_files(full, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        figure = draw_factors(full.tables["factors"], labels=FACTOR_LABELS)
        style.save(figure, tmp_path / folder, "factors")
    for ending in ("png", "svg"):
        assert (tmp_path / "a" / f"factors.{ending}").read_bytes() == (
            tmp_path / "b" / f"factors.{ending}"
        ).read_bytes()


def test_nothing_is_left_in_the_users_matplotlib(full):
    import matplotlib as mpl
    from matplotlib import _pylab_helpers

    before = dict(mpl.rcParams)
    panel().figure()
    assert dict(mpl.rcParams) == before
    assert not _pylab_helpers.Gcf.get_all_fig_managers()


def test_a_readability_table_without_rows_still_gives_a_figure(full):
    moved, told = at_reference(full, full.tables["displacement"]), full.tables["readability"]
    drawn = draw_displacement(moved, told[:0], labels=labels(full), trained=TRAINED, negligible=NEGLIGIBLE)
    assert drawn.axes


HOSTILE = """
backend: TkAgg
interactive: True
text.usetex: True
font.family: serif
font.size: 30
figure.dpi: 20
figure.constrained_layout.use: True
savefig.dpi: 20
savefig.bbox: tight
savefig.transparent: True
axes.facecolor: black
axes.titlepad: 40
axes.xmargin: 0.4
axes.unicode_minus: False
axes.formatter.use_mathtext: True
axes.formatter.limits: 0, 0
lines.linewidth: 9
lines.antialiased: False
image.interpolation: bilinear
image.origin: lower
image.cmap: hot
errorbar.capsize: 9
legend.loc: upper left
xtick.direction: in
svg.fonttype: none
svg.hashsalt: theirs
path.sketch: 1, 100, 2
no.such.setting: 7
not a setting at all
"""
APART = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
import kornia, pandas, scipy.stats, torch  # once for all; what Matplotlib is told is read when it is imported
from itertools import islice
from pathlib import Path
from planted_content import TRAINED, content
from probes.page import _figures
from reports import style
style.DPI = 60
found = content(images=20, pictures=2, transformations=TRAINED[:1], levels=("backbone",))

def draw(folder):
    for name, figure in islice(_figures(found), 4):
        style.save(figure, Path(folder, "drawn"), name)

assert "matplotlib" not in sys.modules
for folder, told in json.loads(sys.argv[2]).items():
    if not (child := os.fork()):
        os.chdir(folder)
        os.environ.update(told)
        draw(folder)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(folder)
"""


def test_figures_are_the_same_whatever_matplotlib_is_told(tmp_path):
    (tmp_path / "theirs").write_text(HOSTILE)
    told = {  # several at once, where none is read in the place of another
        "plain": {},
        "matplotlibrc in the working folder, SOURCE_DATE_EPOCH, and MPLBACKEND of what is not there": {
            "SOURCE_DATE_EPOCH": "yesterday", "MPLBACKEND": "module://not_installed",
        },
        "MATPLOTLIBRC and MPLBACKEND of a window": {
            "MATPLOTLIBRC": str(tmp_path / "theirs"), "MPLBACKEND": "TkAgg",
        },
    }  # fmt: skip
    for name in told:
        (tmp_path / name / "drawn").mkdir(parents=True)
        if "folder" in name:
            (tmp_path / name / "matplotlibrc").write_text(HOSTILE)
    given = json.dumps({str(tmp_path / name): about for name, about in told.items()})
    env = {key: value for key, value in os.environ.items() if key not in ("MPLBACKEND", "MATPLOTLIBRC")}
    words = [sys.executable, "-c", APART, str(Path(__file__).parent), given]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = {name: {path.name: path.read_bytes() for path in (tmp_path / name / "drawn").iterdir()} for name in told}
    assert len(found["plain"]) == 8
    for name, files in found.items():
        assert files == found["plain"], name


def test_a_figure_that_lays_itself_out_is_saved_as_it_would_be(tmp_path):
    """One of a probe of somebody's own, whose engine has not laid it out before it is saved."""
    figure = Figure(layout="constrained")
    figure.subplots().set_ylabel("what is\nmeasured")
    style.save(figure, tmp_path, "own")
    assert isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine)
