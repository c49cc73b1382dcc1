"""Ask a database once, past its guard: the steward's pings, and its probes."""

from __future__ import annotations

import warnings
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from resilience.conf import databases
from resilience.db import faults


def ping(alias: str = DEFAULT_DB_ALIAS) -> None:
    """Connect to `alias` within the current deadline, and ask for nothing. Raises what the driver raises.

    On a connection of its own: a kept one says nothing of the server's willingness to take another.
    """
    wrapper = connections[alias]
    faults.inject(databases.breaker_of(alias))
    connection = wrapper.get_new_connection(wrapper.get_connection_params())
    try:
        if wrapper.vendor == "postgresql":
            connection.autocommit = True  # a pooler gives up a session that is closed in a transaction
        connection.cursor().execute("SELECT 1")
    finally:
        connection.close()


def __getattr__(name: str) -> Any:
    """Find `ping` by its old name, for one release."""
    if name != "probe":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    message = "resilience.db.probe.probe is now resilience.db.probe.ping"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return ping
