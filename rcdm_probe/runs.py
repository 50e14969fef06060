"""Run folders: what a run leaves behind, begun before it computes and completed when it is done.

``run.json`` is written first, with everything that decides the numbers. While its ``finished`` is null the run is open:
the same arguments on the same weights, data and code find the newest open folder again and go on from the parts it
keeps in a hidden folder of its own. Every file appears whole or not at all.

A folder is ours if it was empty or holds a ``run.json`` that is as a run has written it; in any other nothing is
written. Whoever is about to write takes the lock first, and then looks what is there. The lock is on a hidden file that
nobody ever removes: two that lock a file under one name would else lock two files.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import re
import shutil
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from rcdm_core import kept, sharing
from rcdm_core.data.folder import FolderImages
from rcdm_core.data.imageset import PartOfImages
from rcdm_core.data.layout import RUN
from rcdm_core.errors import UserError, first_line, legible
from rcdm_core.kept import UNFINISHED, NotKept, atomic_path, remove_unfinished
from rcdm_core.progress import track
from rcdm_probe import provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    import pandas as pd

    from rcdm_core.data.imageset import ImageSet

Facts = dict[str, Any]
PARTS = ".rcdm-probe-parts"
"""Folder within a run folder; named so that no user has one of this name."""
FORMAT = 1
"""Of ``run.json`` (``docs/schemas/run.schema.json``); another number where a program that reads this one would fail."""
LOCK = ".rcdm-probe-lock"
"""File within a folder that is written by one process at a time; it stays."""

_NEVER_MIND = {".DS_Store", "desktop.ini", "Thumbs.db", "lost+found"}  # systems put them into folders of their own will
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
_PAUSE = 0.2  # seconds, after which another process is looked for again
_PATIENCE = 600.0  # seconds that others wait while no first process is at work: it may be about to start
_LONGEST = 150  # bytes of an encoder in the name of a folder, which has 255 at most

_IDENTITY = {
    "probe": "of another probe",
    "arguments": "with other arguments",
    "hashes": "with other weights or data",
    "versions": "with other versions of packages",
    "git_commit": "of other code",
    "training": "of encoders whose training was told otherwise",
}  # key of the facts -> what a run is that differs in it
_FILES = "files"  # in run.json alone: the digests of what a finished run has left behind
_REPORT = ("report.*", "records.parquet", "figures/*", "tables/*")


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
        "format": FORMAT,
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


class UnderWay(UserError):
    """Another process writes in the folder."""


def refuse_different(folder: Path, known: Facts, facts: Facts) -> None:
    """Raise a `UserError` where the facts of a folder are of a run of another identity."""
    for key, what in _IDENTITY.items():
        if _part(known, key) != _part(facts, key):
            raise UserError(f"{folder} holds a run {what}", "choose another folder")


@dataclass
class Run:
    """One run: its folder and its facts.

    Attributes:
        folder: Where everything it makes goes.
        facts: The content of ``run.json``.
        resumed: Whether an interrupted run is being continued.
        refuse: Complains, given folder, its facts and ours, where the folder holds a run that cannot be gone on with.
    """

    folder: Path
    facts: Facts
    resumed: bool = False
    refuse: Callable[[Path, Facts, Facts], None] = field(default=refuse_different, repr=False)
    _entered: bool = field(default=False, repr=False)
    _clock: float = field(default_factory=time.perf_counter, repr=False)

    @property
    def parts(self) -> Path:
        """Finished parts of the measurement, kept until the run is finished."""
        return self.folder / PARTS

    @contextmanager
    def locked(self) -> Iterator[None]:
        """While the run is conducted: no other process works in its folder, and ``run.json`` is of this run.

        Raises:
            UserError: Another process does, or what it left there is no run that can be gone on with.
        """
        with locked(self.folder):
            self.enter()
            yield

    def enter(self) -> None:
        """Write ``run.json``, of a new run or of one that goes on; only for a process that has the lock."""
        refuse_foreign(self.folder)
        known = read_facts(self.folder)
        if self._entered and known == self.facts:  # nobody was here since
            return
        if known is not None:
            self.refuse(self.folder, known, self.facts)
        begun = self.facts["resumed"][-1] if self.resumed else self.facts["started"]
        with _writing(self.folder):
            if known is not None and (
                known["finished"] is None or known["probe"] in ("train", "adapt", "distill")
            ):  # which end where they were
                self.facts = {**self.facts, "started": known["started"], "resumed": [*known["resumed"], begun]}
            else:
                self.facts = {**self.facts, "started": begun, "resumed": []}
                if self.parts.exists():
                    shutil.rmtree(self.parts)  # their record is gone: nobody knows what they are of
            self.resumed = bool(self.facts["resumed"])
            self.parts.mkdir(exist_ok=True)
            kept.save_json(self.facts, self.folder / RUN)
        self._entered = True

    def carry_out(self, study: Any, conduct: Callable[..., Any]) -> tuple[Any, Path]:
        """Conduct a study in this folder, and save here what it found.

        Args:
            study: A frozen dataclass with the ``facts`` that the run was begun with.
            conduct: Takes the study and ``workdir``; gives the result, which can ``save`` itself.

        Returns:
            The result, and the path of its report.

        Raises:
            UserError: Another process is about the same run.
        """
        if sharing.rank():
            return self._take_part(study, conduct), self.folder / "report.pdf"
        with self.locked():
            result = conduct(replace(study, facts=self.facts), workdir=self.parts)
            self.close()
            for _ in track(range(1), "writing the report", 1):
                report = result.save(self.folder)
            self.finish()
        return result, report

    def _take_part(self, study: Any, conduct: Callable[..., Any]) -> Any:
        """Conduct a study that the first of several processes conducts, until its report is there; None if it is."""
        if not _is_open(self.folder):
            return None
        with sharing.taking_part(self.parts):
            result = conduct(study, workdir=self.parts)
        for _ in _pauses(self.folder):  # the first writes the report
            if not _is_open(self.folder):
                break
        return result

    def close(self) -> None:
        """Stop the clock: time and memory enter the facts, so that a report can show them."""
        close(self.facts, seconds=time.perf_counter() - self._clock)

    def finish(self) -> None:
        """Publish the closed facts; the run is now finished, its parts are no longer needed."""
        with _writing(self.folder):
            _publish(self.folder, self.facts)
            sharing.others_gone(self.parts)
            shutil.rmtree(self.parts, ignore_errors=True)
            remove_unfinished(self.folder)


def close(facts: Facts, *, seconds: float) -> None:
    """Enter the end of a run into its facts: time of day, seconds of this sitting, peak memory."""
    memory = round(provenance.peak_memory_gb(), 2)
    facts.update(finished=_now(), seconds=round(seconds, 1), peak_memory_gb=memory)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make a folder, and let no other process that asks for this write in it meanwhile.

    Where a file system has no locks, that is told, and nobody is kept out.

    Raises:
        UserError: Another process writes there, or the folder cannot be written.
    """
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=1 if sharing.processes() > 1 else 0)  # others touch it, to see whether the first is there
    except Timeout as error:
        raise UnderWay(f"the same run is under way in {folder}", "let it end, or choose another folder") from error
    except (NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise _cannot_write(folder, error) from error
        told = "has no locks: see to it that nothing else writes there meanwhile"
        print(f"rcdm-probe: the file system of {folder} {told}", file=sys.stderr)
    try:
        yield
    finally:
        lock.release()


def begin(
    facts: Facts,
    out: Path | None,
    root: Path = Path("runs"),
    *,
    refuse: Callable[[Path, Facts, Facts], None] = refuse_different,
) -> Run:
    """Open the folder of a run and write ``run.json`` into it, unless another process is at work there.

    Args:
        facts: From `collect_facts`.
        out: The folder to use, exactly; None takes ``root/<date>-<probe>-<encoder>``, or the newest open run of the
            same identity.
        root: Where run folders live.
        refuse: As of `Run`.

    Returns:
        The run, new or continued; to be conducted while it is `Run.locked`. Of several processes the first begins it,
        and the others wait until it has.

    Raises:
        UserError: The folder cannot be written, holds what no run has written, or a run that differs in arguments,
            weights, data or code, open or finished.
    """
    if sharing.rank():
        return Run(_begun_by_the_first(facts, out, root, refuse), facts)
    facts = {**facts, "started": _now()}  # a study of several runs collects the facts of all before it begins the first
    with _writing(out if out is not None else root):
        folder = _make(out) if out is not None else _newest_open(root, facts) or _make_new(root, facts)
    run = Run(folder, facts, False, refuse)
    with suppress(UnderWay), locked(folder):  # `Run.locked` tells it
        run.enter()
    return run


def _begun_by_the_first(
    facts: Facts, out: Path | None, root: Path, refuse: Callable[[Path, Facts, Facts], None]
) -> Path:
    """The folder that the first of several processes works in, or has finished since this one was started."""
    for _ in _pauses():
        if out is None:
            folder = _newest_open(root, facts) or finished(facts, root)
        elif (known := read_facts(folder := out)) is not None:
            refuse(out, known, facts)
        elif out.exists():
            refuse_foreign(out)  # as the first does, which then never begins
        known = None if folder is None else read_facts(folder)
        if folder is not None and known is not None and (known["finished"] or _STARTED) >= _STARTED:
            break
    assert folder is not None
    return folder


def _pauses(folder: Path | None = None) -> Iterator[None]:
    """Pauses between looks at what the first of several processes has done, while it is at work or may yet be.

    Args:
        folder: Where it works; None where it has not begun.

    Raises:
        UserError: None has been at work for `_PATIENCE`; for a twentieth of it, in a folder where it had begun.
    """
    seen, patience = time.monotonic(), _PATIENCE if folder is None else _PATIENCE / 20
    while time.monotonic() - seen < patience:
        yield
        time.sleep(_PAUSE)
        if folder is not None and _is_locked(folder):
            seen = time.monotonic()
    raise UserError(
        f"process {sharing.rank()} has waited {patience:g} seconds for the first (RANK=0): it is not there",
        "start all with the same command: what was done is kept",
    )


def _is_locked(folder: Path) -> bool:
    """Whether another process writes there, or may do so where that cannot be told."""
    with suppress(NotImplementedError, OSError), FileLock(folder / LOCK, timeout=0):
        return False
    return True


def _is_open(folder: Path) -> bool:
    facts = read_facts(folder)
    return facts is not None and facts["finished"] is None


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
    with _writing(out):
        ours, theirs = out.resolve(), whole.folder.resolve()
        is_there = ours.is_dir()
    if ours == theirs:
        raise UserError(f"{out} is the folder of the images", "choose another folder with --out")
    if theirs in ours.parents and is_there and read_facts(ours) is None:
        raise UserError(f"{out} is there already, among the images", "choose a new folder with --out")


def finished(facts: Facts, root: Path = Path("runs")) -> Path | None:
    """The newest finished run of the same arguments, weights, data and code; None where there is none that is whole.

    Args:
        facts: From `collect_facts`.
        root: Where run folders live.
    """
    same = [(folder, known) for folder, known in _runs(root) if known["finished"] and _is_same(known, facts)]
    newest_first = sorted(same, key=lambda run: run[1]["finished"], reverse=True)
    return next((folder for folder, _ in newest_first if _is_whole(folder)), None)


def save(folder: Path, records: pd.DataFrame, facts: Facts, write: Callable[[Path], Path]) -> Path:
    """Write what a study found into a folder, which is made if it is not there.

    Args:
        folder: Where.
        records: Every measurement; ``records.parquet``.
        facts: Where the numbers come from; ``run.json``, written last: it says that the rest is there.
        write: Writes the report, its figures and its tables into a folder; gives the path of the PDF.

    Returns:
        Path of the PDF.

    Raises:
        UserError: The folder cannot be written, holds what no run has written, or a different run: figures of two would
            lie side by side.
    """
    with _writing(folder):
        _make(folder)
        if (known := read_facts(folder)) is not None:
            refuse_different(folder, known, facts)
        with atomic_path(folder / "records.parquet") as temporary:
            temporary.write_bytes(records.to_parquet(index=False))  # by itself it knows no path that is not UTF-8
        report = write(folder)
        _publish(folder, facts)
    return report


def read_facts(folder: Path) -> Facts | None:
    """The content of a folder's ``run.json``; None where there is none that is as a run has written it."""
    facts = kept.load_json(folder / RUN)
    return None if facts is None else {key: value for key, value in facts.items() if key != _FILES}


def strangers(folder: Path, ours: Collection[str] = ()) -> list[str]:
    """Names of what is in a folder and not hidden there by a run; those that are ours are none either."""
    with _writing(folder):
        found = {path.name for path in folder.iterdir()} - {PARTS, LOCK, *_NEVER_MIND, *ours}
    return sorted(name for name in found if not UNFINISHED.match(name))


def damage_of(folder: Path) -> str:
    """What is wrong with a ``run.json`` that `read_facts` does not take, in words."""
    return f"{folder / RUN} is damaged, or no run of this program has written it"


def refuse_foreign(folder: Path) -> None:
    """Raise a `UserError` where a folder holds what no run has written, and no run beside it."""
    if read_facts(folder) is not None:
        return
    found = strangers(folder)
    if RUN in found:
        raise UserError(damage_of(folder), "choose another folder with --out")
    if found:
        raise UserError(
            f"{folder} holds {found[0]} and no run of this program, which might overwrite what is there",
            "choose a new folder with --out, or an empty one",
        )


def _publish(folder: Path, facts: Facts) -> None:
    """Write the facts of a finished run, with the digests of what it leaves behind."""
    digests = {name: _digest(folder / name) for name in left_behind(folder)}
    kept.save_json({**facts, _FILES: digests}, folder / RUN)


def left_behind(folder: Path) -> list[str]:
    """Names of the files of a report."""
    found = itertools.chain.from_iterable(folder.glob(pattern) for pattern in _REPORT)
    return sorted(path.relative_to(folder).as_posix() for path in found if not path.name.startswith("."))


def _digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=kept.SEAL).hexdigest()


