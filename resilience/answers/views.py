"""Any Django view: `resilient` gives its reads the tiers, whatever kind of view it is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import partial, update_wrapper
from typing import Any, TypeVar, cast

from asgiref.sync import sync_to_async
from django.http import HttpRequest

from resilience.answers import refusing, transactions
from resilience.answers.plain import Plain
from resilience.request.scope import pool_of

View = TypeVar("View", bound=Callable[..., Any])

made: list[Plain] = []  # each view of this process that is resilient, for `manage.py check`


def resilient(
    *, same_for_everybody: bool = False, by_headers: Iterable[str] = (), read_alias: str = "default"
) -> Callable[[View], View]:
    """Decorate a view (a function, sync or async, or a class): its reads are answered in outages too.

    With `same_for_everybody` its answers are everybody's, as an anonymous visitor sees them. A live answer is
    stored for others if making it touched no account, session, message, cookie or CSRF token. While the
    database is away a stored answer stands in, else the view runs over the static copy, for nobody. Without
    `same_for_everybody` a read is answered live, or by a 503.

    `by_headers` names headers of the request on which the answer depends, `Accept` say: they become part of
    its key. `read_alias` is the database that the view reads. Raises `ImproperlyConfigured` for a view that
    asks for an account (`login_required`), that streams, or that is resilient already.
    """
    names = frozenset(name.lower() for name in by_headers)

    def decorate(view: Any) -> Any:
        refusing.refuse(view, same_for_everybody=same_for_everybody)
        give = partial(
            _wrapped, same_for_everybody=same_for_everybody, by_headers=names, read_alias=read_alias
        )
        if not inspect.isclass(view):
            return give(view)
        kind: Any = view
        usual = kind.as_view.__func__

        def as_view(cls: Any, /, *said: Any, **initial: Any) -> Any:
            made_of_it = usual(cls, *said, **initial)
            refusing.refuse(made_of_it, same_for_everybody=same_for_everybody)
            return give(made_of_it)

        kind.as_view = classmethod(as_view)
        return kind

    return decorate


class ResilientView:
    """Mix in before a class-based view of Django, as `resilient` decorates one.

    The attributes are the arguments of `resilient`.
    """

    same_for_everybody = False
    by_headers: Iterable[str] = ()
    read_alias = "default"

    @classmethod
    def as_view(cls, *said: Any, **initial: Any) -> Any:
        """Return the view, whose reads are answered in outages too."""
        view = super().as_view(*said, **initial)  # type: ignore[misc]  # of Django's View
        give = resilient(
            same_for_everybody=cls.same_for_everybody, by_headers=cls.by_headers, read_alias=cls.read_alias
        )
        return give(view)


def _wrapped(view: Callable[..., Any], **said: Any) -> Callable[..., Any]:
    plain = Plain(view, **said)
    made.append(plain)
    if plain.is_async:

        async def serve_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if plain.is_part(request) or not plain.has_tiers(request):
                return await view(request, *args, **kwargs)
            # The walk waits for places and servers. It has the request's own thread, in which the view's
            # queries run as well.
            return await sync_to_async(plain.answer, thread_sensitive=True)(request, *args, **kwargs)

        serve: Any = serve_async
    else:

        def serve_sync(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            return plain.answer(request, *args, **kwargs)

        serve = serve_sync
    update_wrapper(serve, view)
    # Django refuses ATOMIC_REQUESTS for an async view, and says so.
    plain.out = transactions.out_of(serve) if plain.is_async else transactions.take_out(serve)
    setattr(serve, refusing.WRAPPED, plain)
    # A read takes its place in the live tier; a write as the view's own `@pool` says, else in `write`.
    named = pool_of(view, reads=False)
    serve.resilience_pools = (None, "write" if named == "other" else named)
    return cast(Callable[..., Any], serve)
