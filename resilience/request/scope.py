"""What belongs to one request: its clock, its place in a pool, and the outage that ended it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, Self, TypeVar

from django.http import HttpRequest

from resilience import conf, registry
from resilience.primitives import Deadline, deadline_scope

View = TypeVar("View", bound=Callable[..., Any])

_current: ContextVar[RequestScope | None] = ContextVar("resilience_scope", default=None)


class RequestScope:
    """Hold what one request shares between its guards, from the middleware to the last header.

    As a context manager it is the scope of the request at hand, whose one clock starts there and whose place
    is given back there. `budget` is in seconds; without one there is no clock.
    """

    __slots__ = ("_bounds", "_place", "_token", "committed", "deadline", "degraded", "outage")

    def __init__(self, budget: float | None) -> None:
        self._bounds = None if budget is None else deadline_scope(budget)
        self._place: AbstractContextManager[None] | None = None
        self.deadline: Deadline | None = None
        self.outage: BaseException | None = None
        self.degraded = False
        self.committed = False

    def __enter__(self) -> Self:
        if self._bounds is not None:
            self.deadline = self._bounds.__enter__()
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

    def enter_pool(self, name: str) -> None:
        """Hold a place in the pool until the request ends; it never holds two. Raises `BulkheadFullError`."""
        if self._place is None:
            place = registry.bulkhead(name).enter()
            place.__enter__()
            self._place = place


def current_scope() -> RequestScope | None:
    """Return the scope of the request at hand, or `None` outside a request."""
    return _current.get()


def note_commit() -> None:
    """Remember that the request at hand has stored something: what fails later does not undo it."""
    if (scope := _current.get()) is not None:
        scope.committed = True


def has_committed() -> bool:
    """Tell whether the request at hand has stored something."""
    scope = _current.get()
    return scope is not None and scope.committed


def is_read(request: HttpRequest) -> bool:
    """Tell whether the request changes nothing, by its method."""
    return request.method in ("GET", "HEAD", "OPTIONS")


def request_scope(request: HttpRequest) -> RequestScope:
    """Return the request's scope, to be entered; only servers have a clock."""
    if registry.role() != "server":
        return RequestScope(None)
    return RequestScope(conf.deadline("read" if is_read(request) else "write"))


def pool(name: str | None, *, writes: str | None = None) -> Callable[[View], View]:
    """Mark a view, a function or a class, with the pool that its requests hold; unmarked ones hold `other`.

    `writes`: that of requests that may change something, where it is another one. `None`: the view takes no
    pool, or its own.
    """

    def mark(view: View) -> View:
        view.resilience_pools = (name, writes or name)  # type: ignore[attr-defined]
        return view

    return mark


def pool_of(view: Callable[..., Any], *, reads: bool) -> str | None:
    """Return the pool for a request to a resolved view; class-based ones carry the mark on their class."""
    for candidate in (view, getattr(view, "view_class", None), getattr(view, "cls", None)):
        if candidate is not None and hasattr(candidate, "resilience_pools"):
            for_reads, for_writes = candidate.resilience_pools
            name: str | None = for_reads if reads else for_writes
            return name
    return "other"
