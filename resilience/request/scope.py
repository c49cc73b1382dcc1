"""What belongs to one request: its name, its clock, its place in a pool, and what it has met so far."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, Self, TypeVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from resilience import conf, registry
from resilience.primitives import deadline_scope

View = TypeVar("View", bound=Callable[..., Any])
Listener = Callable[[HttpRequest, HttpResponseBase], None]

_current: ContextVar[RequestScope | None] = ContextVar("resilience_scope", default=None)


class RequestScope:
    """Hold what one request shares between its guards, from the middleware to the last header.

    As a context manager it is the scope of the request at hand; its place and its clock end with it. Threads
    and coroutines that the request starts with its context share this one object.
    """

    __slots__ = (
        "_bounds",
        "_place",
        "_token",
        "answered",
        "cache_given_up",
        "committed",
        "degraded",
        "outage",
        "request_id",
    )

    def __init__(self, request_id: str = "") -> None:
        self._bounds: AbstractContextManager[Any] | None = None
        self._place: AbstractContextManager[None] | None = None
        self.request_id = request_id
        self.outage: BaseException | None = None
        self.degraded = False
        self.committed = False
        self.cache_given_up = False
        # Called with the answer as it goes out, with the headers of all other middleware on it.
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
        """Start the one clock, whose budget is for all that the request waits for. Only servers have one."""
        if registry.is_server():
            self._bounds = deadline_scope(conf.deadline("read" if is_read(request) else "write"))
            self._bounds.__enter__()

    def enter_pool(self, name: str) -> None:
        """Hold a place in the pool until the request ends; it never holds two. Raises `BulkheadFullError`."""
        if self._place is None:
            place = registry.bulkhead(name).enter()
            place.__enter__()
            self._place = place


def current_scope() -> RequestScope | None:
    """Return the scope of the request at hand, or `None` outside a request."""
    return _current.get()


def note_degraded() -> None:
    """Remember that the answer to the request at hand is a stand-in: `X-System-Degraded` says so."""
    if (scope := _current.get()) is not None:
        scope.degraded = True


def note_commit() -> None:
    """Remember that the request at hand has stored something: what fails later does not undo it."""
    if (scope := _current.get()) is not None:
        scope.committed = True


def has_committed() -> bool:
    """Tell whether the request at hand has stored something."""
    scope = _current.get()
    return scope is not None and scope.committed


def give_up_cache() -> None:
    """Make no further cache call in this request, which has waited for one in vain.

    One time-out is what a request can afford: with ten cache calls in a page, ten of them would be 2.5 s.
    """
    if (scope := _current.get()) is not None:
        scope.cache_given_up = True


def has_given_up_cache() -> bool:
    """Tell whether a cache call of this request has timed out. Outside a request: never."""
    scope = _current.get()
    return scope is not None and scope.cache_given_up


def is_read(request: HttpRequest) -> bool:
    """Tell whether the request changes nothing, by its method."""
    return request.method in ("GET", "HEAD", "OPTIONS")


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
