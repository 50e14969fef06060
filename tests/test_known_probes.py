"""Probes are found, ours by looking and those of other packages by what they announce."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import Result

import rcdm_probe
from analyses.findings import LEAST
from rcdm_probe.known_probes import load_probe, places
from rcdm_probe.opening import Asked
from rcdm_probe.reproduction import conduct, prepare
from rcdm_probe.reproduction_report import document

BLINK = '''"""How long representations are."""

from dataclasses import dataclass

from analyses.statistics import mean
from probes.probe import Needs, Probe, Settings, Show, option


@dataclass(frozen=True, kw_only=True)
class Blink(Settings):
    images: int = option(20, "Images that are looked at.", least=20, metavar="N")
    powers: tuple[float, ...] = option((1.0, 2.0), "Powers of the length.")


def measure(run, settings):
    chosen = run.draw(settings.images)
    for level, h in run.represent(chosen).items():
        for power in settings.powers:
            yield run.records("length", h.norm(dim=1) ** power, chosen, level=level, strength=power)


def lengths(found):
    return found.records.groupby(["level", "strength"])["value"].mean().reset_index()


PROBE = Probe(
    name="blink",
    settings=Blink,
    needs=Needs(decoder="no"),
    measure=measure,
    tables={"lengths": lengths},
    page={"In numbers": [Show("table", "lengths")]},
    words="""
# How long {encoder} is
On {data}

## table lengths: level | strength as power | value as length
Lengths. Means over images.

## limits
- {images} images.

## method
- Euclidean lengths.
""",
)
'''


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package that announces three probes: a sound one, one that fails, and one by a name of ours."""
    site = tmp_path / "site"
    about = site / "blink-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: blink\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[rcdm_probe.probes]\nblink = blink_probe:PROBE\nbroken = blink_broken\ngenerate = blink_probe\n"
    )
    (site / "blink_probe.py").write_text(BLINK)
    (site / "blink_broken.py").write_text("raise RuntimeError('of no use')\n")
    monkeypatch.syspath_prepend(site)
    places.cache_clear()
    yield tmp_path
    places.cache_clear()


def test_a_probe_of_another_package_is_a_command_like_the_others(
    installed: Path, command: Callable[..., Result]
) -> None:
    assert "blink" in command("--help").output
    shown = command("blink", "--help").output
    assert "How long representations are." in shown
    assert "Images that are looked at." in shown
    assert "--rcdm" not in shown
    out = installed / "run"
    result = command("blink", "--encoder", "vicreg", "--powers", "1,3", "--powers", 2, "--out", out)
    assert result.exit_code == 0, result.output
    facts = json.loads((out / "run.json").read_text())
    assert (facts["probe"], facts["arguments"]["powers"]) == ("blink", [1.0, 3.0, 2.0])
    records, table = pd.read_parquet(out / "records.parquet"), pd.read_csv(out / "tables" / "lengths.csv")
    assert set(records["strength"]) == {1.0, 2.0, 3.0}
    means = records.groupby(["level", "strength"])["value"].mean().to_numpy()
    assert table["value"].to_numpy() == pytest.approx(means)
    assert (out / "report.pdf").read_bytes().startswith(b"%PDF")
    again = rcdm_probe.blink("vicreg", powers=(1.0, 3.0, 2.0))
    pd.testing.assert_frame_equal(again.records, records, check_exact=True, check_dtype=False)


def test_reproduce_asks_it_too_and_shows_it_beyond_the_paper(installed: Path) -> None:
    study = prepare(Asked(["vicreg"], rcdm="none"), scale="quick", root=installed / "runs")
    assert [step.probe.name for step in study.steps] == ["invariance", "occlusion", "similarity", "blink"]
    assert "of no use" in study.lacking["The probe broken was not run."]
    told = document(conduct(replace(study, steps=study.steps[-1:])))
    (beyond,) = (section for section in told["sections"] if section["title"] == "Beyond the paper")
    assert [block.get("name", block.get("text")) for block in beyond["blocks"]] == [
        "Blink. How long representations are.",
        "blink-lengths",
    ]


@pytest.mark.parametrize(
    "words, says",
    [
        (("blink", "-e", "vicreg", "--images", 3), "greater than or equal to 20, not 3"),
        (("blink", "-e", "vicreg", "--images", 20, "--images", 30), "--images is given 2 times"),
        (("blink", "-e", "vicreg", "--powers", "much"), "--powers 'much' is not a list of numbers"),
        (("broken", "-e", "vicreg"), "blink_broken (RuntimeError: of no use)"),
    ],
)
def test_mistakes_in_it_and_with_it_get_one_line(
    installed: Path, command: Callable[..., Result], words: tuple[object, ...], says: str
) -> None:
    result = command(*words)
    assert result.exit_code == 2, result.output
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_ours_are_found_by_looking_and_nobody_takes_their_names(installed: Path) -> None:
    assert {"blink", "broken", "generate", "occlusion"} <= places().keys()
    assert load_probe("generate").settings.__module__ == "probes.generate"
    for name, place in places().items():
        if place.ours:
            probe = load_probe(name)
            assert (probe.name, place.module) == (name, f"probes.{name}")
            assert place.line
            assert place.line in (getattr(rcdm_probe, name).__doc__ or "").replace("\n", " ")


@pytest.mark.parametrize("scale", ["quick", "full"])
@pytest.mark.parametrize("name", [name for name, place in places().items() if place.ours])
def test_every_verdict_rests_on_enough_images(name: str, scale: str) -> None:
    probe = load_probe(name)
    settings = probe.settings(**(probe.quick if scale == "quick" else {}))
    for aspect in {*probe.finding, *probe.rests_on, "any other"}:
        of = probe.rests_on.get(aspect, "images" if hasattr(settings, "images") else "")
        if of:
            assert min(getattr(settings, of), getattr(settings, "images", math.inf)) >= LEAST, (aspect, of)


def test_a_name_that_was_is_told_what_it_is_called_now() -> None:
    with pytest.warns(DeprecationWarning, match="generate"):
        assert rcdm_probe.neighbourhood is rcdm_probe.generate
    with pytest.raises(AttributeError, match="no attribute 'generat'"):
        rcdm_probe.generat  # noqa: B018
