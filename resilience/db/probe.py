"""Ask a database once, past its guard: for the steward's pings and probes."""

from __future__ import annotations

import warnings
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from resilience.conf import databases
from resilience.db import faults


def ping(alias: str = DEFAULT_DB_ALIAS) -> None:
    """Connect to `alias` within the current deadline and run `SELECT 1`. Raises what the driver raises.

    It makes a connection of its own: a kept one would not show whether the server takes another.
    """
    wrapper = connections[alias]
    faults.inject(databases.breaker_of(alias))
    connection = wrapper.get_new_connection(wrapper.get_connection_params())
    try:
        if wrapper.vendor == "postgresql":
            connection.autocommit = True  # a pooler drops a session that is closed within a transaction
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
