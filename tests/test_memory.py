"""Large buffers stay with the process, so that the system does not empty their pages again and again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from posecv.memory import free_memory

PROGRAM = """
import ctypes, resource, sys
from posecv.memory import keep_buffers

if sys.argv[1] == "kept" and not keep_buffers():
    sys.exit(3)
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

def faults():
    '''Pages that the system had to give for a buffer of 64 MB that is filled and freed.'''
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    buffer = libc.malloc(64 << 20)
    ctypes.memset(buffer, 1, 64 << 20)
    libc.free(buffer)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

first = faults()
print(first, sum(faults() for _ in range(8)))
"""


def faults(how: str) -> tuple[int, int]:
    """Page faults of a first buffer, and of eight more."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True)
    if done.returncode == 3:
        pytest.skip("this C library has no such setting")
    assert not done.returncode, done.stderr
    first, more = map(int, done.stdout.split())
    return first, more


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of Linux's C library")
def test_the_pages_of_a_large_buffer_are_given_once() -> None:
    first, more = faults("kept")
    assert more < first
    first, more = faults("plain")
    assert more >= 4 * first


def test_free_memory_is_what_the_system_says_and_unknown_elsewhere(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    assert free_memory(meminfo) is None
    meminfo.write_text("MemTotal:       24596568 kB\nMemFree:           99 kB\nMemAvailable:    2048 kB\n")
    assert free_memory(meminfo) == 2 << 20
    meminfo.write_text("MemTotal:       24596568 kB\n")
    assert free_memory(meminfo) is None
