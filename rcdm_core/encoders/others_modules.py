"""Modules of others' code: an encoder is made by those of its own folder, as their files are now.

Python imports a module once, whatever becomes of its file, and finds it again for whoever asks for its name: two
repositories that both have a ``models.py`` would be one network, and a file that was edited the network from before.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_known: dict[str, tuple[Path, bytes]] = {}
"""File and its SHA-256 of each module that was imported for an encoder, by name."""


@contextmanager
def modules_as_they_are(folders: Sequence[Path], root: Path) -> Iterator[None]:
    """Within the block, no module is found that was imported for an encoder before from another folder, or that has
    changed since.

    Args:
        folders: Where the modules of the encoder lie.
        root: What is imported from below it for the first time, but for installed packages, is remembered.
    """
    here = {name: file for name, (file, _) in _known.items() if _is_from(file, folders)}
    stale = {*_known} - {*here}
    if any(_digest(file) != _known[name][1] for name, file in here.items()):
        stale |= {*here}  # one may hold what it took from another
    for name in stale:
        if getattr(sys.modules.get(name), "__file__", None) == str(_known.pop(name)[0]):
            del sys.modules[name]
    before = {*sys.modules}
    try:
        yield
    finally:
        for name in {*sys.modules} - before:
            file = Path(getattr(sys.modules[name], "__file__", None) or "")
            if _is_from(file, [root]) and "site-packages" not in file.parts:
                _known[name] = file, _digest(file)


def imported_from(file: Path, root: Path) -> set[Path]:
    """A file of code, and all that lies below a folder and is imported by it, or by one of these, wherever in them."""
    reached, ahead = set[Path](), [file]
    while ahead:
        one = ahead.pop()
        if one not in reached:
            reached.add(one)
            with suppress(OSError, SyntaxError, ValueError):
                ahead += [found for name in _imports(one, root) for found in _parts(name)]
    return reached


def _imports(file: Path, root: Path) -> Iterator[Path]:
    """What a file imports, as paths below a folder without their endings; most of them are not there."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (root.joinpath(*alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = (file.parents[node.level - 1] if node.level else root).joinpath(*(node.module or "").split("."))
            yield from (package, *(package / alias.name for alias in node.names))


def _parts(name: Path) -> list[Path]:
    """The files of code of a module by its path: its own, and that of its package."""
    places = (name.with_name(f"{name.name}.py"), name / "__init__.py", name.parent / "__init__.py")
    return [place for place in places if place.is_file()]


def _is_from(file: Path, folders: Sequence[Path]) -> bool:
    return any(file.resolve().is_relative_to(folder.resolve()) for folder in folders)


def _digest(file: Path) -> bytes:
    with suppress(OSError):
        return hashlib.sha256(file.read_bytes()).digest()
    return b""
