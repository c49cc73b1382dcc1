"""Remember, for the length of a request, that the cache server let it wait in vain.

One time-out is what a request can afford: with ten cache calls in a page, ten of them would be 2.5 s.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class _Scope:
    timed_out = False


# The scope is an object, not a value: what a thread started with this context learns, all of it learn.
_current: ContextVar[_Scope | None] = ContextVar("resilience_cache_scope", default=None)


@contextmanager
def request_scope() -> Iterator[None]:
    """Make the block one request: after its first time-out no further cache call is made in it."""
    token = _current.set(_Scope())
    try:
        yield
    finally:
        _current.reset(token)


def given_up() -> bool:
    """Tell whether a cache call of this request has timed out. Outside a request: never."""
    scope = _current.get()
    return scope is not None and scope.timed_out


def give_up() -> None:
    """Make no further cache call in this request."""
    scope = _current.get()
    if scope is not None:
        scope.timed_out = True
