"""The circuit breaker: it counts how calls of a dependency end, and refuses them while it is down.

`Call` is the life of one call: `admit` tells whether it may be made, and `settle` counts how it ended. The
state of a breaker is in a `HostState`, which all processes of a host share. `rules` says when it opens and
closes. The rest of this module makes calls in other ways, shows the state, and takes orders.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from math import ceil, floor, inf
from typing import Any, Literal, Self, TypeVar

import circuitbreaker

from . import kinds, rules
from .clock import SYSTEM_CLOCK, Clock
from .config import BreakerConfig
from .errors import BreakerOpenError, DeadlineExceededError, RejectedError
from .host_state import HostState
from .noting import Describe, Notes, describe
from .own import own_trouble
from .refusing import PROBED, Refused, why_refused
from .rules import (
    ANSWERED,
    CLOSED,
    FAILURE,
    HALF_OPEN,
    IGNORED,
    OPEN,
    SLOW,
    SUCCESS,
    Admission,
    Outcome,
    Override,
    Record,
    State,
)
from .snapshot import BreakerSnapshot, snapshot
from .store import ALONE, LocalStore, Store
from .transitions import Transition

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
Classify = Callable[[BaseException], Outcome]

_WORDS = {
    CLOSED: circuitbreaker.STATE_CLOSED,
    OPEN: circuitbreaker.STATE_OPEN,
    HALF_OPEN: circuitbreaker.STATE_HALF_OPEN,
}
_OPENED = circuitbreaker.CircuitBreaker.opened
# The `with breaker:` blocks that are open in this context.
_blocks: ContextVar[tuple["Call", ...]] = ContextVar("resilience_blocks", default=())
# A command's calls are not counted and never refused.
_OF_A_COMMAND = Admission(-1, counts=False)


@dataclass(eq=False, slots=True)
class Call:
    """One call, for `with`; `calling` makes it.

    Entering asks the breaker, which admits the call or raises its refusal. Leaving measures how long the call
    took, judges how it ended, and tells the breaker, which counts that and may open or close.
    """

    breaker: "CircuitBreaker"
    operation: str
    judge: "Judge | None"
    given: Admission | None
    quiet: bool
    timed: bool
    admission: Admission = field(init=False)
    began: float = field(init=False)
    took: float = field(init=False)
    """Seconds that it took, once it has ended."""
    outcome: Outcome | None = field(init=False)
    """What it counted as, once it has ended; None if it did not count."""

    def __enter__(self) -> Self:
        self.admission = self.breaker.admit() if self.given is None else self.given
        self.began = self.breaker._stopwatch()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> Literal[False]:
        breaker = self.breaker
        self.took = took = breaker._stopwatch() - self.began if self.timed or error is not None else 0.0
        outcome = SUCCESS
        if error is not None:
            outcome = breaker.classify(error) if self.judge is None else self.judge(self, error)
        if outcome is SUCCESS and self.quiet and took <= breaker._slow_after:
            self.outcome = None
        else:
            self.outcome = outcome
            breaker.settle(self.admission, outcome, error=error, operation=self.operation, took=took)
        return False


Judge = Callable[[Call, BaseException], Outcome]


class CircuitBreaker(circuitbreaker.CircuitBreaker):
    """Refuse calls to a dependency that fails, and find out when it works again.

    All arguments are optional. Those of the library `circuitbreaker` mean the same as there. `config` has
    more settings, and replaces `failure_threshold` and `recovery_timeout`. Without a `store` the breaker
    belongs to this process; with one, all processes that use the same `key` (by default the name) share it.
    `classify` says what an exception counts as, in place of `expected_exception`: see `Outcome`. `describe`
    says in a line why a call failed, for the log and for operators; by default by class and code. `stopwatch`
    returns seconds and measures calls; by default it is that of the `clock`.
    """

    def __init__(
        self,
        failure_threshold: int | None = None,
        recovery_timeout: float | None = None,
        expected_exception: Any = None,
        name: str | None = None,
        fallback_function: Callable[..., Any] | None = None,
        *,
        config: BreakerConfig | None = None,
        store: Store | None = None,
        key: str | None = None,
        classify: Classify | None = None,
        describe: Describe = describe,
        clock: Clock = SYSTEM_CLOCK,
        stopwatch: Callable[[], float] | None = None,
    ) -> None:
        if config is not None:
            failure_threshold, recovery_timeout = config.failure_threshold, config.recovery_timeout
        super().__init__(failure_threshold, recovery_timeout, expected_exception, name, fallback_function)
        self.config = config or BreakerConfig(
            failure_threshold=self._failure_threshold, recovery_timeout=self._recovery_timeout
        )
        self.classify = classify or self._classify_expected
        """Say what an exception of a call counts as."""
        self._clock = clock
        self._now = clock.monotonic
        self._stopwatch = stopwatch or clock.monotonic
        self._opened = clock.monotonic()
        self._slow_after = inf if self.config.slow_after is None else self.config.slow_after
        self._host = HostState(str(self), store or LocalStore(ALONE), key or name or "", self.config, clock)
        self._notes = Notes(describe)
        # A subclass may override this property, which the library reads before each call.
        self._has_opinion = type(self).opened is not _OPENED

    # --- One call ---

    def calling(
        self,
        operation: str = "call",
        *,
        judge: Judge | None = None,
        admission: Admission | None = None,
        quiet: bool = False,
        timed: bool = True,
    ) -> Call:
        """Return a context manager for one call: `with breaker.calling("query"): ask()`.

        Entering raises `BreakerOpenError` if the call is refused. An error of the block goes through, and
        counts as `judge` says, by default as `classify` does. Metrics count by `operation`. With an
        `admission` the breaker is not asked again. If `quiet`, a success counts only if it was slow. If not
        `timed`, because the block contains the caller's own work, a success is never slow.
        """
        return Call(self, operation, judge, admission, quiet, timed)

    def admit(self) -> Admission:
        """Admit a call, or raise `BreakerOpenError`. Takes a permit if the breaker is half-open."""
        host, now = self._host, self._now()
        record = host.current(now)
        if self._has_opinion and self.opened:
            raise self._refusal(("open", max(0.0, record.until - now)))
        if host.window is None:
            return _OF_A_COMMAND
        if record.admission is not None:
            return record.admission
        refused = why_refused(host, record, now)
        if refused is None:
            probe = host.permitted(now)
            if probe is not None:
                return probe
            refused = PROBED
        raise self._refusal(refused)

    def settle(
        self,
        admission: Admission,
        outcome: Outcome,
        *,
        error: BaseException | None = None,
        operation: str = "call",
        took: float = 0.0,
    ) -> None:
        """Count how an admitted call ended, which took `took` seconds.

        One admission may serve for many calls. A success that took longer than `slow_after` is slow. Ignored
        are this process's own trouble (`own`), and calls that were admitted before the breaker last changed
        its state.
        """
        if not admission.counts:
            return
        host, now = self._host, self._now()
        if outcome is not SUCCESS or took > self._slow_after:
            outcome = self._fair(outcome, error, took, now)
        record, window = host.current(now), host.window
        if window is None:
            return
        if record.generation != admission.generation:
            host.counts.add(operation, None)
            return
        host.counts.add(operation, outcome)
        if outcome is SUCCESS:
            self._last_failure = None
            window.successes.add()
        elif outcome is FAILURE:
            self._last_failure = error
            if error is not None:
                self._notes.note(host, error, now)
        if admission.permit:
            host.probed(admission.permit, outcome, now)
        elif outcome is FAILURE or outcome is SLOW:
            host.count_trouble(window, outcome, now)

    def refuses(self) -> bool:
        """Tell whether a call would be refused now, without taking a permit."""
        return self._why_refusing() is not None

    def raise_if_refusing(self) -> None:
        """Raise `BreakerOpenError` if a call would be refused now, without taking a permit."""
        refused = self._why_refusing()
        if refused is not None:
            raise self._refusal(refused)

    def _why_refusing(self) -> Refused | None:
        now = self._now()
        record = self._host.current(now)
        return None if self._host.window is None else why_refused(self._host, record, now)

    def _refusal(self, refused: Refused) -> BreakerOpenError:
        """Count a refusal and return it, for the caller to raise.

        No local variable may hold it. An error refers to the frames that raised it, so each refused call
        would leave a reference cycle for the garbage collector. And each call gets a new error, since the
        traceback of an error grows each time it is raised.
        """
        if self._host.window is not None:
            self._host.window.refusals.add()
        reason, retry_after = refused
        return BreakerOpenError(self, self._host.name, retry_after, reason)

    def _fair(self, outcome: Outcome, error: BaseException | None, took: float, now: float) -> Outcome:
        """Return what counts: a success may have been slow, and this process's own trouble is ignored."""
        if outcome is ANSWERED:
            return outcome
        if (lacked := own_trouble(error, took, self._slow_after)) is not None:
            self._notes.note_own_trouble(self._host, lacked, error, now)
            return IGNORED
        return SLOW if outcome is SUCCESS else outcome

    def _classify_expected(self, error: BaseException) -> Outcome:
        """Count an expected exception as a failure; ignore a call that never reached the dependency."""
        if isinstance(error, RejectedError) or not isinstance(error, Exception):
            return IGNORED
        if isinstance(error, DeadlineExceededError) and error.before_call:
            return IGNORED
        return FAILURE if self.is_failure(type(error), error) else ANSWERED

    # --- Other ways to make calls ---

    def execute(
        self, fn: Callable[..., T], *args: Any, fallback: Callable[..., T] | None = None, **kwargs: Any
    ) -> T:
        """Call `fn`, a function of any kind; if that is refused, call `fallback` with the same arguments.

        Raises `BreakerOpenError` if it is refused and there is no fallback.
        """
        result: T = kinds.guarded(self, fn, fallback or self._fallback_function)(*args, **kwargs)
        return result

    def call(self, func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        result: T = kinds.plain(self, func, self._fallback_function)(*args, **kwargs)
        return result

    def call_generator(self, func: Callable[..., Iterator[T]], *args: Any, **kwargs: Any) -> Iterator[T]:
        return kinds.generator(self, func, self._fallback_function)(*args, **kwargs)

    def call_async(self, func: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> Awaitable[T]:
        return kinds.coroutine(self, func, self._fallback_function)(*args, **kwargs)

    def call_async_generator(
        self, func: Callable[..., AsyncIterator[T]], *args: Any, **kwargs: Any
    ) -> AsyncIterator[T]:
        return kinds.async_generator(self, func, self._fallback_function)(*args, **kwargs)

    def decorate(self, function: F) -> F:
        decorated = super().decorate(function)
        # An unnamed breaker is named after the first function that it guards.
        self._host.name = str(self)
        return decorated

    def _decorate_sync(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return wraps(function)(kinds.guarded(self, function, self._fallback_function))

    _decorate_async = _decorate_sync

    def __enter__(self) -> None:
        """Admit the `with` block as one call; raise `BreakerOpenError` if it is refused."""
        call = self.calling()
        call.__enter__()
        _blocks.set((*_blocks.get(), call))

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> Literal[False]:
        blocks = _blocks.get()
        for place in reversed(range(len(blocks))):
            if blocks[place].breaker is self:
                _blocks.set(blocks[:place] + blocks[place + 1 :])
                return blocks[place].__exit__(kind, error, traceback)
        # The block was left in another context than it was entered in. A permit that it had ends by itself.
        return False

    # --- Orders ---

    def on_transition(self, listener: Callable[[Transition], None]) -> None:
        """Call `listener` with each transition that this process makes; its errors are logged."""
        self._host.listeners.append(listener)

    def isolate(self, *, who: str, why: str, until: float | None = None) -> bool:
        """Keep it open until `until` (wall seconds; None: for good). False if the store was too busy."""
        return self._order("isolate", who, why, until, isolated=True)

    def disable(self, *, who: str, why: str, until: float | None = None) -> bool:
        """Refuse nothing until `until`, and go on measuring. False if the store was too busy."""
        return self._order("disable", who, why, until, isolated=False)

    def auto(self, *, who: str, why: str) -> bool:
        """End an order. False if there was none, or the store was too busy."""
        note = self._override(who, why, None, isolated=False)
        return self._host.order(
            "auto", lambda record, now: rules.automatic(record), "back to automatic", note
        )

    def reset(self, *, who: str = "", why: str = "") -> bool:
        """Close it, forget the window and end any order. False if the store was too busy."""
        note = self._override(who, why, None, isolated=False)
        self._last_failure = None
        return self._host.order("reset", rules.reset, "reset", note)

    def _order(self, name: str, who: str, why: str, until: float | None, *, isolated: bool) -> bool:
        override = self._override(who, why, until, isolated=isolated)

        def given(record: Record, now: float) -> Record:
            return rules.ordered(record, override, now)

        return self._host.order(name, given, f"{name} by {who or 'nobody'}", override)

    def _override(self, who: str, why: str, until: float | None, *, isolated: bool) -> Override:
        clock = self._clock
        now = clock.monotonic()
        ends = None if until is None else now + until - clock.time()
        return Override(isolated, who[:64], why[:200], now, ends)

    def snapshot(self) -> BreakerSnapshot:
        """Return all that the host knows about it."""
        return snapshot(self._host)

    @property
    def shared(self) -> bool:
        """Whether the host shares it; if not, the store has no place for it. Cheap."""
        self._host.look()
        return self._host.store.kind == "host"

    def calls(self) -> dict[tuple[str, str], int]:
        """Return the calls of all processes since the store was built, by operation and outcome."""
        self._host.look()
        return self._host.calls()

    def shown(self) -> State:
        """The state as people see it: `CLOSED`, `OPEN` (isolated too) or `HALF_OPEN`. Cheap."""
        record, now = self._host.look()
        return record.shown(now)

    @property
    def state(self) -> str:
        """The state in the library's own words."""
        return _WORDS[self.shown()]

    @property
    def open_remaining(self) -> int:
        """Seconds until the open time ends, rounded away from zero; below zero afterwards."""
        record, now = self._host.look()
        ends = self._opened + self._recovery_timeout if record.state is CLOSED else record.until
        return ceil(ends - now) if ends > now else floor(ends - now)

    @property
    def failure_count(self) -> int:
        """Failures in the window while closed, else those that opened it and those of probes since."""
        record, _ = self._host.look()
        return self._host.totals().failures if record.state is CLOSED else record.failures
