"""Give large blocks of memory back to the system when they are freed."""

import ctypes
import platform

# From glibc's malloc.h.
_M_MMAP_THRESHOLD = -3
_LARGE = 1_048_576


def give_back_large_blocks() -> None:
    """Let glibc map blocks of 1 MiB and more, and unmap them when freed. Other C libraries do so anyway.

    Note [Why large blocks are mapped]
    glibc raises its threshold for mapping to the largest block that was ever freed. A sign-in's hash takes
    19 MiB. After the first one, such blocks came from the arena of each thread and stayed there: 16 threads
    kept 311 MiB that nobody used, for good. A threshold that is set does not change.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)
