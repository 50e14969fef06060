"""``python -m rcdm_probe``: the command line."""

from rcdm_probe.cli import main

main()
