"""Ratings of courses from a partner, and the last known ones while the partner cannot be asked."""

import hashlib
import logging
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests
from django.conf import settings
from django.core.cache import cache

from resilience.causes import describe
from resilience.db.outages import reason_of
from resilience.http import session
from resilience.primitives import RejectedError, ResilienceError
from resilience.request.response_headers import Reason

log = logging.getLogger("learn.ratings")

# Seconds for which a rating is remembered.
KEPT = 7 * 86_400.0
# The most ratings that one process remembers, beside the cache.
MOST_REMEMBERED = 1_000
# Seconds by which another host's clock may be ahead.
_AHEAD = 60.0
_lock = threading.Lock()
# Kept in this process as well, since cache and partner may be down together. The oldest comes first.
_remembered: dict[str, "Rating"] = {}  # Guarded by _lock.


@dataclass(frozen=True, kw_only=True)
class Rating:
    """A partner's rating of a course, None if it has none. `as_of` is wall seconds."""

    value: float | None
    as_of: float


class RatingUnknownError(Exception):
    """The partner cannot be asked, and no earlier rating is known; `reason` says why, in one word."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def fetch(slug: str) -> Rating:
    """Ask the partner, through the guard `external_api`.

    Raises `requests.RequestException` if the partner fails, and `ResilienceError` if it was not asked.
    """
    url = f"{settings.RATINGS_URL.rstrip('/')}/{quote(slug, safe='')}"
    try:
        value = session("external_api").get_json(url, expect=lambda answer: _rating(answer, slug))
    except requests.HTTPError as error:
        if error.response is None or error.response.status_code != 404:
            raise
        value = None
    return Rating(value=value, as_of=time.time())


def rating_of(slug: str) -> tuple[Rating, Reason | None]:
    """Return the rating of a course, and why the partner has not confirmed it; None if it just has.

    Raises RatingUnknownError if the partner cannot be asked and no earlier rating is known.
    """
    # Look up the last known rating first, since afterwards the request's time may be up.
    known = _last_known(slug)
    try:
        rating = fetch(slug)
    except (requests.RequestException, ResilienceError) as error:
        # A refusal needs no warning: there was one when the breaker opened.
        level = logging.DEBUG if isinstance(error, RejectedError) else logging.WARNING
        log.log(level, "no rating from the partner: %s", describe(error))
        reason = reason_of(error)
        if known is None:
            raise RatingUnknownError(reason) from error
        return known, reason
    _remember(slug, rating)
    return rating, None


def _rating(answer: Any, slug: str) -> float:
    value = answer["rating"]
    if answer["slug"] != slug or isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("no rating of this course")
    if not 0 <= value <= 5:
        raise ValueError(f"a rating is from 0 to 5, not {value}")
    return float(value)


def _remember(slug: str, rating: Rating) -> None:
    with _lock:
        _remembered.pop(slug, None)
        _remembered[slug] = rating
        if len(_remembered) > MOST_REMEMBERED:
            del _remembered[next(iter(_remembered))]
    cache.set(_key(slug), (rating.value, rating.as_of), timeout=KEPT)


def _last_known(slug: str) -> Rating | None:
    known = [rating for rating in (_stored(cache.get(_key(slug))), _remembered.get(slug)) if rating]
    newest = max(known, key=lambda rating: rating.as_of, default=None)
    return newest if newest is not None and time.time() - newest.as_of <= KEPT else None


def _stored(entry: Any) -> Rating | None:
    # Other programs may write to the cache, so check that the entry is a rating.
    match entry:
        case (None | float() as value, float() as as_of) if as_of <= time.time() + _AHEAD:
            return Rating(value=value, as_of=as_of)
    return None


def _key(slug: str) -> str:
    # A digest, because a slug may be long and in any script.
    return f"rating:{hashlib.sha256(slug.encode()).hexdigest()}"
