"""What belongs to one request: its clock, its place in a pool, and the outage that ended it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from django.http import HttpRequest

from resilience import conf, registry
from resilience.primitives import Deadline, deadline_scope

View = TypeVar("View", bound=Callable[..., Any])

_current: ContextVar[RequestScope | None] = ContextVar("resilience_scope", default=None)


class RequestScope:
    """Hold what one request shares between its guards, from the middleware to the last header."""

    __slots__ = ("committed", "deadline", "degraded", "outage", "place")

    def __init__(self, deadline: Deadline | None) -> None:
        self.deadline = deadline
        self.place = ExitStack()
        self.outage: BaseException | None = None
        self.degraded = False
        self.committed = False

    def enter_pool(self, name: str) -> None:
        """Hold a place in the pool until the request ends. Raises `BulkheadFullError`."""
        self.place.enter_context(registry.bulkhead(name).enter())


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


@contextmanager
def request_scope(request: HttpRequest) -> Iterator[RequestScope]:
    """Open the request's scope: its one clock starts here (servers only), its place is given back here."""
    with ExitStack() as stack:
        deadline = None
        if registry.role() == "server":
            kind = "read" if is_read(request) else "write"
            deadline = stack.enter_context(deadline_scope(conf.deadline(kind)))
        scope = RequestScope(deadline)
        token = _current.set(scope)
        stack.callback(_current.reset, token)
        stack.enter_context(scope.place)
        yield scope


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
