"""diffusers without what only takes time: most of its import is for other networks than ours.

PyTorch's compiler is imported so that their classes can be marked for it; transformers, torchvision, scipy.stats and
others for what their pipelines do; and the list of all that is installed for packages named otherwise than what they
provide. All of that is out of sight while diffusers is imported, as if it were not installed, and there as ever
afterwards. Where diffusers cannot do without, it is imported as by everybody else.
"""

from __future__ import annotations

import importlib.util
import sys
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from importlib.machinery import ModuleSpec

_NEEDED = ("diffusers.models.unets.unet_2d", "diffusers.schedulers")
_HIDDEN = (
    "torch._dynamo",
    "torchvision",
    "scipy",
    "scipy.stats",
    "transformers",
    "peft",
    "xformers",
    "flash_attn",
    "kernels",
    "bitsandbytes",
    "torchao",
)


def import_diffusers_quickly() -> None:
    """Let the process import diffusers quickly, when it does: for a command, in which nothing else is asked of it."""
    if "diffusers" not in sys.modules:
        sys.meta_path.insert(0, _Quick())


class _Quick(MetaPathFinder):
    """Finds diffusers where it is, once, and has it loaded with what takes long out of sight."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if name != "diffusers":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                try:
                    with _hidden():
                        load(module)
                        for needed in _NEEDED:
                            import_module(needed)
                except Exception:  # whatever it is that diffusers cannot do without
                    for part in [part for part in sys.modules if part.startswith("diffusers.")]:
                        del sys.modules[part]
                    load(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


@contextmanager
def _hidden() -> Iterator[None]:
    import importlib.metadata
    from unittest.mock import patch

    import torch

    there = {name: sys.modules.pop(name) for name in _HIDDEN if name in sys.modules}
    sys.modules.update(dict.fromkeys(_HIDDEN))  # type: ignore[arg-type]  # None: there is no such module
    try:
        with (
            patch.object(importlib.metadata, "packages_distributions", dict),
            patch.object(torch.compiler, "disable", _unmarked),
        ):
            yield
    finally:
        for name in _HIDDEN:
            del sys.modules[name]
        sys.modules.update(there)


def _unmarked(function: Callable[..., Any] | None = None, **_: Any) -> Any:
    return function or (lambda decorated: decorated)
