"""Decide what an error of a cache counts as.

The caller's own mistakes are a short list: the cache is well (ANSWERED), and the error must reach the caller.
Every other error of a server, a proxy or a client library is a failure of the cache: a reader can do nothing
about a database that Redis does not have, or an option that redis-py does not know. Failures stay inside
`ResilientCache`, which answers as an empty cache would.
"""

import errno
from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.core.cache.backends.base import InvalidCacheKey
from django.db import DataError

from resilience.primitives import DeadlineExceededError, Outcome, RejectedError

# Where the errors of a client library are known, by the name of its package. None is imported for its errors
# alone: who raises them has imported the library.
_CLIENTS = {"redis": "resilience.cache.redis.failures"}

# What makes the error of a server that refuses, and of one that is silent.
Drilled = tuple[Callable[[str], Exception], Callable[[str], Exception]]

# A method of the backend that Django does not have, and a command of the client itself. Both are written for
# this very server, so what it answers to them is for the caller, unless it can do no work at all.
EXTRA, COMMAND = "extra", "command"
# The calls in which the answer to a senseless request is the caller's mistake. If another call meets a wrong
# type, some other program uses the key, and a reader can do nothing about that either.
_ASKED_WITH_VALUES = frozenset({"incr", "set", "add", "set_many", "touch"})
# A key that the backend cannot hold; a value of an unknown type; a method that the backend lacks.
_CALLERS = (InvalidCacheKey, DataError, NotImplementedError)


def classify(error: BaseException, operation: str = "") -> Outcome:
    """Return what `error` counts as; `operation` is the cache's method that raised it."""
    # An interrupt is no failure, and a limit of our own is no failure of the server.
    if not isinstance(error, Exception) or isinstance(error, RejectedError):
        return Outcome.IGNORED
    if isinstance(error, DeadlineExceededError) and error.before_call:
        return Outcome.IGNORED
    client = _client_of(error)
    if client is not None and client.is_own_limit(error):
        return Outcome.IGNORED
    return Outcome.ANSWERED if _is_callers(error, operation) else Outcome.FAILURE


def is_callers(error: BaseException, operation: str = "") -> bool:
    """Tell whether `error` must reach the caller: wrong use, or an interrupt."""
    client = _client_of(error)
    if client is not None and client.is_reply(error) and operation not in _ASKED_WITH_VALUES:
        return operation in (EXTRA, COMMAND) and classify(error, operation) is Outcome.ANSWERED
    return not isinstance(error, Exception) or classify(error, operation) is Outcome.ANSWERED


def classify_write(error: BaseException) -> Outcome:
    """Return what `error` counts as for the breaker of the writes: a failure if the cache takes none."""
    return Outcome.FAILURE if refuses_writes(error) else Outcome.IGNORED


def refuses_writes(error: BaseException) -> bool:
    """Tell whether the cache answers but stores nothing: a replica, or a memory or disk that is full."""
    client = _client_of(error)
    if client is not None and client.refuses_writes(error):
        return True
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def timed_out(error: BaseException) -> bool:
    """Tell whether `error` is a wait that ended without an answer."""
    client = _client_of(error)
    return isinstance(error, TimeoutError) or (client is not None and client.timed_out(error))


def _is_callers(error: BaseException, operation: str) -> bool:
    if isinstance(error, _CALLERS):
        return True
    client = _client_of(error)
    if client is not None and client.is_reply(error) and operation in (EXTRA, COMMAND):
        return not client.is_trouble(error)
    if client is not None and (client.is_reply(error) or client.is_senseless(error)):
        return bool(client.is_senseless(error))
    if operation == EXTRA and client is None:
        return isinstance(error, ValueError | TypeError) and not isinstance(error, UnicodeError)
    if operation != "incr" or not isinstance(error, ValueError | TypeError):
        return False
    # The key to count is missing or no number. If the server refuses to count, django-redis counts itself;
    # then the server's refusal, not the error after it, says whose mistake it was.
    refusal = error.__context__
    if refusal is not None and _client_of(refusal) is not None:
        return _is_callers(refusal, operation)
    return not isinstance(error, UnicodeError) and client is None


def _client_of(error: BaseException) -> Any:
    """Return the module that knows the errors of this error's library; None if there is none."""
    for kind in type(error).__mro__:
        if path := _CLIENTS.get(kind.__module__.partition(".")[0]):
            return import_module(path)
    return None
