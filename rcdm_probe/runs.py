"""Run folders: what a run leaves behind, begun before it computes and completed when it is done.

``run.json`` is written first, with everything that decides the numbers. While its ``finished`` is null the run is open:
the same arguments on the same weights, data and code find the newest open folder again and go on from the parts it
keeps in a hidden folder of its own. Every file appears whole or not at all.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from rcdm_core.atomic import atomic_path
from rcdm_core.data.folder import FolderImages
from rcdm_core.data.layout import RUN
from rcdm_core.data.part import PartOfImages
from rcdm_core.errors import UserError, legible
from rcdm_probe import provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pandas as pd

    from rcdm_core.data.imageset import ImageSet

Facts = dict[str, Any]
PARTS = ".rcdm-probe-parts"
"""Folder within a run folder; named so that no user has one of this name."""

_IDENTITY = {
    "probe": "of another probe",
    "arguments": "with other arguments",
    "hashes": "with other weights or data",
    "versions": "with other versions of packages",
    "git_commit": "of other code",
}  # key of the facts -> what a run is that differs in it


def collect_facts(
    probe: str,
    *,
    command: str,
    arguments: Mapping[str, Any],
    hashes: Mapping[str, str],
    device: str,
    **cards: Mapping[str, Any],
) -> Facts:
    """Everything known of a run before it computes: the content of ``run.json``.

    Args:
        probe: Name of the probe.
        command: Command line that gives the same numbers.
        arguments: Every argument that decides a number, ``encoder`` and ``seed`` among them.
        hashes: Fingerprints of weights and data.
        device: Torch device.
        **cards: Descriptions of what takes part, such as ``encoder_card``.

    Returns:
        A dictionary that JSON can hold; ``finished``, ``seconds`` and ``peak_memory_gb`` are null until `Run.close`.
    """
    facts = {
        "probe": probe,
        "command": command,
        "arguments": dict(arguments),
        "seed": arguments["seed"],
        "versions": provenance.versions(),
        "git_commit": provenance.git_commit(),
        "hashes": dict(hashes),
        "machine": provenance.machine(device),
        **cards,
        "started": _now(),
        "resumed": [],
        "finished": None,
        "seconds": None,
        "peak_memory_gb": None,
    }
    return _legible(json.loads(json.dumps(facts, default=str)))


def _legible(value: Any) -> Any:
    """Facts with every text as any file and terminal takes it: names of files hold what they like."""
    if isinstance(value, dict):
        return {legible(key): _legible(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_legible(item) for item in value]
    return legible(value) if isinstance(value, str) else value


@dataclass
class Run:
    """One run: its folder and its facts.

    Attributes:
        folder: Where everything it makes goes.
        facts: The content of ``run.json``.
        resumed: Whether an interrupted run is being continued.
    """

    folder: Path
    facts: Facts
    resumed: bool = False
    _clock: float = field(default_factory=time.perf_counter, repr=False)

    @property
    def parts(self) -> Path:
        """Finished parts of the measurement, kept until the run is finished."""
        return self.folder / PARTS

    @contextmanager
    def locked(self) -> Iterator[None]:
        """While the run is conducted: no other process works in its folder.

        Raises:
            UserError: Another process does.
        """
        lock = FileLock(self.parts / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise UserError(
                f"the same run is under way in {self.folder}", "let it end, or choose another folder with --out"
            ) from error
        except NotImplementedError:
            pass  # a file system without locks: nobody can tell
        try:
            yield
        finally:
            lock.release()

    def close(self) -> None:
        """Stop the clock: time and memory enter the facts, so that a report can show them."""
        close(self.facts, seconds=time.perf_counter() - self._clock)

    def finish(self) -> None:
        """Publish the closed facts; the run is now finished, its parts are no longer needed."""
        write_json(self.folder / RUN, self.facts)
        shutil.rmtree(self.parts, ignore_errors=True)


def close(facts: Facts, *, seconds: float) -> None:
    """Enter the end of a run into its facts: time of day, seconds of this sitting, peak memory."""
    memory = round(provenance.peak_memory_gb(), 2)
    facts.update(finished=_now(), seconds=round(seconds, 1), peak_memory_gb=memory)


def begin(facts: Facts, *, out: Path | None, root: Path = Path("runs")) -> Run:
    """Open the folder of a run and write ``run.json`` into it.

    Args:
        facts: From `collect_facts`.
        out: The folder to use, exactly; None takes ``root/<date>-<probe>-<encoder>``, or the newest open run of the
            same identity.
        root: Where run folders live.

    Returns:
        The run, new or continued.

    Raises:
        UserError: The folder cannot be written, or ``out`` holds a run that differs in arguments, weights, data or
            code, open or finished.
    """
    facts = {**facts, "started": _now()}  # a study of several runs collects the facts of all before it begins the first
    previous = _open_in(out, facts) if out is not None else _newest_open(root, facts)
    try:
        if previous is not None:
            folder, known = previous
            facts = {**facts, "started": known["started"], "resumed": [*known["resumed"], facts["started"]]}
        else:
            folder = _make(out) if out is not None else _make_new(root, facts)
        run = Run(folder, facts, resumed=previous is not None)
        run.parts.mkdir(exist_ok=True)
        write_json(folder / RUN, facts)
    except OSError as error:
        problem = f"cannot write in {out if out is not None else root.resolve()} ({error.strerror})"
        raise UserError(problem, "choose another folder with --out") from error
    return run


def keep_apart(out: Path, images: ImageSet) -> None:
    """Refuse a folder to write in where it holds the images: the next run would take figures for images.

    A new folder among them is none of theirs, for what is in a run folder is passed over when images are read.

    Args:
        out: Folder to write in.
        images: What the run works on.

    Raises:
        UserError: ``out`` is the folder of the images, or one in it that no run has made.
    """
    whole = images.whole if isinstance(images, PartOfImages) else images
    if not isinstance(whole, FolderImages):
        return
    ours, theirs = out.resolve(), whole.folder.resolve()
    if ours == theirs:
        raise UserError(f"{out} is the folder of the images", "choose another folder with --out")
    if theirs in ours.parents and ours.is_dir() and not (ours / RUN).is_file():
        raise UserError(f"{out} is there already, among the images", "choose a new folder with --out")


def finished(facts: Facts, *, root: Path = Path("runs")) -> Path | None:
    """The newest finished run of the same arguments, weights, data and code; None where there is none.

    Args:
        facts: From `collect_facts`.
        root: Where run folders live.
    """
    found = [(path.parent, read_facts(path.parent)) for path in root.glob("*/run.json")]
    same = [(folder, known) for folder, known in found if known and known.get("finished") and _is_same(known, facts)]
    return max(same, key=lambda run: run[1]["finished"])[0] if same else None


def save(folder: Path, *, records: pd.DataFrame, facts: Facts, write: Callable[[Path], Path]) -> Path:
    """Write what a study found into a folder, which is made if it is not there.

    Args:
        folder: Where.
        records: Every measurement; ``records.parquet``.
        facts: Where the numbers come from; ``run.json``, written last: it says that the rest is there.
        write: Writes the report, its figures and its tables into a folder; gives the path of the PDF.

    Returns:
        Path of the PDF.

    Raises:
        UserError: The folder cannot be written, or holds a different run: figures of two would lie side by side.
    """
    _refuse_different(folder, facts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / "records.parquet") as temporary:
            temporary.write_bytes(records.to_parquet(index=False))  # by itself it knows no path that is not UTF-8
        report = write(folder)
        write_json(folder / RUN, facts)
    except OSError as error:
        raise UserError(f"cannot write in {folder} ({error.strerror})", "choose another folder") from error
    return report


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON so that the file is the old one or the new one, never half of it."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_facts(folder: Path) -> Facts | None:
    """The content of a folder's ``run.json``; None where there is none that can be read."""
    try:
        facts = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None


