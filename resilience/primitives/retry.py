"""Repeat a failed call within the same deadline, if another try may help."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from resilience.primitives.deadline import current_deadline
from resilience.primitives.errors import DeadlineExceededError, RejectedError

P = ParamSpec("P")
T = TypeVar("T")


class Retry:
    """Call up to `attempts` times (2: once more) while `retry_on(error)` says so.

    Between two calls it pauses for a random time of up to `max_delay` seconds ("full jitter", Brooker 2015),
    so that callers that failed together do not come back together. It gives up if the pause would use up the
    current deadline. A refusal or a spent deadline is never repeated, whatever `retry_on` says. Raises
    `ValueError` for sizes that make no sense.
    """

    def __init__(
        self,
        *,
        retry_on: Callable[[Exception], bool],
        attempts: int = 2,
        max_delay: float = 0.05,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        if attempts < 1:
            raise ValueError(f"attempts must be 1 or more, not {attempts}: the call would never be made")
        if not 0.0 <= max_delay < float("inf"):
            raise ValueError(
                f"max_delay must be 0 or more seconds, not {max_delay}: no pause can last that long"
            )
        self.attempts = attempts
        self.max_delay = max_delay
        self._retry_on = retry_on
        self._sleep = sleep
        self._jitter = jitter

    def call(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `fn` returns, or raise the failure of the last call that was made.

        If a repeat is refused, the failure before it is raised, since that one says what went wrong.
        """
        return self._call(self.attempts - 1, lambda: fn(*args, **kwargs))

    def _call(self, repeats: int, fn: Callable[[], T]) -> T:
        try:
            return fn()
        except (RejectedError, DeadlineExceededError):
            raise
        except Exception as failure:
            if repeats == 0 or not self._retry_on(failure) or not self._pause():
                raise
            try:
                return self._call(repeats - 1, fn)
            except RejectedError:
                raise failure from None
            except DeadlineExceededError as spent:
                if spent.before_call:
                    raise failure from None
                raise

    def _pause(self) -> bool:
        """Sleep before the next call; return False, at once, if the deadline leaves no time for it."""
        delay = self._jitter() * self.max_delay
        deadline = current_deadline()
        if deadline is not None and delay >= deadline.remaining():
            return False
        self._sleep(delay)
        return True
