"""Say what an error of a cache means for its breaker.

ANSWERED is the caller's own mistake: the cache is well, and the error must reach the caller. All others stay
inside `ResilientCache`, which answers as an empty cache would.
"""

import redis.exceptions as redis
from django.db import Error as DatabaseError

from resilience.primitives import Outcome, RejectedError

# First words of replies that say that the server serves nobody now, where redis-py has no class for them.
_SERVER_TROUBLE = {
    "BUSY",  # a script runs and runs
    "MISCONF",  # it cannot save to disk, and so refuses writes
    "NOREPLICAS",
}

_RULES: tuple[tuple[type[BaseException], Outcome], ...] = (
    # The first that fits counts. Our own limits are not the server's failure.
    (RejectedError, Outcome.IGNORED),
    (redis.MaxConnectionsError, Outcome.IGNORED),
    # Lost, refused, reset, timed out, still loading, wrong password, replies that are no replies.
    (redis.ConnectionError, Outcome.FAILURE),
    (redis.TimeoutError, Outcome.FAILURE),
    (redis.InvalidResponse, Outcome.FAILURE),
    (redis.ClusterError, Outcome.FAILURE),
    (redis.OutOfMemoryError, Outcome.FAILURE),
    (redis.ReadOnlyError, Outcome.FAILURE),
    (redis.TryAgainError, Outcome.FAILURE),
    # It answers, but nobody will get anything from it until an operator has changed something.
    (redis.NoPermissionError, Outcome.FAILURE),
    (redis.AuthenticationWrongNumberOfArgsError, Outcome.FAILURE),
    (redis.AskError, Outcome.FAILURE),
    # Caches in files, in memcached, in a database.
    (OSError, Outcome.FAILURE),
    (DatabaseError, Outcome.FAILURE),
)


def classify(error: BaseException) -> Outcome:
    """Return what `error` counts as."""
    if not isinstance(error, Exception):
        return Outcome.IGNORED  # Ctrl-C, the worker's end: nobody's failure
    for kind, outcome in _RULES:
        if isinstance(error, kind):
            return outcome
    if isinstance(error, redis.ResponseError) and str(error).partition(" ")[0] in _SERVER_TROUBLE:
        return Outcome.FAILURE
    return Outcome.ANSWERED


def is_callers(error: BaseException) -> bool:
    """Tell whether `error` must reach the caller: wrong use, a bug, or an interrupt."""
    return classify(error) is Outcome.ANSWERED or not isinstance(error, Exception)


def timed_out(error: BaseException) -> bool:
    """Tell whether `error` is a wait that ended without an answer."""
    return isinstance(error, redis.TimeoutError | TimeoutError)
