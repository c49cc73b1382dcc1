"""Ask a database once, past its guard: for the steward's pings and probes."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from resilience import registry
from resilience.conf import databases
from resilience.db import faults
from resilience.db.failures import is_full

logger = logging.getLogger("resilience.db")

Question = Callable[[Any, str], None]
"""Gets a cursor of the driver, and the vendor that Django's wrapper names."""

_questions: dict[str, Question] = {}
_unanswered: set[str] = set()  # The log was told of these.


def also_ask(name: str, question: Question) -> None:
    """Ask the default database this too with each ping of a server, on the same connection.

    A question that fails is counted and logged, and asked again with the next ping. It is no failure of the
    ping: another client may hold a lock, or a table may not be there yet.
    """
    _questions[name] = question


def ping(alias: str = DEFAULT_DB_ALIAS) -> None:
    """Connect to `alias` within the current deadline and run `SELECT 1`. Raises what the driver raises.

    It makes a connection of its own: a kept one would not show whether the server takes another.
    """
    wrapper = connections[alias]
    faults.inject(databases.breaker_of(alias))
    asked = _questions if alias == DEFAULT_DB_ALIAS and registry.is_server() else {}
    try:
        connection = wrapper.get_new_connection(wrapper.get_connection_params())
    except Exception as error:
        if is_full(error):  # The watch does not count it: without a word here nobody would know.
            for name in asked:
                _failed(name, error)
        raise
    try:
        if wrapper.vendor == "postgresql":
            connection.autocommit = True  # a pooler drops a session that is closed within a transaction
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        for name, question in asked.items():
            _ask(name, question, cursor, wrapper.vendor)
    finally:
        connection.close()


def _ask(name: str, question: Question, cursor: Any, vendor: str) -> None:
    try:
        question(cursor, vendor)
    except Exception as error:  # of any kind: the server has answered the ping
        _failed(name, error)
    else:
        _unanswered.discard(name)


def _failed(name: str, error: Exception) -> None:
    registry.store().counters.add("questions_failed", name)
    if name not in _unanswered:
        _unanswered.add(name)
        logger.warning("a ping could not ask for the %s, and the next one tries again: %s", name, error)


def __getattr__(name: str) -> Any:
    """Find `ping` by its old name, for one release."""
    if name != "probe":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    message = "resilience.db.probe.probe is now resilience.db.probe.ping"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return ping