def damaged(folder: Path) -> Path | None:
    """The first file of a finished run that is not as it left it; None where all are."""
    for name, known in ((kept.load_json(folder / RUN) or {}).get(_FILES) or {}).items():
        try:
            if _digest(folder / name) == known:
                continue
        except OSError:
            pass
        return folder / name
    return None


def require_whole(folder: Path) -> None:
    """Raise a `UserError` unless all files of a finished run are as it left them."""
    if (path := damaged(folder)) is not None:
        raise UserError(f"{path} is not as its run has left it", "run the probe again")


def _is_whole(folder: Path) -> bool:
    """Whether the files of a finished run are as it left them; of one that is not it is told."""
    if (path := damaged(folder)) is not None:
        kept.tell_damaged(path, "the probe is run again")
    return path is None


def _runs(root: Path) -> Iterator[tuple[Path, Facts]]:
    """Folders of runs with their facts; those whose record is damaged, or a stranger's, are passed over."""
    for path in sorted(root.glob(f"*/{RUN}")):
        if (facts := read_facts(path.parent)) is not None:
            yield path.parent, facts


def _newest_open(root: Path, facts: Facts) -> Path | None:
    candidates = [
        (known["started"], folder) for folder, known in _runs(root) if not known["finished"] and _is_same(known, facts)
    ]
    return max(candidates)[1] if candidates else None


