"""Finished runs of one probe beside each other, paired by image: two encoders, two checkpoints, two seeds.

Nothing is measured again. Records of the same number (measure, level, condition, dose) of the same image, or pair of
images, are joined over the runs, and every run is compared with the first in what both have; the rest is told.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyses.bootstrap import Estimate, interval
from analyses.digits import ROUNDING
from analyses.findings import LEAST, word_of_gain
from analyses.paired import holm, rank_biserial, signed_rank, students_t
from analyses.records import PARTNER, join
from analyses.statistics import evaluate, mean, mean_reciprocal, median, share
from analyses.tables import estimate_of
from rcdm_core.data.layout import RUN
from rcdm_core.errors import UserError
from rcdm_core.paths import user_path
from rcdm_core.progress import track
from rcdm_probe import runs
from rcdm_probe.comparison_report import ComparisonResult
from rcdm_probe.conduct import carry_out
from rcdm_probe.known_probes import load_probe, places
from rcdm_probe.reproduction import read_run
from reports.names import listed, words
from reports.provenance import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from probes.probe import Compared, Probe
    from rcdm_core.progress import Progress
    from reports.finished import FinishedRun

NAMES = "ABCDEFGHI"
"""What the runs are called, the first one, with which all others are compared, ``A``."""
KEY = ["encoder", "measure", "level", "condition", "strength"]
"""What tells the numbers of an image apart; ``encoder`` only where runs are on several, and all on the same."""
WORDS = {"supported": "higher", "not supported": "lower", "inconclusive": "not clear"}

_COUNTED = {"images", "gallery", "ranked", "training"}  # settings: of images, of which a set may hold fewer
_NOT_ASKED = {"encoder", "weights", "data", "device", "batch_size", "levels", "rcdm"}  # told otherwise, or no matter


@dataclass(frozen=True)
class Study:
    """A comparison, ready to be conducted.

    Attributes:
        probe: The probe.
        runs: The finished runs by name.
        keys: What the numbers are that the first run and another have, one row each: `KEY`.
        files: The images that every run has, or pairs of them, ``[N]``.
        values: ``[runs, keys, N]``; NaN where a run did not measure a number of an image.
        errors: Standard error of the unit that a number is counted in, as a share of it, ``[runs, keys]``.
        verdicts: The words of the runs.
        told: As of `ComparisonResult`.
        facts: The content of ``run.json``.
        images: No set of images is open.
    """

    probe: Probe
    runs: Mapping[str, FinishedRun]
    keys: pd.DataFrame
    files: pd.Index
    values: np.ndarray
    errors: np.ndarray
    verdicts: pd.DataFrame
    told: tuple[str, ...]
    facts: dict[str, Any]
    images: None = None


def compare(folders: Sequence[str | Path], *, progress: Progress | None = None) -> ComparisonResult:
    """Compare finished runs of one probe, image by image.

    Args:
        folders: Run folders, the baseline first: each other run is compared with that.
        progress: Told of every long loop.

    Returns:
        The differences with their intervals; ``.save(folder)`` writes the report.

    Raises:
        UserError: A folder holds no finished run, two hold the same, or the runs have too little in common.
    """
    return carry_out(partial(prepare, folders), conduct, progress=progress)


def prepare(folders: Sequence[str | Path], command: str = "") -> Study:
    """Read the runs, and join their records.

    Args:
        folders: As of `compare`.
        command: The command line, for the record; empty for a call from Python.

    Raises:
        UserError: As of `compare`.
    """
    if isinstance(folders, str) or not all(isinstance(folder, (str, Path)) for folder in folders):
        raise UserError(f"{folders!r} are no folders of runs", "name them in a list, the baseline first")
    opened = [_opened(user_path(folder, "the folder of a run")) for folder in folders]
    if not 2 <= len(opened) <= len(NAMES):
        problem = f"{len(opened)} {'run' if len(opened) == 1 else 'runs'}: 2 to {len(NAMES)} can be compared"
        raise UserError(problem, "name their folders, the baseline first")
    for place, run in enumerate(opened):
        for other in opened[:place]:
            if run.run == other.run:
                raise UserError(f"{run.folder} is the same run as {other.folder}", "name each run once")
            if run.probe != other.probe:
                problem = f"{other.folder} holds a run of {other.probe}, {run.folder} one of {run.probe}"
                raise UserError(problem, "compare runs of one probe")
    compared = dict(zip(NAMES, opened, strict=False))
    probe, facts = load_probe(opened[0].probe), opened[0].run
    names = _encoders(opened)
    if probe.compared == {}:
        problem = f"{probe.name} makes pictures, of which no number belongs to one image of the data"
        raise UserError(problem, "read the reports side by side")
    records = [_records(run) for run in opened]
    units = {name: _units(run, of) for (name, run), of in zip(compared.items(), records, strict=True)}
    files = _files_in_common(compared, units, probe.counted)
    told = [*_one_of_several(compared, names), *_asked_otherwise(compared), *_made_otherwise(compared)]
    each = list(zip(records, names, units.values(), strict=True))
    measures = _measures(probe, compared, partial(_are_of_the_same, each), told)
    joinable = partial(_joinable, probe, measures, files)
    tables, errors = zip(*(joinable(found, of, unit["file"]) for found, of, unit in each), strict=True)
    values = np.stack([table.reindex(index=tables[0].index, columns=files).to_numpy(float) for table in tables])
    paired = (~np.isnan(values[0]) & ~np.isnan(values[1:])).any((0, 2))
    if not paired.any():
        problem = f"the runs of {probe.name} have no number in common"
        raise UserError(problem, " ".join(["give them the same levels, conditions and settings.", *told]).rstrip("."))
    keys = tables[0].index[paired].to_frame(index=False)
    told += _not_in_all(dict(zip(compared, (table.index.to_frame(index=False) for table in tables), strict=True)))
    measured = {name: len(unit) for name, unit in units.items()}
    if set(measured.values()) != {len(files)}:
        told.insert(
            0, f"{len(files)} {probe.counted} are in every run, of {_by_run(measured)}; the others are left out."
        )
    shares = [[of.get(key, 0.0) for key in keys[KEY[:3]].itertuples(index=False, name=None)] for of in errors]
    return Study(
        probe,
        compared,
        keys,
        files,
        values[:, paired],
        np.array(shares, dtype=float),
        _verdicts(compared, names),
        tuple(told),
        runs.collect_facts(
            "compare",
            command=command or f"rcdm_probe.compare({[str(run.folder) for run in opened]!r})",
            arguments={
                "probe": probe.name,
                "encoder": "+".join(dict.fromkeys(name for run in opened for name in run.encoders)),
                "data": facts["arguments"]["data"],
                "runs": [str(run.folder) for run in opened],
                "seed": 0,
            },
            hashes={f"{of} of {name}": sha for name, run in compared.items() for of, sha in run.run["hashes"].items()},
            device="cpu",
            encoder_cards={f"{name}: {of}": card for name, run in compared.items() for of, card in _cards(run)},
            data_card={**facts["data_card"], probe.counted: len(files), "remarks": told},
        ),
    )  # fmt: skip


def conduct(study: Study, *, workdir: Path | None = None) -> ComparisonResult:
    """Compare.

    Args:
        study: From `prepare`.
        workdir: Not needed: it takes seconds.
    """
    whole = study.keys.groupby(KEY[:-1], sort=False).indices
    tables = {"differences": _differences(study, KEY[:-1], whole)}
    if len(whole) < len(study.keys):
        tables["doses"] = _differences(study, KEY, {tuple(key): [i] for i, key in enumerate(study.keys.to_numpy())})
    tables["verdicts"] = study.verdicts
    index = pd.MultiIndex.from_frame(study.keys)
    of_runs = {name: pd.DataFrame(of, index, study.files) for name, of in zip(study.runs, study.values, strict=True)}
    wide = pd.concat(of_runs, names=["run"])
    records = wide.rename_axis(columns="file").stack().rename("value").dropna().reset_index()
    return ComparisonResult(study.probe.name, study.runs, records, tables, study.told, study.facts)


def _opened(folder: Path) -> FinishedRun:
    """A finished run of a probe, whole."""
    facts = runs.read_facts(folder)
    if facts is None and (folder / RUN).exists():
        raise UserError(runs.damage_of(folder), "run the probe again")
    if facts is None:
        raise UserError(f"{folder} holds no run", "name the folder that a probe has made: it has a run.json")
    if not facts["finished"]:
        raise UserError(f"the run in {folder} is not finished", "give its command again, it goes on from what was done")
    if facts["probe"] not in places():
        problem = f"{folder} holds a run of {facts['probe']}, which is no probe at hand"
        raise UserError(problem, f"compare runs of a probe: {listed(list(places()))}")
    runs.require_whole(folder)
    run = read_run(folder)
    if "images" not in run.tables:
        raise UserError(f"the run in {folder} does not say which images its numbers are of", "run the probe again")
    return run


def _cards(run: FinishedRun) -> Iterable[tuple[str, Mapping[str, Any]]]:
    one = run.run.get("encoder_card")
    return run.run["encoder_cards"].items() if one is None else [(one["name"], one)]


def _encoders(opened: Sequence[FinishedRun]) -> list[dict[str, str]]:
    """Encoders of each run, by what they are called in the comparison: nothing where there is one to compare."""
    shared = [name for name in opened[0].encoders if all(name in run.encoders for run in opened)]
    own = [[name for name in run.encoders if len(run.encoders) == 1 or name not in shared] for run in opened]
    if all(len(names) == 1 for names in own):
        return [{names[0]: ""} for names in own]
    if not shared:
        raise UserError("the runs are on several encoders, of which none is in all", "run the probe on the same ones")
    return [{name: name for name in shared}] * len(opened)


def _one_of_several(compared: Mapping[str, FinishedRun], names: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Which encoder of each run is compared, where that does not go without saying."""
    if any(
        set(of.values()) == {""} and len(run.encoders) > 1 for run, of in zip(compared.values(), names, strict=True)
    ):
        yield f"Compared are {_by_run({name: next(iter(of)) for name, of in zip(compared, names, strict=True)})}."


