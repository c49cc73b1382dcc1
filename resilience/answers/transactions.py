"""`ATOMIC_REQUESTS` for views with tiers: the transaction belongs to the live tier, not to the request."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from django.conf import settings
from django.db import connections, transaction

Call = TypeVar("Call", bound=Callable[..., Any])

_MARK = "_non_atomic_requests"  # of Django, which looks for it on the view


def take_out(view: Callable[..., Any]) -> frozenset[str]:
    """Keep Django from making each request to the view a transaction; return what was out before."""
    before = out_of(view)
    setattr(view, _MARK, set(settings.DATABASES))
    return before


def out_of(view: Callable[..., Any]) -> frozenset[str]:
    """Return the aliases that `non_atomic_requests` takes the view out of."""
    return frozenset(getattr(view, _MARK, ()))


def as_set(call: Call, out: Collection[str]) -> Call:
    """Return the call in the transactions that `ATOMIC_REQUESTS` asks for, save for `out`."""
    for alias in connections.settings:
        if connections.settings[alias]["ATOMIC_REQUESTS"] and alias not in out:
            call = transaction.atomic(using=alias)(call)
    return call
