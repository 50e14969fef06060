"""Run folders: what a run leaves behind, begun before it computes and completed when it is done.

``run.json`` is written first, with everything that decides the numbers. While its ``finished`` is null the run is open:
the same arguments on the same weights, data and code find the newest open folder again and go on from the parts it
keeps in ``parts/``. Every file appears whole or not at all.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcdm_core.atomic import atomic_path
from rcdm_core.data.folder import RUN
from rcdm_core.errors import UserError
from rcdm_probe import provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

Facts = dict[str, Any]
_IDENTITY = ("probe", "arguments", "hashes", "versions", "git_commit")


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
    return json.loads(json.dumps(facts, default=str))


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
        return self.folder / "parts"

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
        UserError: The folder cannot be written, or ``out`` holds a different run.
    """
    previous = _same_run(out, facts) if out is not None else _newest_open(root, facts)
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
        UserError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / "records.parquet") as temporary:
            records.to_parquet(temporary, index=False)
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


def _same_run(out: Path, facts: Facts) -> tuple[Path, Facts] | None:
    """``out`` with its facts where it holds an open run of this identity; None where a run may begin there."""
    known = read_facts(out)
    if known is None:
        return None
    if known.get("arguments") != facts["arguments"] or known.get("probe") != facts["probe"]:
        raise UserError(f"{out} holds a run with other arguments", "choose another folder with --out")
    return (out, known) if _is_open(known, facts) else None


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
    shutil.rmtree(folder / "parts", ignore_errors=True)  # parts of other code or other weights
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
