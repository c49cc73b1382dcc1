"""Make one call of a cache, through its breaker and within its time; raise only the caller's own mistakes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TypeVar

from resilience import causes, conf, faults, registry
from resilience.cache import failures
from resilience.primitives import (
    BreakerOpenError,
    Call,
    CircuitBreaker,
    DeadlineExceededError,
    Outcome,
    RejectedError,
    counted_as_cut,
    current_deadline,
    cut_short,
    deadline_scope,
)
from resilience.request.scope import give_up_cache, has_given_up_cache

T = TypeVar("T")
log = logging.getLogger("resilience.cache")


# CHANGING: the calls that a cache without writes cannot do. STORING: those that are then not even tried.
# A deletion is tried, since many servers still delete.
CHANGING = frozenset(
    {"set", "add", "set_many", "incr", "touch", "delete", "delete_many", "clear", failures.EXTRA}
)
STORING = frozenset({"set", "add", "set_many", "incr"})

# Whether a call of the cache is being made: the commands that it sends are then guarded already.
_being_made: ContextVar[bool] = ContextVar("resilience_cache_call", default=False)


class Calls:
    """The calls of one cache, for its breaker (of this name) and the breaker of its writes.

    `drilled` are the errors that a drill raises in the place of the cache's client.
    """

    def __init__(self, breaker: str, drilled: failures.Drilled = (ConnectionError, TimeoutError)) -> None:
        self.breaker = breaker
        self._writes = f"{breaker}:writes"
        self._drilled = drilled
        self._limit = conf.deadline("cache")

    def make(self, operation: str, call: Callable[[], T], otherwise: T, *, quiet: bool = False) -> T:
        """Return what `call` returns, or `otherwise` if the cache is away: refused, failing or given up.

        Each failure is counted by the breaker; if `quiet`, a success is not. The caller's own mistakes are
        raised.
        """
        if conf.shadow():
            with self._measured(operation, quiet):
                return call()
        if (made := self._begun(operation, quiet)) is None:
            return otherwise
        try:
            with made:
                answer = self.ask(call)
        except BaseException as error:
            if not self._swallows(error, made):
                raise
            return otherwise
        self._note_stored(operation)
        return answer

    async def make_async(self, operation: str, call: Callable[[], Awaitable[T]], otherwise: T) -> T:
        """Do as `make` does, for a call that is awaited; it is cancelled when its time is up."""
        if conf.shadow():
            with self._measured(operation):
                return await call()
        if (made := self._begun(operation, False)) is None:
            return otherwise
        try:
            with made, self._limits():
                deadline = current_deadline()
                async with asyncio.timeout(deadline.remaining() if deadline else None):
                    answer = await call()
        except BaseException as error:
            if not self._swallows(error, made):
                raise
            return otherwise
        self._note_stored(operation)
        return answer

    async def let_go(self, close: Callable[[], Awaitable[None]]) -> None:
        """Close what a call has opened, within the time of one call; log what prevents it."""
        try:
            async with asyncio.timeout(2 * self._limit):
                await close()
        except Exception as error:
            log.warning("cache close failed: %s", causes.describe(error))

    def several(self, operation: str, call: Callable[[], T], otherwise: T) -> T:
        """Do as `make` does, for a call whose commands are guarded one by one (`each`).

        Together they may take longer than one answer of the server may, since each is a short one.
        """
        try:
            return call()
        except Exception as error:
            if conf.shadow():
                raise
            ours = isinstance(error, RejectedError | DeadlineExceededError)
            if not ours and failures.is_callers(error, operation):
                raise
            if not registry.is_server() and not ours:
                log.warning("cache %s failed: %s", operation, causes.describe(error))
            return otherwise

    def each(self, call: Callable[[], T]) -> T:
        """Make one call of the cache's client, unless it belongs to a call that `make` makes.

        Raises whatever `call` raises, `BreakerOpenError` if it is refused, and `DeadlineExceededError` if
        the request's time is up, or if a call of the request has timed out before.
        """
        if _being_made.get():
            return call()
        if conf.shadow():
            with self._measured(failures.COMMAND):
                return call()
        deadline = current_deadline()
        if deadline is not None and deadline.expired:
            raise DeadlineExceededError(before_call=True)
        if has_given_up_cache():
            raise DeadlineExceededError("the cache has timed out in this request")
        try:
            with registry.breaker(self.breaker).calling(failures.COMMAND, judge=self._judge):
                return self.ask(call)
        except Exception as error:
            if failures.refuses_writes(error):
                _note_write(registry.breaker(self._writes), Outcome.FAILURE, failures.COMMAND, error)
            if failures.timed_out(error):
                give_up_cache()
            raise

    def ask(self, call: Callable[[], T]) -> T:
        """Make a call within its limits, past the breakers; raise its error."""
        with self._limits():
            return call()

    def note_undecodable(self, error: Exception) -> None:
        """Count an entry that the cache did not write, and log each cause once; it is taken for missing.

        The key is not told: it may be what a session is known by.
        """
        registry.store().counters.add("calls", self.breaker, "decode", "failure")
        registry.store().say_once(f"cache {self.breaker}: entries are taken for missing: {error}")

    @contextmanager
    def _limits(self) -> Iterator[None]:
        being_made = _being_made.set(True)
        try:
            # Connecting may take the limit, and the reply may take it again.
            with deadline_scope(2 * self._limit):
                refused, silent = self._drilled
                faults.inject(self.breaker, limit=self._limit, error=refused, timeout=silent)
                yield
        finally:
            _being_made.reset(being_made)

    @contextmanager
    def _measured(self, operation: str, quiet: bool = False) -> Iterator[None]:
        """Count the block in shadow as the call that it would be; cut nothing, and let its error through."""
        being_made = _being_made.set(True)
        try:
            if has_given_up_cache():  # the request would make no more calls
                yield
                return
            call = registry.breaker(self.breaker).calling(operation, judge=self._judge, quiet=quiet)
            with counted_as_cut(call, self._limit, self._note_late):
                yield
        finally:
            _being_made.reset(being_made)

    def _note_late(self, seconds: float) -> None:
        # A cut would end the request's calls of the cache, but not the request.
        registry.note_overdue(self.breaker, seconds, ends=False)
        give_up_cache()

    def _begun(self, operation: str, quiet: bool) -> Call | None:
        """Return the call to enter; None if it is not even to be tried."""
        deadline = current_deadline()
        if has_given_up_cache() or (deadline is not None and deadline.expired):
            return None
        if operation in STORING and registry.breaker(self._writes).refuses():
            return None
        return registry.breaker(self.breaker).calling(operation, judge=self._judge, quiet=quiet)

    def _swallows(self, error: BaseException, made: Call) -> bool:
        """Note the error that ended a call; False if it is the caller's own."""
        if isinstance(error, BreakerOpenError):
            return True
        operation = made.operation
        refused = operation in CHANGING and failures.refuses_writes(error)
        if refused:
            _note_write(registry.breaker(self._writes), Outcome.FAILURE, operation, error)
        if failures.timed_out(error):
            give_up_cache()
        if failures.is_callers(error, operation):
            return False
        if made.outcome is Outcome.ANSWERED and not refused:
            registry.store().counters.add("calls", self.breaker, "decode", "failure")
        # A breaker logs its failures, once for each cause. In a command no breaker counts, so log here.
        if not registry.is_server() or not (refused or made.outcome is Outcome.FAILURE):
            log.warning("cache %s failed: %s", operation, causes.describe(error))
        return True

    def _note_stored(self, operation: str) -> None:
        if operation in STORING:
            _note_write(registry.breaker(self._writes), Outcome.SUCCESS, operation)

    def _judge(self, made: Call, error: BaseException) -> Outcome:
        if failures.timed_out(error):
            return cut_short(made.breaker.config, made.took, self._limit)
        if failures.refuses_writes(error) and (
            made.operation in CHANGING or made.operation == failures.COMMAND
        ):
            return Outcome.ANSWERED  # it answers reads; its other breaker hears of it
        return failures.classify(error, made.operation)


def _note_write(
    writes: CircuitBreaker, outcome: Outcome, operation: str, error: BaseException | None = None
) -> None:
    """Count a call for the breaker of writes. It takes no permit, since the steward sends the probes."""
    with suppress(RejectedError):
        writes.settle(writes.admit(), outcome, error=error, operation=operation)