def _units(run: FinishedRun, records: pd.DataFrame) -> pd.DataFrame:
    """What the numbers of a run are of, by the number of the image: ``file``, or two of a pair, and ``class`` or empty.

    A file is the path below the folder of the data, or the index in a set.
    """
    images = run.tables["images"].set_index("image")
    images = pd.DataFrame({"file": images["file"].astype(str), "class": images.get("class", "")})
    partners = records[records["measure"] == PARTNER].set_index("image")["value"].map(images["file"]).dropna()
    if not len(partners):
        return images.fillna("").astype(str)
    images = images.loc[partners.index]
    return images.assign(file=images["file"] + " to " + partners).fillna("").astype(str)


def _records(run: FinishedRun) -> pd.DataFrame:
    try:
        return pd.read_parquet(run.folder / "records.parquet")
    except (OSError, ValueError) as error:
        raise UserError(f"{run.folder / 'records.parquet'} cannot be read", "run the probe again") from error


def _files_in_common(compared: Mapping[str, FinishedRun], units: Mapping[str, pd.DataFrame], counted: str) -> pd.Index:
    """The images, or pairs, that every run has numbers of.

    Raises:
        UserError: They are too few, or other images by the same name.
    """
    found = {name: of.set_index("file")["class"] for name, of in units.items()}
    (first, *others), files = compared.values(), found["A"].index
    for (name, of), run in zip(list(found.items())[1:], others, strict=True):
        data = [str(one.run["arguments"]["data"]) for one in (first, run)]
        files = files.intersection(of.index)
        numbered = files.str.fullmatch(r"\d+( to \d+)?").all()
        if data[0].lower() != data[1].lower() and numbered:  # numbers of images in other sets
            files = files[:0]
        classes = [one.reindex(files) for one in (found["A"], of)]
        if (classes[0] != classes[1]).any():
            raise UserError(f"images of one name are of other classes in A and {name}", "compare runs on the same data")
    if len(files) < LEAST:
        counts = ", ".join(f"{len(of)} in {compared[name].folder}" for name, of in found.items())
        problem = f"the runs have {len(files)} {counted} in common ({counts}), fewer than {LEAST}"
        asked = [run.run["arguments"] for run in compared.values()]
        differ = [name for name in ("seed", counted, "gallery") if len({str(of.get(name)) for of in asked}) > 1]
        same = ["the same --data", *(f"the same --{name}" for name in differ)]
        raise UserError(problem, f"run the probe on {listed(same)}")
    return files


