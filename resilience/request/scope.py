"""What belongs to one request: its id, its clock, its place in a pool, and what has happened in it so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Self, TypeVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from resilience import conf, registry
from resilience.primitives import BreakerOpenError, BulkheadFullError, as_one, deadline_scope, measured

View = TypeVar("View", bound=Callable[..., Any])
Listener = Callable[[HttpRequest, HttpResponseBase], None]

_current: ContextVar[RequestScope | None] = ContextVar("resilience_scope", default=None)


class RequestScope:
    """The data that a request's guards share, from the first middleware to the last header.

    Use it with `with`: within the block it is the current scope; at the end its place and its clock are given
    up. Threads and coroutines that run in a copy of the request's context share the object.
    """

    __slots__ = (
        "_bounds",
        "_place",
        "_token",
        "answered",
        "cache_given_up",
        "committed",
        "degraded",
        "early",
        "lost",
        "outage",
        "request_id",
    )

    def __init__(self, request_id: str = "") -> None:
        self._bounds: AbstractContextManager[Any] | None = None
        self._place: AbstractContextManager[object] | None = None
        self.request_id = request_id
        self.outage: BaseException | None = None
        self.lost = False
        self.degraded = False
        self.committed = False
        self.cache_given_up = False
        # The answer, if the first middleware has it and other middleware is still to see it.
        self.early: HttpResponseBase | None = None
        # Called with the answer as it goes out, when all other middleware has set its headers.
        self.answered: Listener | None = None

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            if self._place is not None:
                self._place.__exit__(*error)
        finally:
            _current.reset(self._token)
            if self._bounds is not None:
                self._bounds.__exit__(*error)

    def start_clock(self, request: HttpRequest) -> None:
        """Start the clock: one budget for all calls that the request waits for. Only servers have one.

        In shadow nothing is cut: the seconds beyond the budget are counted.
        """
        if not registry.is_server():
            return
        budget = "read" if is_read(request) else "write"
        enforced = registry.enforces()
        self._bounds = deadline_scope(conf.deadline(budget)) if enforced else _measured_only(budget)
        self._bounds.__enter__()

    def enter_pool(self, name: str) -> None:
        """Hold a place in the pool until the request ends, but never two. Raises `BulkheadFullError`.

        If the default database's breaker opens during the wait, go on without a place, but as one that still
        counts as waiting. A view that asks the database is then refused by the breaker, which is the true
        reason; one that does not can still answer. If others have taken its place in the queue meanwhile, the
        breaker's refusal is raised: the database is down, whoever else waits.
        """
        if self._place is not None:
            return
        pool = registry.bulkhead(name)
        place: AbstractContextManager[object] = pool.enter(
            look=registry.breaker("database").raise_if_refusing
        )
        try:
            place.__enter__()
        except BreakerOpenError as refusal:
            place = pool.queued()
            try:
                place.__enter__()
            except BulkheadFullError:
                raise refusal from None
        self._place = place


@contextmanager
def _measured_only(budget: str) -> Iterator[None]:
    """Bound nothing: count in shadow what this request would not have waited for."""
    late = partial(registry.note_overdue, f"request {budget}")
    # The request is outermost: its own line counts also if a call in it would have been cut before.
    with measured(conf.deadline(budget), late), as_one(registry.store()):
        yield


def current_scope() -> RequestScope | None:
    """Return the scope of the current request, or `None` outside a request."""
    return _current.get()


def note_degraded() -> None:
    """Note that the answer to the current request is a stand-in; it then has `X-System-Degraded: true`."""
    if (scope := _current.get()) is not None:
        scope.degraded = True


def note_lost(outage: BaseException) -> None:
    """Note that no answer to the current request can be right, whatever its view makes of this outage."""
    if (scope := _current.get()) is not None:
        scope.outage, scope.lost = outage, True


def note_commit() -> None:
    """Note that the current request has stored something: a later failure does not undo it."""
    if (scope := _current.get()) is not None:
        scope.committed = True


def has_committed() -> bool:
    """Tell whether the current request has stored something."""
    scope = _current.get()
    return scope is not None and scope.committed


def give_up_cache() -> None:
    """Make no further cache call in this request, because one has timed out.

    A request can afford one time-out. Ten of them, in a page with ten cache calls, would take 2.5 s.
    """
    if (scope := _current.get()) is not None:
        scope.cache_given_up = True


def has_given_up_cache() -> bool:
    """Tell whether a cache call of this request has timed out. Outside a request: never."""
    scope = _current.get()
    return scope is not None and scope.cache_given_up


def is_read(request: HttpRequest) -> bool:
    """Tell whether the request changes nothing, going by its method."""
    return request.method in ("GET", "HEAD", "OPTIONS")


def pool(name: str | None, *, writes: str | None = None) -> Callable[[View], View]:
    """Mark a view (a function or a class) with the pool of its requests; without a mark it is `other`.

    `writes` is the pool of requests that may change something, if it is a different one. With `None` the view
    is called without a place. That is for two kinds of views: those that ask no dependency, such as health,
    and those that take a place by themselves, for as long as they need it, by `registry.guard(…, pool=…)`, a
    session of `resilience.http`, or `ResilientReads`.
    """

    def mark(view: View) -> View:
        view.resilience_pools = (name, writes or name)  # type: ignore[attr-defined]
        return view

    return mark


def pool_of(view: Callable[..., Any], *, reads: bool) -> str | None:
    """Return the pool for a request to a resolved view; a class-based one has the mark on its class."""
    for candidate in (view, getattr(view, "view_class", None), getattr(view, "cls", None)):
        if candidate is not None and hasattr(candidate, "resilience_pools"):
            for_reads, for_writes = candidate.resilience_pools
            name: str | None = for_reads if reads else for_writes
            return name
    return "other"
