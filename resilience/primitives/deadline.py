"""One budget for all the time that a request spends on its dependencies.

The current deadline is in a context variable, so that code at any depth sees it without an argument.
A new thread starts without one: run its work through `contextvars.copy_context().run`.
"""

from __future__ import annotations

import math
from contextvars import ContextVar

from resilience.primitives.clock import SYSTEM_CLOCK, Clock
from resilience.primitives.errors import DeadlineExceededError

_current: ContextVar[Deadline | None] = ContextVar("resilience_deadline", default=None)


class Deadline:
    """The moment at which a budget ends, `seconds` from now. With zero or less it is spent already.

    Raises `ValueError` for nan.
    """

    __slots__ = ("_clock", "_ends")

    def __init__(self, seconds: float, *, clock: Clock = SYSTEM_CLOCK) -> None:
        if math.isnan(seconds):
            raise ValueError("seconds must be a number, not nan: a deadline that never compares never ends")
        self._clock = clock
        self._ends = clock.monotonic() + seconds

    def remaining(self) -> float:
        """Return the seconds that are left, never below zero."""
        return max(0.0, self._ends - self._clock.monotonic())

    @property
    def expired(self) -> bool:
        """Tell whether nothing is left."""
        return self.remaining() <= 0.0

    def __repr__(self) -> str:
        return f"<Deadline: {self.remaining():.3f} s left>"


def current_deadline() -> Deadline | None:
    """Return the deadline of the innermost scope, or `None` outside all scopes."""
    return _current.get()


class deadline_scope:  # noqa: N801 - it reads as what `with` takes, and each request and query pays for it
    """Bound the block by `seconds` from now; an enclosing deadline that ends sooner stays in force."""

    __slots__ = ("_deadline", "_token")

    def __init__(self, seconds: float, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._deadline = Deadline(seconds, clock=clock)

    def __enter__(self) -> Deadline:
        outer = _current.get()
        if outer is not None and outer.remaining() <= self._deadline.remaining():
            self._deadline = outer
        self._token = _current.set(self._deadline)
        return self._deadline

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


def budget(limit: float) -> float:
    """Return the seconds that a call may take: `limit`, or what is left of the deadline if that is less.

    Raises `DeadlineExceededError` with `before_call` if nothing is left: the call must not begin.
    """
    deadline = _current.get()
    if deadline is None:
        return limit
    remaining = deadline.remaining()
    if remaining <= 0.0:
        raise DeadlineExceededError("the deadline was spent before the call began", before_call=True)
    return min(limit, remaining)