def _asked_otherwise(compared: Mapping[str, FinishedRun]) -> Iterator[str]:
    """Settings in which the runs differ, but for names and grids: of these, what is in common is compared."""
    asked = {name: run.run["arguments"] for name, run in compared.items()}
    encoders = {name: f"^({'|'.join(map(re.escape, run.encoders))})/" for name, run in compared.items()}  # of a level
    for setting in dict.fromkeys(key for arguments in asked.values() for key in arguments):
        told = {name: arguments.get(setting) for name, arguments in asked.items()}
        if setting in _NOT_ASKED or any(isinstance(value, list) for value in told.values()):
            continue
        own = {re.sub(encoders[name], "", str(value)) for name, value in told.items()}
        if len(own) > 1:
            yield f"{words(setting).capitalize()} differs, and a difference may be due to that: {_by_run(told)}."
    drawn = {name: arguments.get("rcdm") for name, arguments in asked.items()}
    if len(set(drawn.values())) > 1:
        yield f"What draws differs: {_by_run(drawn)}. Numbers that rest on samples compare decoders as well."
    elif len({tuple(_of_decoders(run)) for run in compared.values()}) > 1:
        yield "What draws has the same name and other weights: numbers that rest on samples compare decoders as well."
    hashes = [run.run["hashes"] for run in compared.values()]
    for name in dict.fromkeys(name for of in hashes for name in of if name.startswith(("transformation ", "attack "))):
        if len({of[name] for of in hashes if name in of}) > 1:
            yield f"The {name} is another one, in its code or its doses: what differs under it may be due to that."
    if len({run.run["hashes"].get("data") for run in compared.values()}) > 1:
        yield "The sets of images differ, in choice, size or content: images are paired by name, pixels unchecked."


