"""What the errors of redis-py mean, and the errors with which its guarded clients refuse a call."""

from typing import Self

import redis.exceptions as redis

from resilience.primitives import BreakerOpenError, DeadlineExceededError, RejectedError

# What a server answers to a senseless request. A script of django-redis may add text around it.
_SENSELESS = (
    "WRONGTYPE",
    "value is not an integer",
    "value is not a valid float",
    "increment or decrement would overflow",
    "invalid expire time",
    "string exceeds maximum allowed size",
    "CROSSSLOT",
    "Keys in request don't hash to the same slot",
)
# What a server answers that cannot do its work, whatever it is asked.
_TROUBLE = (
    redis.ReadOnlyError,
    redis.OutOfMemoryError,
    redis.NoPermissionError,
    redis.ClusterDownError,
    redis.ClusterError,
    redis.AskError,  # MOVED, too: the server is one of a cluster
)
_TROUBLE_WORDS = ("BUSY ", "MISCONF", "NOREPLICAS", "NOAUTH", "LOADING")


class CacheRefusedError(BreakerOpenError, redis.ConnectionError):
    """The cache's breaker refused the call. Code that catches redis-py's errors catches it too."""

    error_type = redis.ExceptionType.NETWORK
    status_code = None

    @classmethod
    def of(cls, refusal: BreakerOpenError) -> Self:
        """Return a breaker's refusal as this class."""
        return cls(refusal._circuit_breaker, refusal.name, refusal.retry_after, refusal.reason)


class CacheDeadlineError(DeadlineExceededError, redis.TimeoutError):
    """The request's time was up before the call, or this request has waited for the cache in vain before."""


class LockAwayError(RejectedError, redis.LockNotOwnedError):
    """The cache is away: a lock was not acquired, or nobody knows whether it is still held.

    A lock that is held ends with its own `timeout`; give it one.
    """

    error_type = redis.ExceptionType.NETWORK
    status_code = None

    def __init__(self, name: str, *, retry_after: float, reason: str, lock_name: str | None = None) -> None:
        Exception.__init__(self, None, name, retry_after, reason)
        self.message = str(self)
        self.lock_name = lock_name


def is_own_limit(error: BaseException) -> bool:
    """Tell whether this process has reached a limit of its own, which says nothing about the server."""
    return isinstance(error, redis.MaxConnectionsError)


def is_reply(error: BaseException) -> bool:
    """Tell whether the server itself answered with this error."""
    return isinstance(error, redis.ResponseError)


def is_senseless(error: BaseException) -> bool:
    """Tell whether the error is the caller's mistake: a value of an unknown type, a senseless request."""
    if isinstance(error, redis.ResponseError):
        return any(reply in str(error) for reply in _SENSELESS)
    return isinstance(error, redis.DataError | redis.WatchError)


def is_trouble(error: BaseException) -> bool:
    """Tell whether the server answered that it cannot do its work, whatever it is asked."""
    said = str(error)
    return isinstance(error, _TROUBLE) or any(words in said for words in _TROUBLE_WORDS)


def refuses_writes(error: BaseException) -> bool:
    """Tell whether the server answers but stores nothing: a replica, or a memory or disk that is full."""
    if isinstance(error, redis.ReadOnlyError | redis.OutOfMemoryError | redis.NoPermissionError):
        return True
    return isinstance(error, redis.ResponseError) and any(
        reply in str(error) for reply in ("MISCONF", "NOREPLICAS")
    )


def timed_out(error: BaseException) -> bool:
    """Tell whether `error` is a wait that ended without an answer."""
    return isinstance(error, redis.TimeoutError)
