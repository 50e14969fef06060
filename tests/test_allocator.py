"""Memory is kept between tensors, and nobody else's allocator is touched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LOOP = """
import ctypes, resource, sys
from rcdm_core.allocator import keep_memory
done = keep_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
size = 1 << 26  # twice what glibc ever keeps of itself

def touched():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc(size)
    ctypes.memset(block, 1, size)
    libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

touched()
print(done, sum(touched() for _ in range(4)))
"""
GLIBC = "CS_GNU_LIBC_VERSION" in os.confstr_names if hasattr(os, "confstr_names") else False
pytestmark = pytest.mark.skipif(not (sys.platform == "linux" and GLIBC), reason="the C library is not glibc")


def faults(**environment: str) -> tuple[str, int]:
    """Whether memory was kept, and the page faults of four blocks after the first, in a process of its own."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    run = subprocess.run(
        [sys.executable, "-c", LOOP], capture_output=True, text=True, env=env | environment, check=True
    )
    done, count = run.stdout.split()
    return done, int(count)


def test_a_freed_block_is_taken_again_without_asking_the_kernel() -> None:
    kept, with_it = faults()
    assert kept == "True"
    assert with_it < 100  # of the 65,536 pages


@pytest.mark.parametrize(
    "name, value", [("MALLOC_TRIM_THRESHOLD_", "131072"), ("GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=131072")]
)
def test_what_the_environment_sets_up_stays(name: str, value: str) -> None:
    kept, without = faults(**{name: value})
    assert kept == "False"
    assert without > 1000  # huge pages may save some of the 65,536


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_another_allocator_stays_as_it_is(tmp_path: Path) -> None:
    source, library = tmp_path / "other.c", tmp_path / "libother.so"
    source.write_text(
        "#include <stddef.h>\nextern void *__libc_malloc(size_t);\n"
        "void *malloc(size_t n) { return __libc_malloc(n); }\n"
    )
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    assert faults(LD_PRELOAD=str(library))[0] == "False"


def test_what_was_kept_is_given_back() -> None:
    given = """
import ctypes, psutil
from rcdm_core.allocator import give_back, keep_memory
keep_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
block, above = libc.malloc(1 << 26), libc.malloc(1 << 20)  # the second one lies above: the heap does not end at a hole
ctypes.memset(block, 1, 1 << 26)
libc.free(block)
kept = psutil.Process().memory_info().rss
give_back()
print(kept - psutil.Process().memory_info().rss)
"""
    run = subprocess.run([sys.executable, "-c", given], capture_output=True, text=True, check=True)
    assert int(run.stdout) > 1 << 25
