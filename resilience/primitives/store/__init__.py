"""Shared state of all processes of a host, in a mapped file; or of one process, in its memory."""

from .host import HostStore, open_store
from .layout import ALONE, HOST, LOCAL, Layout
from .pools import Gauge
from .sections import Fault, Holder, LastError, Mark, TableLock
from .store import LocalStore, Role, Store
