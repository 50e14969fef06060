"""What the kinds of pictures are called that neighbourhood sampling compares."""

from __future__ import annotations

from probes.records import REAL

KINDS = {
    REAL: "real images",
    "images": "from h of real images",
    "between": "from between neighbours",
    "gaussian": "from a Gaussian",
}