def _of_decoders(run: FinishedRun) -> Iterator[str]:
    return (sha for of, sha in sorted(run.run["hashes"].items()) if of == "rcdm" or of.startswith("rcdm of "))


def _made_otherwise(compared: Mapping[str, FinishedRun]) -> Iterator[str]:
    """Versions of packages, code and files in which the runs differ."""
    versions = {name: run.run.get("versions", {}) for name, run in compared.items()}
    for package in dict.fromkeys(key for of in versions.values() for key in of):
        told = {name: of.get(package) for name, of in versions.items()}
        if len(set(told.values())) > 1:
            yield f"Versions of {package} differ: {_by_run(told)}."
    for key, what in (("git_commit", "The code differs"), ("format", "Formats of run.json differ")):
        told = {name: str(run.run.get(key)).partition("-") for name, run in compared.items()}
        if len(set(told.values())) > 1:
            yield f"{what}: {_by_run({name: ''.join([of[0][:12], *of[1:]]) for name, of in told.items()})}."


def _by_run(told: Mapping[str, Any]) -> str:
    return ", ".join(f"{plain(value)} ({name})" for name, value in told.items())


def _are_of_the_same(each: Sequence[tuple[pd.DataFrame, Mapping[str, str], pd.DataFrame]], measure: str) -> bool:
    """Whether every run has numbers of a measure of the same images, and of no others."""
    measured = set()
    for records, names, units in each:
        rows = records[(records["measure"] == measure) & records["encoder"].isin(list(names))]
        measured.add(frozenset(units["file"].reindex(rows["image"].unique())))
    return len(measured) == 1


