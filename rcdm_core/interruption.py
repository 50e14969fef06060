"""Interruptions that wait until it is safe: Ctrl-C, and the request to end that clusters and process managers send."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def stop(number: int, frame: Any) -> None:
    """Ctrl-C where nothing is done yet, or all: a library that is being imported could swallow an exception."""
    os.write(2, b"rcdm-probe: stopped\n")
    os._exit(128 + number)


def interrupt(number: int, frame: Any) -> None:
    """Ctrl-C while a command runs: a KeyboardInterrupt, or `stop` while PyTorch is imported: its C++ would abort."""
    within = frame
    while within is not None:
        if within.f_code.co_name == "<module>" and within.f_globals.get("__name__") == "torch":
            stop(number, frame)
        within = within.f_back
    raise KeyboardInterrupt


class Deferral:
    """While the block runs, SIGINT and SIGTERM only set ``asked``; the block looks at it where it can end well.

    Outside the main thread, which alone receives signals, nothing is deferred.

    Attributes:
        asked: Whether a signal has come.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Deferral:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """Within it signals do at once what they did before."""
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()

    def _note(self, number: int, frame: object) -> None:
        self.asked = True
