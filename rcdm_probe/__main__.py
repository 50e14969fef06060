"""``rcdm-probe`` and ``python -m rcdm_probe``: the command line, which Ctrl-C ends in a line whenever it comes."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False  # as in the package
if TYPE_CHECKING:
    from types import FrameType


def main() -> None:
    """Entry point of the script ``rcdm-probe``."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a background job ignores it
        signal.signal(signal.SIGINT, stop)
    from rcdm_probe.cli import main as run

    run()


def stop(number: int, frame: FrameType | None) -> None:
    """Ctrl-C where nothing is done yet, or all: a library that is being imported could swallow an exception."""
    os.write(2, b"rcdm-probe: stopped\n")
    os._exit(128 + number)


if __name__ == "__main__":
    main()
