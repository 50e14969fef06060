"""Finished runs beside each other: what is joined, what is found, what is left out, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from test_schemas import validator
from typer.testing import Result

from analyses.bootstrap import interval
from analyses.records import join, records
from analyses.statistics import auc, evaluate, median, r2
from probes.fidelity import PROBE as FIDELITY
from probes.fidelity import Fidelity
from probes.invariance import PROBE
from probes.similarity import effective_rank
from rcdm_core.errors import UserError
from rcdm_probe import compare, comparison, occlusion, runs
from rcdm_probe.comparison_report import in_short
from rcdm_probe.known_probes import load_probe, places
from rcdm_probe.reproduction import read_run

RNG = np.random.default_rng(0)
MOVED, RANKS = RNG.gamma(2, 0.2, 60), RNG.integers(1, 9, 60).astype(float)  # of images 0 to 59
SHIFT = RNG.normal(0.3, 0.02, 60)  # what is planted, image by image
BEHIND = {"finished": "2026-01-01T00:00:00+00:00", "seconds": 1.0, "peak_memory_gb": 1.0}


def behind(images: pd.DataFrame, folder: Path, **tables: pd.DataFrame) -> Path:
    """Of what a report leaves behind, what is read again."""
    (folder / "tables").mkdir()
    for name, table in {"images": images, **tables}.items():
        table.to_csv(folder / "tables" / f"{name}.csv", index=False)
    (folder / "report.json").write_text("{}")
    return folder / "report.pdf"


def left(
    folder: Path,
    images: Sequence[int] = range(60),
    *,
    moved: np.ndarray = MOVED,
    word: str = "supported",
    probe: str = "invariance",
    encoders: Sequence[str] = ("vicreg",),
    conditions: Sequence[str] = ("crop",),
    finished: bool = True,
    turned: int = 0,
    pixels: str = "0",
    extra: pd.DataFrame | None = None,
    opened: int = 10_000,
    named: Callable[[int], object] = int,
    **arguments: Any,
) -> Path:
    """A folder as a run on these images leaves it behind, in their order; ``moved [60]`` by number of the image."""
    own = np.array(images)
    tables = [
        records(measure, values[own], own, encoder=encoder, level="backbone", condition=condition, strength=0.5)
        for encoder in encoders
        for condition in conditions
        for measure, values in (("relative_displacement", moved + 0.1 * (encoder == "b")), ("rank", RANKS))
    ]
    if extra is not None:
        tables = [*(tables if probe == "invariance" else []), extra[extra["image"].isin(own)]]
    cards = {one: {"name": one, "levels": {"backbone": 4}} for one in encoders}
    card = {"encoder_card": cards[encoders[0]]} if len(encoders) == 1 else {"encoder_cards": cards}
    usual = asdict(load_probe(probe).settings()) if probe in places() else {"seed": 0}
    told = {**usual, "encoder": "+".join(encoders), "data": "scenes", "gallery": 100, **arguments}
    told["asked"] = [folder.name]  # two runs differ in something
    hashes = {"encoder": f"{moved.sum() * 1e6:064.0f}", "data": pixels * 64}
    facts = runs.collect_facts(
        probe,
        command="",
        arguments=told,
        hashes=hashes,
        device="cpu",
        data_card={"name": "scenes", "images": opened},
        **card,
    )

    listed = pd.DataFrame({"image": own, "file": own, "class": [named((one + turned) % 3) for one in own]})
    verdict = pd.DataFrame([{"finding": 1, "encoder": encoders[0], "aspect": "", "level": "", "word": word}])
    write = partial(behind, listed, verdicts=verdict)
    runs.save(folder, records=join(tables), facts={**facts, **(BEHIND if finished else {})}, write=write)
    return folder


def test_a_planted_difference_is_found_on_the_images_in_common_and_none_where_there_is_none(tmp_path: Path) -> None:
    a = left(tmp_path / "a", range(40))
    b = left(tmp_path / "b", RNG.permutation(range(10, 60)), moved=MOVED + SHIFT, word="inconclusive")
    c = left(tmp_path / "c", range(60), moved=MOVED + RNG.normal(0, 0.05, 60))
    result = compare([a, b, c])
    table = result.tables["differences"].set_index(["measure", "run"])
    planted = table.loc[("relative_displacement", "B")]
    assert planted["difference"] == pytest.approx(np.median(SHIFT[10:40]))
    assert planted["baseline"] == pytest.approx(np.median(MOVED[10:40]))
    assert (planted["images"], planted["outcome"], planted["effect"]) == (30, "higher", 1)
    assert planted["difference_low"] <= planted["difference"] <= planted["difference_high"] < 0.35
    assert table.loc[("relative_displacement", "C"), "outcome"] == "not clear"
    assert table.loc[("rank", "B"), "outcome"] == "equal"
    assert table.loc[("rank", "B"), "value"] == pytest.approx((1 / RANKS[10:40]).mean())
    assert planted["p_holm"] == pytest.approx(4 * planted["p_value"])  # four rows, and the smallest of them
    assert result.tables["verdicts"][["A", "B", "C", "differ"]].to_numpy().tolist() == [
        ["supported", "inconclusive", "supported", True]
    ]
    assert result.told[0].startswith("30 images are in every run, of 40 (A), 50 (B), 60 (C)")
    assert set(result.records["file"]) == {str(i) for i in range(10, 40)}


def test_networks_of_one_name_and_other_weights_are_told_apart() -> None:
    """Two checkpoints: what draws, and the features in which sets are compared, are called the same."""
    asked = {**asdict(Fidelity()), "rcdm": "my-rcdm", "features": "timm/resnet18"}
    ran = {
        name: SimpleNamespace(
            run={"arguments": asked, "hashes": {"rcdm": "r" + own, "features": "f" + own}, "data_card": {}},
            encoders=("timm/resnet18",),
        )
        for name, own in {"A": "1", "B": "2", "C": "1"}.items()
    }
    for pair, differ in ((("A", "B"), True), (("A", "C"), False)):
        compared = {name: ran[name] for name in pair}
        left_out: list[str] = []
        allowed = comparison._measures(FIDELITY, compared, lambda measure: True, left_out)
        assert ("frechet" in allowed) is not differ
        assert ("Left out: squared Frechet distance" in " ".join(left_out)) is differ
        assert ("same name and other weights" in " ".join(comparison._asked_otherwise(compared))) is differ


def test_what_not_every_run_has_or_means_is_left_out_and_told(tmp_path: Path) -> None:
    a = left(tmp_path / "a", conditions=("crop", "blur"), steps=8)
    b = left(tmp_path / "b", moved=MOVED + SHIFT, gallery=200, steps=9)
    result = compare([a, b])
    assert set(result.tables["differences"]["measure"]) == {"relative_displacement"}
    assert set(result.tables["differences"]["condition"]) == {"crop"}
    told = " ".join(result.told)
    assert "Left out: rank, which means something else with another gallery" in told
    assert "condition blur (only in A)" in told
    assert "Steps differs, and a difference may be due to that: 8 (A), 9 (B)" in told


@pytest.mark.parametrize(
    "opened, other, gallery, left_out", [(60, 160, 2000, True), (60, 60, 2000, False), (500, 900, 400, False)]
)
def test_a_gallery_is_another_where_there_were_fewer_images_than_were_asked_for(
    tmp_path: Path, opened: int, other: int, gallery: int, left_out: bool
) -> None:
    white = records("whitened_displacement", MOVED, range(60), encoder="vicreg", level="backbone", condition="crop")
    a, b = (
        left(tmp_path / name, opened=of, gallery=gallery, moved=MOVED + 0.1 * (name == "b"), extra=white)
        for name, of in (("a", opened), ("b", other))
    )
    result = compare([a, b])
    for name in ("rank", "whitened displacement"):
        assert (f"Left out: {name}, which means something else with another gallery." in result.told) is left_out
    assert "relative_displacement" in set(result.tables["differences"]["measure"])


def test_classes_are_read_as_they_are_called(tmp_path: Path) -> None:
    a = left(tmp_path / "a", named=lambda label: f"0{label}")
    b = left(tmp_path / "b", range(59), moved=MOVED + SHIFT, named=lambda label: f"0{label}")
    listed = pd.read_csv(b / "tables" / "images.csv", dtype=str)
    assert set(read_run(b).tables["images"]["class"]) == set(listed["class"]) == {"00", "01", "02"}
    assert compare([a, b]).told[0].startswith("59 images are in every run")
    none = left(tmp_path / "c", named=lambda label: "NA", moved=MOVED)
    assert set(read_run(none).tables["images"]["class"]) == {"NA"}


def test_too_little_in_common_names_the_settings_that_differ(tmp_path: Path) -> None:
    a, b = left(tmp_path / "a", gallery=80), left(tmp_path / "b", range(50, 60), gallery=400, moved=SHIFT)
    with pytest.raises(UserError, match="run the probe on the same --data and the same --gallery$"):
        compare([a, b])


def test_other_versions_and_formats_are_told(tmp_path: Path) -> None:
    a, b = left(tmp_path / "a"), left(tmp_path / "b", moved=MOVED + SHIFT)
    known = runs.read_facts(b)
    assert known is not None
    runs.kept.save_json({**known, "format": 7, "versions": {**known["versions"], "torch": "1.0"}}, b / "run.json")
    told = " ".join(compare([a, b]).told)
    assert "Formats of run.json differ: 1 (A), 7 (B)" in told
    assert "Versions of torch differ" in told


def told(measure: str, values: np.ndarray, images: np.ndarray | None = None, **about: Any) -> pd.DataFrame:
    own = np.arange(len(values)) if images is None else images
    return records(measure, values, own, **{"encoder": "vicreg", "level": "backbone", **about})


def readouts(scores: np.ndarray, doses: np.ndarray, factor: np.ndarray, true: np.ndarray) -> pd.DataFrame:
    """What is read of images: scores ``[N, 2]``, doses ``[N, 3]`` of 0, 1, 2, and a factor ``[N]``."""
    every = [told("applied_score", scores[:, i], condition="crop", strength=i) for i in range(2)]
    every += [told("strength_predicted", doses[:, i], condition="crop", strength=i) for i in range(3)]
    return join([*every, told("present", factor, condition="x"), told("true", true, level="", condition="x")])


def test_a_planted_difference_of_an_auc_and_of_r2_is_found_and_none_where_there_is_none(tmp_path: Path) -> None:
    rng, true = np.random.default_rng(1), RNG.uniform(size=60)
    own, strengths = rng.normal(size=(60, 1)), np.arange(3.0)
    scores, spread = own + rng.normal(size=(60, 2)), rng.normal(size=(60, 3))

    def run(name: str, images: Sequence[int], gain: float, noise: float) -> tuple[Path, np.ndarray, np.ndarray]:
        read, doses = scores + np.array([0, gain]), strengths + noise * spread
        extra = readouts(read, doses, true + noise * spread[:, 0], true)
        common = np.stack(np.broadcast_arrays(strengths, doses[10:]), -1)[:, :, None]
        return left(tmp_path / name, images, extra=extra), read[10:], common

    a, scores_a, doses_a = run("a", range(60), 0.5, 0.6)
    b, scores_b, doses_b = run("b", range(10, 60), 3, 0.1)
    read = scores + np.array([0, 0.5]) + 0.05 * rng.normal(size=(60, 2))
    extra = readouts(read, strengths + 0.6 * spread, true + 0.6 * spread[:, 0], true)
    c = left(tmp_path / "c", extra=extra)
    table = compare([a, b, c]).tables["differences"].set_index(["measure", "run"])
    for measure, statistic, of_a, of_b in (("auc", auc, scores_a, scores_b), ("r2", r2, doses_a, doses_b)):
        row = table.loc[(measure, "B")]
        assert row["baseline"] == pytest.approx(evaluate(statistic, of_a))
        assert row["difference"] == pytest.approx(evaluate(statistic, of_b) - evaluate(statistic, of_a))
        assert 0 < row["difference_low"] < row["difference"] < row["difference_high"]
        assert (row["images"], row["outcome"]) == (50, "higher")
        assert np.isnan(row["baseline_low"])  # that of a run is in its report
    assert table.loc[("auc", "C"), "outcome"] == "not clear"
    assert (table.loc[("r2", "C"), ["difference", "p_value"]].tolist(), table.loc[("r2", "C"), "outcome"]) == (
        [0, 1], "equal"
    )  # fmt: skip
    assert table.loc[("present", ["B", "C"]), ["condition", "outcome"]].to_numpy().tolist() == [
        ["x", "higher"], ["x", "equal"]
    ]  # fmt: skip


def test_pairs_of_images_are_paired_where_both_ends_are_the_same(tmp_path: Path) -> None:
    rng, first = np.random.default_rng(1), np.arange(30)
    at = np.linspace(0, 1, 5)

    def run(name: str, partners: np.ndarray, read: np.ndarray) -> Path:
        tables = [told("partner", partners, level=""), told("from", np.zeros(30), level="", condition="x")]
        tables += [told("to", np.ones(30), level="", condition="x")]
        for place, position in enumerate(at):
            tables.append(told("reading", read[:, place], condition="linear: x", strength=position, sample=0))
            for point, other in enumerate(at):
                apart = abs(place - point) + 0.1 * rng.uniform(size=30)
                tables.append(told("distance", apart, condition=f"linear: {place}", strength=other, sample=0))
        return left(tmp_path / name, probe="interpolate", extra=join(tables))

    noise = rng.normal(0, 0.01, (30, 5))
    a = run("a", first + 30, at + noise)
    b = run("b", np.where(first < 5, 59 - first, first + 30), np.tile(0.5, (30, 5)))
    c = run("c", first + 30, at - noise)
    result = compare([a, b, c])
    table = result.tables["differences"].set_index(["measure", "run"])
    row = table.loc[("order_of_factors", "B")]
    assert (row["baseline"], row["difference"], row["images"], row["outcome"]) == (1, -1, 25, "lower")
    assert table.loc[("order_of_factors", "C"), "outcome"] == "equal"
    assert table.loc[("distance_to_own_point", "C"), "outcome"] == "not clear"
    assert table.loc[("own_point", "C"), ["baseline", "outcome"]].tolist() == [1, "equal"]
    assert result.told[0].startswith("25 pairs are in every run, of 30 (A), 30 (B), 30 (C)")
    assert "7 to 37" in set(result.records["file"])


def test_numbers_of_a_set_are_compared_by_what_images_add_on_the_same_set_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    h = rng.normal(size=(60, 8))

    def run(name: str, encoder: str, h: np.ndarray, images: Sequence[int] = range(60)) -> Path:
        about: dict[str, Any] = {"encoder": encoder}
        ranks = effective_rank(torch.from_numpy(h)).numpy()
        tables = [told("effective_rank", ranks, **about, strength=h.shape[1])]
        tables += [told("cka", ranks / 100, **about, condition=f"{encoder}/projector")]
        return left(tmp_path / name, images, probe="similarity", encoders=(encoder,), extra=join(tables))

    a = run("a", "vicreg", h)
    b = run("b", "simclr", np.concatenate([h, rng.normal(size=(60, 4))], 1))
    c = run("c", "dino", h + 0.05 * rng.normal(size=h.shape))
    table = compare([a, b, c]).tables["differences"].set_index(["measure", "run"])
    row = table.loc[("effective_rank", "B")]
    assert row["difference"] == pytest.approx(4, abs=0.7)
    assert row["difference_low"] > 3
    assert row["outcome"] == "higher"
    assert table.loc[("effective_rank", "C"), "outcome"] == "not clear"
    assert table.loc[("cka", "B"), ["condition", "outcome"]].tolist() == ["projector", "higher"]
    with pytest.raises(UserError, match="Left out: effective rank, which is of all images of a run"):
        compare([a, run("fewer", "simclr", h, range(50))])


def test_a_number_of_a_set_is_left_out_where_runs_took_it_on_other_images_of_the_same(tmp_path: Path) -> None:
    def run(name: str, taken: Sequence[int]) -> Path:
        of = np.array(taken)
        about: dict[str, Any] = {"encoder": "vicreg", "level": "backbone", "condition": "vicreg/projector"}
        tables = [records("cka", MOVED, range(60), **about), records("rsa", MOVED[of], of, **about)]
        return left(tmp_path / name, probe="similarity", extra=join(tables))

    result = compare([run("a", range(45)), run("b", range(5, 60))])
    assert set(result.tables["differences"]["measure"]) == {"cka"}
    assert any(told.startswith("Left out: RSA with another level") for told in result.told)


def test_what_differs_by_rounding_is_equal_and_takes_no_place_among_the_certain(tmp_path: Path) -> None:
    noise = 1 + RNG.normal(0.1, 0.33, 60)
    about: dict[str, Any] = {"encoder": "vicreg", "level": "backbone"}

    def run(name: str, moved: np.ndarray, rounded: float) -> Path:
        tables = [records("relative_displacement", moved, range(60), **about, condition="blur")]
        tables += [
            records("relative_displacement", 1 + MOVED + rounded, range(60), **about, condition=f"hue {number}")
            for number in range(5)
        ]
        return left(tmp_path / name, moved=MOVED + rounded, extra=join(tables))

    table = compare([run("a", np.ones(60), 0), run("b", noise, 1e-12)]).tables["differences"].set_index("condition")
    equal = table.loc[[f"hue {number}" for number in range(5)]]
    assert equal["outcome"].eq("equal").all()
    assert equal["p_value"].eq(1).all()
    assert table.loc["blur", "p_holm"] == pytest.approx(min(1, table.loc["blur", "p_value"] * len(table)))


def test_each_run_is_compared_with_the_first_in_what_both_have(tmp_path: Path) -> None:
    a, b = left(tmp_path / "a", conditions=("crop", "hue")), left(tmp_path / "b", conditions=("crop",))
    c = left(tmp_path / "c", conditions=("crop", "hue", "blur"), moved=MOVED + SHIFT)
    result = compare([a, b, c])
    ranks = result.tables["differences"].query("measure == 'relative_displacement'")
    assert ranks[["condition", "run", "outcome"]].to_numpy().tolist() == [
        ["crop", "B", "equal"], ["crop", "C", "higher"], ["hue", "C", "higher"]
    ]  # fmt: skip
    assert "hue (only in A and C), blur (only in C)" in " ".join(result.told)


def test_of_runs_on_several_encoders_the_one_that_they_do_not_share_is_compared(tmp_path: Path) -> None:
    about: dict[str, Any] = {"probe": "corruptions"}
    a = left(tmp_path / "a", encoders=("supervised", "a"), **about)
    b = left(tmp_path / "b", encoders=("supervised", "b"), **about)
    row = compare([a, b]).tables["differences"].iloc[0]
    assert (row["encoder"], row["difference"]) == ("", pytest.approx(0.1))
    c = left(tmp_path / "c", encoders=("supervised", "a"), moved=MOVED + SHIFT, **about)
    assert set(compare([a, c]).tables["differences"]["encoder"]) == {"supervised", "a"}


def test_any_probe_is_compared_by_all_that_it_records_of_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "load_probe", lambda name: replace(PROBE, compared=None))
    table = compare([left(tmp_path / "a"), left(tmp_path / "b", moved=MOVED + SHIFT)]).tables["differences"]
    by_measure = table.set_index("measure")
    assert by_measure.loc["relative_displacement", "difference"] == pytest.approx(SHIFT.mean())
    assert by_measure.loc["rank", "value"] == pytest.approx(RANKS.mean())


def spoilt(folder: Path) -> Path:
    with (folder / "records.parquet").open("ab") as file:
        file.write(b"x")
    return folder


def edited(folder: Path) -> Path:
    (folder / "run.json").write_text((folder / "run.json").read_text().replace("vicreg", "simclr"))
    return folder


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "the same": (lambda to: to.parent / "a", "is the same run as"),
    "a copy": (lambda to: Path(shutil.copytree(to.parent / "a", to)), "is the same run as"),
    "nothing": (lambda to: to, "holds no run"),
    "unfinished": (lambda to: left(to, finished=False), "is not finished: give its command again"),
    "of no probe": (lambda to: left(to, probe="train"), "which is no probe at hand"),
    "another probe": (lambda to: left(to, probe="occlusion"), "holds a run of invariance"),
    "damaged": (lambda to: spoilt(left(to)), "is not as its run has left it"),
    "edited": (lambda to: edited(left(to)), "run.json is damaged"),
    "other images": (lambda to: left(to, range(45, 60), moved=SHIFT), r"15 images in common \(60 in .*, 15 in"),
    "other data": (lambda to: left(to, data="cifar10"), "0 images in common"),
    "other classes": (lambda to: left(to, turned=1), "are of other classes in A and B"),
    "no level in common": (lambda to: left(to, conditions=("hue",)), "no number in common"),
}


@pytest.mark.parametrize("what", list(REFUSED))
def test_what_cannot_be_compared_is_refused_in_a_line(what: str, tmp_path: Path) -> None:
    make, told = REFUSED[what]
    a = left(tmp_path / "a")
    with pytest.raises(UserError, match=told) as error:
        compare([a, make(tmp_path / "b")])
    assert "\n" not in str(error.value)


def test_a_probe_of_pictures_alone_is_refused_and_so_is_a_single_run(tmp_path: Path) -> None:
    a, b = (left(tmp_path / name, probe="generate", seed=seed) for seed, name in enumerate("ab"))
    with pytest.raises(UserError, match="no number belongs to one image of the data"):
        compare([a, b])
    with pytest.raises(UserError, match="1 run: 2 to 9 can be compared"):
        compare([a])
    for no_folders in (str(a), [a, 3], [None, a]):
        with pytest.raises(UserError, match="are no folders of runs"):
            compare(no_folders)


def test_images_are_called_the_same_only_where_their_content_is(tmp_path: Path) -> None:
    a, b, other = (left(tmp_path / name, pixels=sha) for name, sha in (("a", "0"), ("b", "0"), ("c", "1")))
    assert any(told.endswith("on the same images.") for told in in_short(compare([a, b])))
    assert not any("the same images" in told for told in in_short(compare([a, other])))


def test_two_real_runs_are_compared_in_a_folder_like_any_other(
    command: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for encoder in ("vicreg", "supervised"):
        found = occlusion(encoder, level="backbone", images=20, gallery=20, places=2)
        runs.save(tmp_path / encoder, records=found.records, facts=found.run, write=partial(behind, found.images))
    monkeypatch.setenv("COLUMNS", "80")
    result = command("compare", "vicreg", "supervised", "--out", "beside")
    assert result.exit_code == 0, result.output
    assert max(map(len, result.output.splitlines()[2:20])) <= 80
    folder = tmp_path / "beside"
    for name in ("run", "report"):
        validator(name).validate(json.loads((folder / f"{name}.json").read_text()))
    assert {path.name for path in folder.iterdir()} >= {"report.pdf", "report.html", "records.parquet"}
    assert not re.search(r"<th[^>]*>\s*</th>", (folder / "report.html").read_text())  # its button would have no name
    own = [pd.read_parquet(tmp_path / encoder / "records.parquet") for encoder in ("vicreg", "supervised")]
    a, b = (table[table["condition"] == "grey"].groupby("image")["value"].mean() for table in own)
    row = pd.read_csv(folder / "tables" / "differences.csv").set_index("condition").loc["grey"]
    assert row["difference"] == pytest.approx((b - a).median())
    for name, table, of_run in (("baseline", own[0], a), ("value", own[1], b)):  # as in the report of each
        error = table.loc[table["measure"] == "unit_error", "value"].item()
        told = interval(of_run.to_numpy(), median).widened(error * of_run.median())
        assert row[[f"{name}_low", f"{name}_high"]].tolist() == pytest.approx([told.low, told.high])
    wrong = command("compare", "vicreg", "nowhere")
    assert (wrong.exit_code, wrong.stderr.count("\n")) == (2, 1)
