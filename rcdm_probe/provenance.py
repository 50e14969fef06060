"""Where a number comes from: the versions, the code and the machine that computed it."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

_PACKAGES = (
    "rcdm-probe", "torch", "torchvision", "torchattacks", "timm", "kornia", "diffusers", "numpy", "scipy",
    "scikit-learn", "pandas", "pillow",
)  # fmt: skip
_GB = 1e9


def versions() -> dict[str, str]:
    """Versions of Python and of every package that a number can depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


_OURS = ("rcdm_core", "analyses", "reports", "probes", "rcdm_probe")
"""Folders in which a file is code of ours, a probe that nobody has added to the repository yet among it."""


def git_commit() -> str:
    """Commit of the checkout that the code runs from, empty for a wheel.

    Where the checkout was changed, ``-dirty-`` and the beginning of the SHA-256 of the change: two edits are two codes.
    """
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():  # a wheel inside somebody's own repository is not at that repository's commit
        return ""
    try:
        commit = _git(root, "rev-parse", "HEAD").decode().strip()
        change = _git(root, "diff", "--no-ext-diff", "--no-textconv", "HEAD")
        new = _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", *_OURS).split(b"\0")
        change += b"".join(name + (root / os.fsdecode(name)).read_bytes() for name in new if name)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{commit}-dirty-{hashlib.sha256(change).hexdigest()[:8]}" if change else commit


def _git(root: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=True).stdout


def machine(device: str) -> dict[str, Any]:
    """What the run computes on.

    Args:
        device: The torch device of the run.

    Returns:
        ``cpu`` (model), ``cores`` (that this process may use), ``memory_gb``, ``gpu`` (model, or empty), ``system``.
    """
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / _GB, 1),
        "gpu": _gpu_model(device),
        "system": platform.platform(terse=True),
    }


def peak_memory_gb() -> float:
    """Largest resident memory of this process since it started, in GB (10^9 bytes)."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / _GB
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / _GB  # bytes on macOS, KiB elsewhere


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpu_model(device: str) -> str:
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return "Apple GPU" if device == "mps" else ""
