"""Remember, for the length of a request, that the cache server let it wait in vain.

One time-out is what a request can afford: with ten cache calls in a page, ten of them would be 2.5 s.
"""

from __future__ import annotations

from contextvars import ContextVar


class request_scope:  # noqa: N801 - it reads as what `with` takes, and each request pays for it
    """Make the block one request: after its first time-out no further cache call is made in it."""

    __slots__ = ("_token", "timed_out")

    def __enter__(self) -> None:
        self.timed_out = False
        self._token = _current.set(self)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


# The scope is an object, not a value: what a thread started with this context learns, all of it learn.
_current: ContextVar[request_scope | None] = ContextVar("resilience_cache_scope", default=None)


def given_up() -> bool:
    """Tell whether a cache call of this request has timed out. Outside a request: never."""
    scope = _current.get()
    return scope is not None and scope.timed_out


def give_up() -> None:
    """Make no further cache call in this request."""
    scope = _current.get()
    if scope is not None:
        scope.timed_out = True
