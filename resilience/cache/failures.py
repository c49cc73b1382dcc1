"""Decide what an error of a cache counts as.

The caller's own mistakes are a short list: the cache is well (ANSWERED), and the error must reach the caller.
Every other error of a server, a proxy or a client library is a failure of the cache: a reader can do nothing
about a database that Redis does not have, or an option that redis-py does not know. Failures stay inside
`ResilientCache`, which answers as an empty cache would.
"""

import errno

import redis.exceptions as redis
from django.core.cache.backends.base import InvalidCacheKey
from django.db import DataError

from resilience.primitives import Outcome, RejectedError

# What a server answers to a senseless request. A script of django-redis may add text around it.
_CALLERS_REPLIES = (
    "WRONGTYPE",
    "value is not an integer",
    "value is not a valid float",
    "increment or decrement would overflow",
    "invalid expire time",
    "string exceeds maximum allowed size",
)
# The calls in which such an answer is the caller's mistake. If another call meets a wrong type, some other
# program uses the key, and a reader can do nothing about that either.
_ASKED_WITH_VALUES = frozenset({"incr", "set", "add", "set_many", "touch"})
# A key that the backend cannot hold; a value or delta of an unknown type; a method that the backend lacks.
_CALLERS = (InvalidCacheKey, redis.DataError, DataError, NotImplementedError)


def classify(error: BaseException, operation: str = "") -> Outcome:
    """Return what `error` counts as; `operation` is the cache's method that raised it."""
    # An interrupt is no failure, and a limit of our own is no failure of the server.
    if not isinstance(error, Exception) or isinstance(error, RejectedError | redis.MaxConnectionsError):
        return Outcome.IGNORED
    return Outcome.ANSWERED if _is_callers(error, operation) else Outcome.FAILURE


def is_callers(error: BaseException, operation: str = "") -> bool:
    """Tell whether `error` must reach the caller: wrong use, or an interrupt."""
    if isinstance(error, redis.ResponseError) and operation not in _ASKED_WITH_VALUES:
        return False
    return not isinstance(error, Exception) or classify(error, operation) is Outcome.ANSWERED


def classify_write(error: BaseException) -> Outcome:
    """Return what `error` counts as for the breaker of the writes: a failure if the cache takes none."""
    return Outcome.FAILURE if refuses_writes(error) else Outcome.IGNORED


def refuses_writes(error: BaseException) -> bool:
    """Tell whether the cache answers but stores nothing: a replica, or a memory or disk that is full."""
    if isinstance(error, redis.ReadOnlyError | redis.OutOfMemoryError | redis.NoPermissionError):
        return True
    if isinstance(error, redis.ResponseError):
        return any(reply in str(error) for reply in ("MISCONF", "NOREPLICAS"))
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def timed_out(error: BaseException) -> bool:
    """Tell whether `error` is a wait that ended without an answer."""
    return isinstance(error, redis.TimeoutError | TimeoutError)


def _is_callers(error: BaseException, operation: str) -> bool:
    if isinstance(error, redis.ResponseError):
        return any(reply in str(error) for reply in _CALLERS_REPLIES)
    if isinstance(error, _CALLERS):
        return True
    if operation != "incr" or not isinstance(error, ValueError | TypeError):
        return False
    # The key to count is missing or no number. If the server refuses to count, django-redis counts itself;
    # then the server's refusal, not the error after it, says whose mistake it was.
    refusal = error.__context__
    if isinstance(refusal, redis.RedisError):
        return _is_callers(refusal, operation)
    return not isinstance(error, UnicodeError | redis.RedisError)
