"""Shared state of all processes of a host, in a mapped file; or of one process, in its memory."""

from .faults import Fault
from .host import HostStore, open_store
from .last_errors import LastError
from .layout import ALONE, HOST, LOCAL, Layout
from .lease import Holder
from .marks import Mark, Rows
from .pools import Gauge
from .store import LocalStore, Role, Store
from .table_locks import TableLock