def _open_in(out: Path, facts: Facts) -> tuple[Path, Facts] | None:
    """``out`` with its facts where it holds an open run of this identity; None where a run may begin there."""
    _refuse_different(out, facts)
    known = read_facts(out)
    return (out, known) if known is not None and _is_open(known, facts) else None


def _refuse_different(folder: Path, facts: Facts) -> None:
    """Raise where a folder holds a run of another identity."""
    known = read_facts(folder)
    if known is None:
        return
    for key, what in _IDENTITY.items():
        if known.get(key) != facts[key]:
            raise UserError(f"{folder} holds a run {what}", "choose another folder")


def _newest_open(root: Path, facts: Facts) -> tuple[Path, Facts] | None:
    found = [(path.parent, read_facts(path.parent)) for path in root.glob("*/run.json")]
    candidates = [(folder, known) for folder, known in found if known is not None and _is_open(known, facts)]
    return max(candidates, key=lambda candidate: candidate[1]["started"], default=None)


def _is_open(known: Facts, facts: Facts) -> bool:
    return known.get("finished") is None and _is_same(known, facts)


def _is_same(known: Facts, facts: Facts) -> bool:
    return all(known.get(key) == facts[key] for key in _IDENTITY)


def _make(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / PARTS, ignore_errors=True)  # of a run whose record is gone: nobody knows what they are of
    return folder


def _make_new(root: Path, facts: Facts) -> Path:
    """A folder that nobody else has: the name by date, then ``-2``, ``-3``, ..."""
    root.mkdir(parents=True, exist_ok=True)
    encoder = re.sub(r"[^\w.+-]", "-", facts["arguments"]["encoder"])  # a colon is no letter of a name everywhere
    stem = f"{facts['started'][:10]}-{facts['probe']}-{encoder}"
    names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
    folder = next(root / name for name in names if not (root / name).exists())
    folder.mkdir()
    return folder


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
