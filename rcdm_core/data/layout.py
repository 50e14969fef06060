"""What of a folder is an image, and how its subfolders sort the images into classes, before any file is opened."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rcdm_core.errors import UserError
from rcdm_core.paths import open_regular

EXTENSIONS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pbm",
)  # fmt: skip
RUN = "run.json"
"""What a probe or a training writes into its folder: the pictures beside it are figures."""

TOLERATED = 0.1
"""The largest share of odd files (corrupt, or outside the classes) at which the rest is still what the user meant."""

_MARK = b'"rcdm-probe"'  # stands in every `RUN` of ours, among the versions
_SYSTEM = frozenset(
    {
        "__macosx", "__pycache__", "$recycle.bin", "#recycle", "@recycle", "#snapshot", "@eadir", "lost+found",
        "system volume information", "network trash folder", "temporary items",
    }
)  # fmt: skip
_TRAINING = frozenset({"train", "training", "trainset", "trn", "trainval"})
_HELD_OUT = frozenset(
    {
        "val", "valid", "validation", "valset", "dev", "test", "testing", "testset", "tst", "holdout", "heldout",
        "eval", "evaluation",
    }
)  # fmt: skip
_SPLITS = _TRAINING | _HELD_OUT | {"unlabeled", "unlabelled", "fold", "shard", "part", "batch", "chunk"}
_PICTURES = frozenset({"image", "images", "img", "imgs", "jpegimages", "photos", "pictures", "rgb"})
_BESIDE = frozenset(
    {
        "annotation", "annotations", "depth", "groundtruth", "gt", "label", "labels", "mask", "masks", "segmentation",
        "segmentationclass", "segmentationobject", "segmentations", "truth",
    }
)  # fmt: skip
_FILLERS = frozenset({"a", "set", "split", "data", "images", "image", "imgs", "img"})  # test_set, train-images
_NAMED = 3  # files and folders that a sentence names


@dataclass
class Listing:
    """What lies below a folder.

    Attributes:
        images: Files that end as images do, in no order.
        folders: Every folder that was looked into, as parts of its path below the folder.
        passed_over: How many files there are of each other ending, and how many files and folders are passed over for
            what they are.
        named: The first of these files and folders by name, where the kind does not tell which.
    """

    images: list[Path] = field(default_factory=list)
    folders: list[tuple[str, ...]] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    named: dict[str, list[str]] = field(default_factory=dict)

    def pass_over(self, kind: str, path: Path | None = None) -> None:
        """Count what is no image; its name is told where a path is given."""
        self.passed_over[kind] += 1
        if path is not None:
            self.named.setdefault(kind, []).append(path.name)

    def remarks(self) -> Iterator[str]:
        """What is passed over, in a sentence."""
        if self.passed_over:
            most = self.passed_over.most_common()
            kinds = (f"{count:,} {kind}{_in_brackets(self.named.get(kind))}" for kind, count in most)
            yield f"passed over: {', '.join(kinds)}"


@dataclass(frozen=True)
class Layout:
    """Which of the images are taken, and how they are sorted.

    Attributes:
        images: In natural order of their paths.
        class_names: Names of the classes, in natural order; empty where there are none.
        depth: Which part of an image's path below the folder is the name of its class.
        remarks: What has to be told of it, in sentences.
    """

    images: list[Path]
    class_names: tuple[str, ...]
    depth: int
    remarks: tuple[str, ...]


def walk(folder: Path) -> Listing:
    """Look into a folder and all below it.

    Links to folders are followed, each folder once: after all that is no link, so that no class is read as part of one
    that links to it. What is hidden or the system's is passed over, and what a probe or a training has written.

    Raises:
        UserError: The folder cannot be opened.
    """
    found, queue, links, seen = Listing(), deque([folder]), deque[Path](), set()
    while queue or links:
        parent = (queue or links).popleft()
        try:
            status = parent.stat()
            entries = sorted(os.scandir(parent), key=lambda entry: entry.name)
        except OSError as error:
            if parent == folder:
                raise UserError(f"cannot look into {folder} ({error.strerror})", "give a folder of images") from error
            found.pass_over("folders that cannot be opened", parent)
            continue
        if (status.st_dev, status.st_ino) in seen:
            found.pass_over("links to folders that are read already", parent)
            continue
        seen.add((status.st_dev, status.st_ino))
        if parent != folder and any(entry.name == RUN for entry in entries) and is_ours(parent):
            found.pass_over("folders of runs", parent)
            continue
        found.folders.append(parent.relative_to(folder).parts)
        for entry in entries:
            path = parent / entry.name
            if _is_folder(entry):
                if entry.name.startswith(".") or entry.name.casefold() in _SYSTEM:
                    found.pass_over("hidden or system folders", path)
                else:
                    (links if entry.is_symlink() else queue).append(path)
            elif entry.name.startswith("."):
                found.pass_over("hidden files")
            elif path.suffix.lower() in EXTENSIONS:
                found.images.append(path)
            else:
                found.pass_over(path.suffix.lower() or "files without an ending")
    return found


def is_ours(folder: Path) -> bool:
    """Whether a folder was written by a probe or a training: by its `RUN`, whole or not."""
    try:
        with open_regular(folder / RUN, largest=1 << 24) as file:
            return _MARK in file.read()
    except OSError:
        return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def arrange(folder: Path, found: Listing) -> Layout:
    """Sort images into classes by their subfolders, or by those of the splits where all lie in splits.

    Images have no classes where many of them lie outside; a few are left out.
    """
    images = sorted(found.images, key=lambda path: natural(path.relative_to(folder)))
    parts = {path: path.relative_to(folder).parts for path in images}
    tops = list(dict.fromkeys(names[0] for names in parts.values() if len(names) > 1))
    splits = [name for name in tops if _word(name) in _SPLITS]
    kinds = {_word(name) in _TRAINING for name in splits}
    depth = 1 if splits == tops and tops else 0
    placed = [path for path in images if len(parts[path]) > depth + 1]
    names = tuple(dict.fromkeys(parts[path][depth] for path in placed))
    why, give = "", next((parts[path][:1] for path in placed), ())
    mixed, pictures = _mixed(parts.values())
    if mixed and len(pictures) <= depth + 1:
        why, give = mixed, pictures
    elif depth and not _agree(parts.values()):
        why = f"its folders ({_listed(tops)}) are splits and hold different subfolders"
    elif not depth and len(kinds) == 2:
        why, give = f"folders that are splits ({_listed(splits)}) lie beside others", (splits[0],)
    elif len(names) < 2 and len(tops) == 1 and len({part[1] for part in parts.values() if len(part) > 2}) > 1:
        why = f"all images lie in one folder, {tops[0]}"
    elif len(names) > 1 and len(images) - len(placed) > TOLERATED * len(images):
        why = f"{len(images) - len(placed):,} of {len(images):,} images lie outside the folders of classes"
    if why or len(names) < 2:
        remedy = f"give {folder.joinpath(*give)} for those below it"
        return Layout(images, (), depth, (f"no classes are taken, for {why}: {remedy}",) if why else ())
    remarks = (
        *_told_of_images(images, placed, splits if depth else []),
        *([f"{mixed}, and all of them are taken as images"] if mixed else []),
        *_told_of_classes(names, found, depth),
    )
    return Layout(placed, names, depth, remarks)


def _told_of_images(images: list[Path], placed: list[Path], splits: list[str]) -> Iterator[str]:
    """What has to be told of images that are sorted into classes."""
    if splits:
        are, them = ("are splits", "them") if len(splits) > 1 else ("is a split", "it")
        yield f"{_listed(splits)} {are}: the classes are the folders in {them}, and the images of all are taken"
    taken = set(placed)
    if strays := [path.name for path in images if path not in taken]:
        yield f"left out, for they lie outside the folders of classes: {len(strays):,}{_in_brackets(strays)}"


def _told_of_classes(names: tuple[str, ...], found: Listing, depth: int) -> Iterator[str]:
    """What has to be told of the folders that are classes, or could be."""
    folders = {parts[depth] for parts in found.folders if len(parts) == depth + 1}
    if empty := sorted(folders - set(names)):
        yield f"folders without an image that is read, no classes: {len(empty):,}{_in_brackets(empty)}"
    spelled = Counter(unicodedata.normalize("NFC", name).casefold() for name in names)
    same = [name for name in names if spelled[unicodedata.normalize("NFC", name).casefold()] > 1]
    if same:
        yield f"classes whose names differ in case or coding alone are taken as several: {_listed(same)}"


def _mixed(paths: Iterable[tuple[str, ...]]) -> tuple[str, tuple[str, ...]]:
    """In words, in which folder pictures lie beside what belongs to them, and where these pictures are; or nothing."""
    below: dict[tuple[str, ...], dict[str, None]] = {}
    for parts in paths:
        for depth in range(len(parts) - 1):
            below.setdefault(parts[:depth], {})[parts[depth]] = None
    for parent, names in below.items():
        beside = [name for name in names if _has_word(name, _BESIDE)]
        splits = {name for name in names if _word(name) in _SPLITS and any(of.startswith(name) for of in beside)}
        pictures = [name for name in names if name not in beside and (_has_word(name, _PICTURES) or name in splits)]
        if pictures and beside:
            its = f"the folders in {'/'.join(parent)}" if parent else "its folders"
            return f"{its} ({_listed(names)}) are pictures and what belongs to them", (*parent, pictures[0])
    return "", ()


def _agree(paths: Iterable[tuple[str, ...]]) -> bool:
    """Whether the splits hold the same subfolders, or some of those of the split that holds most."""
    below: dict[str, set[str]] = {}
    for parts in paths:
        if len(parts) > 2:
            below.setdefault(parts[0], set()).add(parts[1])
    largest = max(below.values(), key=len, default=set())
    return all(names <= largest for names in below.values())


def _has_word(name: str, known: frozenset[str]) -> bool:
    return not known.isdisjoint(re.findall("[a-z]+", name.casefold()))


def _word(name: str) -> str:
    """A name without numbers, signs and fillers: ``train`` of ``Train_2017`` and of ``train-images``."""
    return "".join(word for word in re.findall("[a-z]+", name.casefold()) if word not in _FILLERS)


def _listed(names: Collection[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(list(names)[:_NAMED]) + more


def _in_brackets(names: Collection[str] | None) -> str:
    return f" ({_listed(names)})" if names else ""


def natural(path: Path) -> tuple[list[list[tuple[int, int, str]]], str]:
    """Sort key by which ``img2`` comes before ``img10``: runs of digits compare as numbers, and come before letters."""
    parts = [
        [(0, int(run), "") if run.isdecimal() else (1, 0, run) for run in re.split(r"(\d+)", part.casefold()) if run]
        for part in path.parts
    ]
    return parts, str(path)
