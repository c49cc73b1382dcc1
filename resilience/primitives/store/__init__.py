"""Shared state of all processes of a host, in a mapped file; or of one process, in its memory."""

from .layout import ALONE, HOST, LOCAL, Layout
from .pools import Gauge
from .sections import Fault, Holder, LastError, Mark
from .store import HostStore, LocalStore, Role, Store, open_store

__all__ = [
    "ALONE",
    "HOST",
    "LOCAL",
    "Fault",
    "Gauge",
    "Holder",
    "HostStore",
    "LastError",
    "Layout",
    "LocalStore",
    "Mark",
    "Role",
    "Store",
    "open_store",
]
