"""Ctrl-C at a moment of a test's choosing, in the process of the tests: no second interpreter has to begin."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def stopped_at(folder: Path, pattern: str) -> Iterator[None]:
    """Within it, this process gets one SIGINT as soon as the folder holds a file that is named so."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.002):
            if next(folder.glob(pattern), None) is not None:
                os.kill(os.getpid(), signal.SIGINT)
                return

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        signal.signal(signal.SIGINT, before)
