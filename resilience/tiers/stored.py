"""Stored answers: what the live tier answered, kept in process memory and in the cache, by what it means."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.core.cache import cache
from django.http import BadHeaderError, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from resilience import registry
from resilience.primitives import Mark
from resilience.tiers import catalogue_version
from resilience.tiers.lru import LRU

logger = logging.getLogger("resilience.tiers")

# Seconds for which a stored answer of the current catalogue version stands for a live one, and for which any
# may stand in while there is none.
FRESH_FOR = 30.0
KEPT_FOR = 300.0

_MEMORY_BYTES = 8 * 1_048_576
_OVERHEAD = 600  # bytes of an entry beside its body, about
# Headers that are not kept: they are set again on each answer.
_NOT_KEPT = frozenset({"age", "cache-status", "cache-control", "date", "content-length", "x-data-source"})
_MAY_VARY_BY = frozenset({"accept", "accept-encoding", "origin"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """Hold one live answer: its bytes, its headers, when it was made and of what state of the catalogue."""

    body: bytes
    headers: dict[str, str]
    at: float  # wall seconds: hosts share it
    version: int
    removals: int

    @property
    def as_of(self) -> datetime:
        """Return when it was live."""
        return datetime.fromtimestamp(self.at, UTC)

    def age(self) -> float:
        """Return its age in seconds; clocks of two hosts differ, so it may be below 0."""
        return time.time() - self.at

    def is_fresh(self, mark: Mark) -> bool:
        """Tell whether it stands for a live answer: young, and nothing was written since."""
        return self.version == mark.version and -FRESH_FOR < self.age() < FRESH_FOR

    def may_stand_in(self, mark: Mark) -> bool:
        """Tell whether it may answer while nothing live does: nothing went out of sight since."""
        return self.removals == mark.removals and -KEPT_FOR < self.age() < KEPT_FOR

    def response(self) -> HttpResponse:
        """Return it as a response of its own."""
        return HttpResponse(self.body, headers=self.headers)


_memory: LRU[Stored] = LRU(_MEMORY_BYTES)
_newest: Stored | None = None  # the last answer that was kept in it


def key_of(request: HttpRequest, same_as_absent: Mapping[str, str], form: str = "") -> str:
    """Return what is the same for requests that mean the same.

    The order of parameters does not count, nor does one that says what `same_as_absent` says anyhow; an empty
    one of those names means that too. Several of one name stay in their order. `form` is the media type that
    was agreed on.
    """
    # As the view reads them: of raw bytes in an address `parse_qsl` would make other texts.
    pairs = [(name, value) for name, values in request.GET.lists() for value in values]
    names = [name for name, _ in pairs]
    said = sorted(
        (
            (name, value)
            for name, value in pairs
            if names.count(name) > 1 or name not in same_as_absent or value not in ("", same_as_absent[name])
        ),
        key=lambda pair: pair[0],
    )
    place = f"{request.scheme}://{request.get_host()}{request.path}?{urlencode(said)} {form}"
    return "resilience:" + hashlib.blake2b(place.encode(), digest_size=16).hexdigest()


def find(key: str) -> Stored | None:
    """Return what is stored under the key, from memory, else from the cache."""
    found = _memory.get(key)
    if found is not None and found.age() < FRESH_FOR and found.version == catalogue_version.current().version:
        return found
    shared = _read(key)
    if shared is None or (found is not None and found.at >= shared.at):
        return found
    _memory.put(key, shared, len(shared.body) + _OVERHEAD)
    return shared


def find_fresh(key: str) -> Stored | None:
    """Return what is stored under the key, if it stands for a live answer."""
    found = find(key)
    return found if found is not None and found.is_fresh(catalogue_version.current()) else None


def keep(key: str, response: HttpResponse, mark: Mark) -> Stored | None:
    """Store a live answer as one of the state `mark`, which was read before the database was asked.

    Return it; None for what is nobody else's business: other than 200, with a cookie, or varying by more than
    how it is asked for. While the state is unknown nothing is stored.
    """
    global _newest
    if response.status_code != 200 or response.cookies or not mark.version or response.streaming:
        return None
    if not varies_little(response):
        return None
    headers = {name: value for name, value in response.items() if name.lower() not in _NOT_KEPT}
    made = Stored(
        body=response.content,
        headers=headers,
        at=time.time(),
        version=mark.version,
        removals=mark.removals,
    )
    _newest = made
    _memory.put(key, made, len(made.body) + _OVERHEAD)
    cache.set(key, asdict(made), timeout=int(KEPT_FOR))
    return made


def varies_little(response: HttpResponseBase) -> bool:
    """Tell whether an answer depends on nothing but what its key holds."""
    names = response.headers.get("Vary", "").lower().split(",")
    return _MAY_VARY_BY.issuperset(name.strip() for name in names if name)


def holds_any() -> bool:
    """Say whether this process holds any answer that is young enough to stand in for a live one."""
    return _newest is not None and _newest.may_stand_in(catalogue_version.current())


def forget() -> None:
    """Forget what this process holds."""
    global _newest
    _memory.clear()
    _newest = None


def _read(key: str) -> Stored | None:
    value: Any = cache.get(key)
    if value is None:
        return None
    if (found := _stored(value)) is None:
        registry.store().counters.add("calls", "cache", "decode", "failure")
        logger.warning("what the cache holds as %r is no stored answer; it is taken for missing", key)
    return found


def _stored(value: Any) -> Stored | None:
    """Return the answer that a value of the cache is; None for what another program has put there."""
    match value:
        case {
            "body": bytes(),
            "headers": dict(headers),
            "at": float(),
            "version": int(),
            "removals": int(),
            **others,
        } if not others:
            try:
                HttpResponse(headers=headers)
            except (AttributeError, BadHeaderError, UnicodeError):
                return None
            return Stored(**value)
    return None
