"""Stored answers: answers of the live tier, kept in process memory and in the cache, by what was meant."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.core.cache import cache
from django.http import BadHeaderError, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from resilience import registry
from resilience.primitives import Mark
from resilience.tiers import catalogue_version, notice
from resilience.tiers.lru import LRU

logger = logging.getLogger("resilience.tiers")

# In seconds: how long a stored answer of the current catalogue version is served as a live one, and how long
# any stored answer may stand in while no live one can be had.
FRESH_FOR = 30.0
KEPT_FOR = 300.0

_MEMORY_BYTES = 8 * 1_048_576
_OVERHEAD = 600  # about the bytes of an entry without its body
# Headers that are not kept: they are set again on each answer.
_NOT_KEPT = frozenset({"age", "cache-status", "date", "content-length", "x-data-source"})
_MAY_VARY_BY = frozenset({"accept", "accept-encoding", "origin"})
# How a route ends that takes its addresses with a slash at their end and without.
_EITHER = ("/?", "/?$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """Hold one live answer: its bytes, its headers, when it was made and its state of the catalogue.

    `place` is the mark in a page where its notice stands in an outage; "" if it has none.
    """

    body: bytes
    headers: dict[str, str]
    at: float  # wall seconds: hosts share it
    version: int
    removals: int
    place: str = ""

    @property
    def as_of(self) -> datetime:
        """Return when it was live."""
        return datetime.fromtimestamp(self.at, UTC)

    def age(self) -> float:
        """Return its age in seconds; clocks of two hosts differ, so it may be below 0."""
        return time.time() - self.at

    def is_fresh(self, mark: Mark) -> bool:
        """Tell whether it may be served as a live answer: it is young, and nothing was written since."""
        return self.version == mark.version and -FRESH_FOR < self.age() < FRESH_FOR

    def may_stand_in(self, mark: Mark) -> bool:
        """Tell whether it may stand in during an outage: it is young, and nothing was removed since."""
        return self.removals == mark.removals and -KEPT_FOR < self.age() < KEPT_FOR

    def response(self) -> HttpResponse:
        """Return it as a new response."""
        return notice.put(HttpResponse(self.body, headers=self.headers), self.place)


_memory: LRU[Stored] = LRU(_MEMORY_BYTES)
_newest: Stored | None = None  # the last answer that was kept in it


def key_of(
    request: HttpRequest, same_as_absent: Mapping[str, str], form: str = "", address: str | None = None
) -> str:
    """Return a key that is the same for requests that mean the same.

    The order of parameters does not count; several with one name keep theirs. A parameter in `same_as_absent`
    does not count if it has the value given there, or none. `form` is the negotiated media type.
    `address` is the path in the one spelling that stands for all; by default that of `address_of`.
    """
    # Parsed as the view does: `parse_qsl` would decode raw bytes in an address differently.
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
    place = address_of(request) if address is None else address
    meant = f"{request.scheme}://{request.get_host().lower()}{place}?{urlencode(said)} {form}"
    return "resilience:" + hashlib.blake2b(meant.encode(), digest_size=16).hexdigest()


def address_of(request: HttpRequest) -> str:
    """Return the path of a request, without a slash at its end if its route takes it with and without one."""
    match = request.resolver_match
    path = request.path
    return path.removesuffix("/") if match is not None and match.route.endswith(_EITHER) else path


def find(key: str) -> Stored | None:
    """Return the answer stored under the key, from memory, else from the cache, else None."""
    found = _memory.get(key)
    if found is not None and found.age() < FRESH_FOR and found.version == catalogue_version.current().version:
        return found
    shared = _read(key)
    if shared is None or (found is not None and found.at >= shared.at):
        return found
    _memory.put(key, shared, len(shared.body) + _OVERHEAD)
    return shared


def find_fresh(key: str) -> Stored | None:
    """Return the answer stored under the key if it may be served as a live one, else None."""
    found = find(key)
    return found if found is not None and found.is_fresh(catalogue_version.current()) else None


def keep(
    key: str, response: HttpResponse, mark: Mark, *, known: Collection[str] = frozenset()
) -> Stored | None:
    """Store a live answer and return it. `mark` is the catalogue's state, read before the database was asked.

    `known` are further headers of the request that the key holds, in small letters.

    Store nothing and return None while the state is unknown, or if the answer is for one client only: its
    status is not 200, it sets a cookie, or it varies by more than its key holds.
    """
    global _newest
    if response.status_code != 200 or not mark.version or response.streaming:
        return None
    if sets_cookie(response) or not varies_little(response, known):
        return None
    headers = {name: value for name, value in response.items() if name.lower() not in _NOT_KEPT}
    made = Stored(
        body=response.content,
        headers=headers,
        at=time.time(),
        version=mark.version,
        removals=mark.removals,
        place=notice.of(response),
    )
    _newest = made
    _memory.put(key, made, len(made.body) + _OVERHEAD)
    said = asdict(made)
    if not made.place:
        del said["place"]  # an older server that reads the same cache knows no such member
    cache.set(key, said, timeout=int(KEPT_FOR))
    return made


def sets_cookie(response: HttpResponse) -> bool:
    """Tell whether an answer sets a cookie, as Django keeps them or in a header of its own."""
    return bool(response.cookies) or response.has_header("Set-Cookie")


def varies_little(response: HttpResponseBase, known: Collection[str] = frozenset()) -> bool:
    """Tell whether an answer depends only on what its key holds."""
    names = response.headers.get("Vary", "").lower().split(",")
    return _MAY_VARY_BY.union(known).issuperset(name.strip() for name in names if name)


def holds_any() -> bool:
    """Tell whether this process holds any answer that is young enough to stand in for a live one."""
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
        logger.warning("the cache's value under %r is no stored answer; it is ignored", key)
    return found


def _stored(value: Any) -> Stored | None:
    """Return a value of the cache as an answer; None if another program has put it there."""
    match value:
        case {
            "body": bytes(),
            "headers": dict(headers),
            "at": float(),
            "version": int(),
            "removals": int(),
            **others,
        } if not others or (others.keys() == {"place"} and isinstance(others["place"], str)):
            try:
                HttpResponse(headers=headers)
            except (AttributeError, BadHeaderError, UnicodeError):
                return None
            return Stored(**value)
    return None
