"""Memory that a server process does not keep: large blocks go back to the system when they are freed."""

import ctypes
import platform

# Of glibc's malloc.h.
_M_MMAP_THRESHOLD = -3
_LARGE = 1_048_576


def give_back_large_blocks() -> None:
    """Have blocks of 1 MiB and more mapped, and unmapped when freed; other C libraries do so anyway.

    Note [Why large blocks are mapped]
    glibc raises its threshold for mapping to the largest block that was ever freed. After one sign-in, whose
    hash takes 19 MiB, such blocks come from the arena of the thread that signs somebody in, and stay there:
    16 threads kept 311 MiB that nobody used, for good. A threshold that is set stays as it is.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)