def _is_same(known: Facts, facts: Facts) -> bool:
    return all(_part(known, key) == _part(facts, key) for key in _IDENTITY)


def _part(facts: Facts, key: str) -> Any:
    """A part of a run's identity; ``training`` is what the user told of the encoders', which no hash holds."""
    if key != "training":
        return facts.get(key)
    cards = (facts.get("encoder_card"), *facts.get("encoder_cards", {}).values())
    return [[card.get("self_supervised"), list(card.get("training_augmentations", ()))] for card in cards if card]


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Within it, what a system says of a folder that cannot be written is told in one line."""
    try:
        yield
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) and "null" not in str(error):
            raise
        raise _cannot_write(folder, error) from error


def _cannot_write(folder: Path, error: Exception) -> NotKept:
    reason = getattr(error, "strerror", None) or first_line(error) or type(error).__name__
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    remedy = "make room there, and the same command goes on; or choose" if full else "choose"
    return NotKept(f"cannot write in {folder} ({reason})", f"{remedy} another folder with --out")


def _make(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    refuse_foreign(folder)
    return folder


def _make_new(root: Path, facts: Facts) -> Path:
    """A folder that nobody else has: the name by date, then ``-2``, ``-3``, ..."""
    root.mkdir(parents=True, exist_ok=True)
    encoder = re.sub(r"[^\w.+-]", "-", facts["arguments"]["encoder"])  # a colon is no letter of a name everywhere
    encoder = encoder.encode()[:_LONGEST].decode(errors="ignore")
    stem = f"{facts['started'][:10]}-{facts['probe']}-{encoder}"
    names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
    for name in names:
        with suppress(FileExistsError):
            (root / name).mkdir()
            return root / name
    raise AssertionError("names do not end")


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


_STARTED = _now()  # this process
