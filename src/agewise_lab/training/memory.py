"""What the C library does with memory that is freed, in a process that trains."""

from __future__ import annotations

import ctypes
import sys

# From malloc.h of glibc.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8


def keep_freed_memory() -> bool:
    """Keep memory that this process frees for its next use, instead of handing it back to the system each time.

    A step of training asks for the same large blocks as the one before. By default glibc fetches each of them anew
    from the system, which clears it page by page: up to a fifth of a step was seen (docs/research/0008). Processes that
    this one starts by forking do as it does.

    Returns:
        Whether it was done: only with glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return False
    settings = {_M_ARENA_MAX: 1, _M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: -1, _M_TOP_PAD: 256 << 20}
    done = [mallopt(name, value) == 1 for name, value in settings.items()]
    return all(done)