def _measures(
    probe: Probe, compared: Mapping[str, FinishedRun], same: Callable[[str], bool], told: list[str]
) -> Mapping[str, Compared] | None:
    """By what runs are compared; what settings forbid, or images that are not the ``same`` in all, is told."""
    if probe.compared is None:
        return None
    allowed = {}
    for measure, about in probe.compared.items():
        name = about.called or words(measure)
        asked = [{_told_of(probe, run, setting) for run in compared.values()} for setting in about.rests_on]
        differ = [words(setting) for setting, values in zip(about.rests_on, asked, strict=True) if len(values) > 1]
        if differ:
            told.append(f"Left out: {name}, which means something else with another {listed(differ)}.")
        elif about.whole and not same(measure):
            told.append(f"Left out: {name}, which is of all images of a run, and these are not the same.")
        else:
            allowed[measure] = about
    return allowed


def _told_of(probe: Probe, run: FinishedRun, setting: str) -> tuple[str, ...]:
    """What a run was asked for, and what that was: of one name are many networks, and images may have run out."""
    asked, opened = run.run["arguments"], run.run["data_card"].get("images", math.inf)
    short = setting in _COUNTED and opened < (probe.images(SimpleNamespace(**asked)) or 0)
    return str(asked.get(setting)), run.run["hashes"].get(setting, ""), str(opened) if short else ""


def _joinable(
    probe: Probe,
    measures: Mapping[str, Compared] | None,
    files: pd.Index,
    records: pd.DataFrame,
    names: Mapping[str, str],
    units: pd.Series,
) -> tuple[pd.DataFrame, pd.Series]:
    """Numbers of images, and how surely the units are known that they are counted in.

    Returns:
        One row a `KEY`, in order of appearance, one column a file; of several samples the mean. And standard errors of
        units, as shares of them, by encoder, measure and level.
    """
    records = records[records["encoder"].isin(list(names))]
    errors = records[records["measure"] == "unit_error"]
    errors = errors.assign(encoder=errors["encoder"].map(names)).set_index(["encoder", "condition", "level"])["value"]
    inside = records[records["image"].isin(units.index[units.isin(files)])]
    rows = join([probe.comparable(of) for _, of in inside.groupby("encoder", sort=False)])
    rows = rows[rows["measure"].ne(PARTNER) if measures is None else rows["measure"].isin(list(measures))]
    rows = rows.assign(encoder=rows["encoder"].map(names), strength=rows["strength"].fillna(0.0))
    inverse = rows["measure"].isin([name for name, of in (measures or {}).items() if of.statistic is mean_reciprocal])
    values = rows["value"].where(np.isfinite(rows["value"]))
    rows = rows.assign(file=rows["image"].map(units), value=values.where(~inverse, 1 / values))
    order = pd.MultiIndex.from_frame(rows[KEY].drop_duplicates())
    return rows.groupby([*KEY, "file"])["value"].mean().unstack("file").reindex(order), errors


