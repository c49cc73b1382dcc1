"""The headers that the site adds to its answers: each is named here once, with what it says.

The first middleware, the schema, the list for browsers of other sites (CORS) and `docs/stable.md` have their
names from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from resilience.primitives import State

DATA_SOURCE = "X-Data-Source"
DEGRADED_REASON = "X-Degraded-Reason"
SYSTEM_DEGRADED = "X-System-Degraded"
REQUEST_ID = "X-Request-ID"
REPLAYED = "Idempotent-Replayed"

# By name of a breaker, the headers that carry its state. Clients and dashboards read them. Only the four
# usual breakers have any; health, metrics, board, admin and `manage.py breakers` show each breaker.
OF_BREAKERS = {
    "database": ("X-Database-Status", "X-Circuit-Breaker-DB"),
    "cache": ("X-Cache-Status", "X-Circuit-Breaker-Cache"),
    "auth": ("X-Circuit-Breaker-Auth",),
    "external_api": ("X-Circuit-Breaker-External-API",),
}

# Headers of HTTP itself that answers have, and that browsers show to no other site unless they are told to.
OF_HTTP = (
    *("Accept", "Accept-Encoding", "Accept-Patch", "Age", "Allow"),
    *("Cache-Status", "ETag", "Location", "Retry-After", "WWW-Authenticate"),
)


# Why an answer is degraded, or 503. `unavailable`: what it needs is down, silent, or refused by its breaker.
# `busy`: that is well, but others were first, in a pool or with a lock.
Reason = Literal["busy", "unavailable"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ResponseHeader:
    """What a header says in words, which answers have it, and its values if they are few."""

    says: str
    on: Literal["every answer", "reads", "degraded answers and 503s", "repeated writes"]
    values: tuple[str, ...] = ()


HEADERS = {
    DATA_SOURCE: ResponseHeader(
        says="the tier that answered", on="reads", values=("live", "cached", "static", "mock")
    ),
    DEGRADED_REASON: ResponseHeader(
        says="why: others were first, or what the answer needs is not available",
        on="degraded answers and 503s",
        values=get_args(Reason),
    ),
    SYSTEM_DEGRADED: ResponseHeader(
        says="whether a breaker is not closed, or this answer is degraded",
        on="every answer",
        values=("true", "false"),
    ),
    REQUEST_ID: ResponseHeader(
        says="the request's name in the log: the client's own, if it is 1 to 64 letters, digits or `-`; "
        "else a new one",
        on="every answer",
    ),
    **{
        header: ResponseHeader(
            says=f"the state of the circuit breaker `{name}`",
            on="every answer",
            values=tuple(state.value for state in State),
        )
        for name, headers in OF_BREAKERS.items()
        for header in headers
    },
    REPLAYED: ResponseHeader(
        says="that this is the first answer to a repeated write", on="repeated writes", values=("true",)
    ),
}
