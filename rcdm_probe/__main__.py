"""``rcdm-probe`` and ``python -m rcdm_probe``: the command line, which Ctrl-C ends in a line whenever it comes."""

from __future__ import annotations

import signal

from rcdm_core.interruption import stop


def main() -> None:
    """Entry point of the script ``rcdm-probe``."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a background job ignores it
        signal.signal(signal.SIGINT, stop)
    from rcdm_probe.cli import main as run

    run()


if __name__ == "__main__":
    main()