def _not_in_all(own: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    """What not every run has: measures, of those in common levels, and so on."""
    for column in ("measure", "level", "condition"):
        every = set.intersection(*(set(of[column]) for of in own.values()))
        missing: dict[str, list[str]] = {}
        for name, of in own.items():
            for value in of.loc[~of[column].isin(every), column].unique():
                missing.setdefault(words(value) or "untouched", []).append(name)
        own = {name: of[of[column].isin(every)] for name, of in own.items()}
        if missing:
            what = ", ".join(f"{value} (only in {listed(of)})" for value, of in missing.items())
            yield f"Not every run has {column} {what}: only those that do are compared by it."
    every = set.intersection(*(set(of.itertuples(index=False, name=None)) for of in own.values()))
    if doses := {name: len(of) - len(every) for name, of in own.items() if len(of) > len(every)}:
        yield f"Not every run has all doses; beyond those in common are {_by_run(doses)}."


def _differences(study: Study, names: Sequence[str], groups: Mapping[Any, Sequence[int]]) -> pd.DataFrame:
    """Each run beside the first: one row a run and a group of numbers, of which an image's value is the mean."""
    lines = []
    for key, members in track(groups.items(), "comparing", len(groups)):
        told = dict(zip(names, key, strict=True))
        about = study.probe.compared_by(told["measure"])
        own = share if about.statistic is mean_reciprocal else about.statistic  # they are reciprocal already
        for place, run in enumerate(list(study.runs)[1:], 1):
            both = study.values[[0, place]][:, members]
            both = both[:, ~np.isnan(both).all(2).any(0)]  # doses of both
            if not both.shape[1]:
                continue
            both = both.mean(1)
            both = both[:, ~np.isnan(both).any(0)]
            if not both.size:
                continue
            if about.shares:  # an interval of what is added is not the number's own, which is in its report
                base, other = (Estimate(evaluate(own, of_run), math.nan, math.nan, len(of_run)) for of_run in both)
            else:
                base, other = (interval(of_run, own) for of_run in both)
            apart = both[1] - both[0]
            rounding = ROUNDING * (np.abs(both).max() if about.whole else 1.0)  # numbers of sets have no unit
            apart[np.abs(apart) <= rounding] = 0  # else rounding that is the same for all images would be certain
            gain = interval(apart, median if about.statistic is median else mean)
            errors = study.errors[[0, place]][:, members].max(1) * np.abs(np.median(both, axis=1))
            base, other = (of_run.widened(float(error)) for of_run, error in zip((base, other), errors, strict=True))
            gain = gain.widened(float(np.hypot(*errors)))
            numbers = {**base.columns("baseline"), **other.columns("value"), **gain.columns("difference")}
            tests = (students_t(apart), math.nan) if about.shares else (signed_rank(apart), rank_biserial(apart))
            tested = {"p_value": tests[0], "p_holm": math.nan, "effect": tests[1]}
            changed = np.count_nonzero(apart)
            lines.append({**told, "run": run, **numbers, **tested, "images": gain.n, "changed": changed})
    table = pd.DataFrame(lines)
    table = table.assign(p_holm=holm(table["p_value"].where(table["images"] >= LEAST)))
    return table.assign(outcome=[_outcome(row) for _, row in table.iterrows()])


def _outcome(row: pd.Series) -> str:
    """The word of a difference: the whole interval on one side of 0, and p, Holm-corrected over the table."""
    if row["images"] < LEAST:
        return "too few"
    word = word_of_gain(estimate_of(row, "difference"), row["p_holm"])
    return WORDS[word] if row["changed"] else "equal"


def _verdicts(compared: Mapping[str, FinishedRun], names: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    """The word of every run on each claim: one row a claim, a column a run, and whether those measured ``differ``."""
    told: dict[tuple[Any, ...], dict[str, str]] = {}
    for (name, run), of in zip(compared.items(), names, strict=True):
        if "verdicts" not in run.tables:
            continue
        for _, row in run.tables["verdicts"].fillna({"aspect": "", "level": ""}).iterrows():
            if row["encoder"] in of:
                heading = f"Finding {row['finding']}" if row["finding"] else "Beyond the paper"
                key = (", ".join(filter(None, (heading, row["aspect"]))), row["level"], of[row["encoder"]])
                told.setdefault(key, {})[name] = row["word"]
    rows = [
        dict(zip(("claim", "level", "encoder"), key, strict=True))
        | {name: words_of.get(name, "not measured") for name in compared}
        | {"differ": len(set(words_of.values())) > 1}
        for key, words_of in told.items()
    ]
    return pd.DataFrame(rows, columns=["claim", "level", "encoder", *compared, "differ"])
