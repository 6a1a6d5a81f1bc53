"""Memory: let the process keep buffers from frame to frame, and find out how much is available."""

from __future__ import annotations

import ctypes
import re
import sys
from pathlib import Path

__all__ = ["free_memory", "keep_buffers"]

# From glibc's <malloc.h>.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
NEVER = (1 << 31) - 1

MEMINFO = Path("/proc/meminfo")


def keep_buffers() -> bool:
    """Let glibc keep the memory of large buffers instead of returning it to the system; whether that is possible.

    OpenCV frees a network's large maps after each forward pass. glibc returns such memory at once, and the next pass
    waits until the system has cleared every page again. The setting affects the whole process, so programs call this,
    not the library.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries do not have it
    return bool(mallopt and mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, NEVER))


def free_memory(meminfo: Path = MEMINFO) -> int | None:
    """Bytes of memory available without swapping, according to Linux; None on other systems."""
    try:
        found = re.search(r"^MemAvailable:\s*(\d+) kB", meminfo.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
