"""The Hugging Face hub: folders are fetched from it, and handed on to it.

A name is ``ORG/NAME``. What is fetched is kept in the hub's own cache. Who hands on has to be known there: by a token,
that of ``hf auth login`` or of the environment variable ``HF_TOKEN``.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import getproxies

from huggingface_hub import constants

from rcdm_core.errors import UserError, told

PREFIX = "hf:"
"""What a name of the hub begins with where a folder could stand."""

_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def is_name(text: str | Path) -> bool:
    """Whether a text can name a repository."""
    return bool(_NAME.fullmatch(str(text)))


def fetched(name: str, files: Sequence[str]) -> Path:
    """The folder of a repository of a model, as the hub's cache has it.

    Args:
        name: ``ORG/NAME``.
        files: Those that are wanted.

    Raises:
        UserError: It is neither here nor to be had.
    """
    from huggingface_hub import snapshot_download

    try:
        with offline_without_a_network():
            return Path(snapshot_download(name, allow_patterns=list(files)))
    except Exception as error:  # of the hub, of the network's own library, of names
        raise UserError(
            f"{name} is not on this machine and could not be fetched from the Hugging Face hub ({told(error)})",
            f"check the name and the network, or put a copy of its cache in {constants.HF_HUB_CACHE}",
        ) from error


def handed_on(
    folder: Path, files: Sequence[str], name: str, *, readme: str = "", kind: str = "model", private: bool = False
) -> str:
    """Hand files on to a repository, which is made if it is not there; gives its address.

    Args:
        folder: Where they are.
        files: Their paths in it.
        name: ``ORG/NAME``.
        readme: The page of the repository, where it is none of the files.
        kind: ``model`` or ``dataset``.
        private: Whether a new repository is for its owner's eyes alone.

    Raises:
        UserError: There is no network, or the hub refuses.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    hub = HfApi(library_name="rcdm-probe")
    parts = [CommitOperationAdd(path, folder / path) for path in files]
    parts += [CommitOperationAdd("README.md", readme.encode())] if readme else []
    try:
        with offline_without_a_network():
            address = hub.create_repo(name, repo_type=kind, private=private, exist_ok=True)
            hub.create_commit(address.repo_id, parts, commit_message=f"A {kind} of rcdm-probe", repo_type=kind)
    except Exception as error:  # of the hub, of the network's own library, of names
        raise UserError(
            f"{name} could not be handed on to the Hugging Face hub ({told(error)})",
            "check the network, the name ORG/NAME, and that `hf auth login` knows you",
        ) from error
    return str(address)


@contextmanager
def offline_without_a_network() -> Iterator[None]:
    """Without a network, the Hub's client is told so: it then looks into its cache at once, not after a minute."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _reachable(constants.ENDPOINT.split("/")[2])
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _reachable(host: str) -> bool:
    with suppress(OSError):
        return bool(getproxies() or socket.getaddrinfo(host.partition(":")[0], 443))  # a proxy knows the names
    return False
