"""Which views cannot be given to others as nobody's: said when the view is made, not in an outage."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.http.response import StreamingHttpResponse

WRAPPED = "resilient"  # what `resilient` sets on what it returns

_AUTH_DECORATORS = "django.contrib.auth.decorators"
_AUTH_MIXINS = "django.contrib.auth.mixins"


def refuse(view: Any, *, same_for_everybody: bool) -> None:
    """Raise `ImproperlyConfigured` for a view that `resilient` can do nothing for, with what to do."""
    name = f"{getattr(view, '__module__', '')}.{getattr(view, '__qualname__', view)}"
    kind = view if inspect.isclass(view) else getattr(view, "view_class", None)
    layers = [*_layers(view), *_of_class(kind)]
    if any(WRAPPED in vars(layer) for layer in layers if hasattr(layer, "__dict__")):
        raise ImproperlyConfigured(f"{name} is resilient already. Remove one of the two `resilient`.")
    if hasattr(view, "cls"):
        raise ImproperlyConfigured(
            f"{name} is a view of Django REST framework. Mix in `resilience.answers.reads.ResilientReads`."
        )
    if not same_for_everybody:
        return
    if any(map(_asks_for_account, layers)) or any(base.__module__ == _AUTH_MIXINS for base in _bases(kind)):
        raise ImproperlyConfigured(
            f"{name} is for those who are signed in, so no answer is the same for everybody. "
            "Remove `same_for_everybody`: it is then answered live, or by a 503."
        )
    if any(map(_streams, layers)) or _is_streaming(getattr(kind, "response_class", None)):
        raise ImproperlyConfigured(
            f"{name} streams, so its answer can neither be stored nor made in a stand-in. "
            "Remove `same_for_everybody`, or return an HttpResponse."
        )


def _layers(view: Any) -> Iterator[Any]:
    """Yield a function, and what its decorators have wrapped."""
    while view is not None and not inspect.isclass(view):
        yield view
        view = getattr(view, "__wrapped__", None)


def _of_class(kind: Any) -> Iterator[Any]:
    for name in ("dispatch", "get", "head", "as_view"):
        handler = getattr(kind, name, None)
        yield from _layers(getattr(handler, "__func__", handler))


def _bases(kind: Any) -> tuple[type, ...]:
    return kind.__mro__ if inspect.isclass(kind) else ()


def _asks_for_account(layer: Any) -> bool:
    # Of a method's decorator only the attribute is seen.
    of_django = getattr(layer, "__globals__", {}).get("__name__") == _AUTH_DECORATORS
    return of_django or "login_url" in getattr(layer, "__dict__", ())


def _streams(layer: Any) -> bool:
    if inspect.isgeneratorfunction(layer) or inspect.isasyncgenfunction(layer):
        return True
    said = getattr(layer, "__annotations__", {}).get("return")
    if isinstance(said, str):
        said = getattr(layer, "__globals__", {}).get(said)
    return _is_streaming(said)


def _is_streaming(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, StreamingHttpResponse)
