"""Memory: what the process keeps of the buffers that each frame frees and the next one asks for, and what is left."""

from __future__ import annotations

import ctypes
import re
import sys
from pathlib import Path

__all__ = ["free_memory", "keep_buffers"]

# Of glibc's <malloc.h>.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
NEVER = (1 << 31) - 1

MEMINFO = Path("/proc/meminfo")


def keep_buffers() -> bool:
    """Let glibc keep the memory of large buffers instead of giving it back to the system; whether it will.

    OpenCV frees a network's large maps after each forward pass. glibc returns such memory at once, and the next pass
    waits until the system has emptied every page of it anew. It is a setting of the whole process, so programs make
    it, the library does not.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    return bool(mallopt and mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, NEVER))


def free_memory(meminfo: Path = MEMINFO) -> int | None:
    """Bytes that a program may take without the system swapping, as Linux tells; None where nobody does."""
    try:
        found = re.search(r"^MemAvailable:\s*(\d+) kB", meminfo.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
