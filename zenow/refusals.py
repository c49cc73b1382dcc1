"""How the API refuses, for the schema: which errors each operation may answer, each a problem (RFC 9457)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from resilience.request.response_headers import DEGRADED_REASON, HEADERS

PROBLEM = {
    "type": "object",
    "description": "What went wrong (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "example": "about:blank"},
        "title": {"type": "string", "example": "Bad Request"},
        "status": {"type": "integer", "example": 400},
        "detail": {"type": "string"},
        "reason": {
            "type": "string",
            "enum": list(HEADERS[DEGRADED_REASON].values),
            "description": "Of a 503: why, as in `X-Degraded-Reason`.",
        },
        "outcome": {
            "type": "string",
            "enum": ["not_stored", "unknown"],
            "description": "Of a write that an outage ended: what became of it.",
        },
        "errors": {
            "type": "array",
            "description": "One member for each query parameter or member of the body that is wrong.",
            "items": {"$ref": "#/components/schemas/ProblemError"},
        },
    },
}
PROBLEM_ERROR = {
    "type": "object",
    "description": "One thing that is wrong, and where.",
    "required": ["detail"],
    "properties": {
        "parameter": {"type": "string", "description": "A query parameter."},
        "pointer": {"type": "string", "description": "A JSON pointer into the body."},
        "detail": {"type": "string"},
        "allowed": {
            "description": "What would have been accepted.",
            "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        },
    },
}
CONTENT = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}

_MEANINGS = {
    "400": "The request is wrong; `errors` says where.",
    "401": "There is no token, or it is not valid.",
    "403": "The account may not do this.",
    "404": "There is nothing by this name.",
    "406": "The answer is JSON, which `Accept` does not take.",
    "408": "The body took too long.",
    "409": "What is stored does not allow it, or a request with this Idempotency-Key is under way.",
    "411": "The body has no length, and the server does not show where it ends.",
    "412": "What is there is not as `If-Match` or `If-None-Match` has it, or the tag is a degraded answer's.",
    "413": "The body is too large.",
    "415": "The body is no JSON, or it is compressed.",
    "422": "The Idempotency-Key was used for another body.",
    "429": "These are too many attempts.",
    "503": "An outage, or too much to do.",
    "default": "An error.",
}
_UNSTORED = "An outage; `outcome` says whether it was surely not stored, or may have been."
_AGAIN = "Retry-After"
_WAIT = {"description": "Seconds after which to try again.", "schema": {"type": "integer", "minimum": 1}}
# By status, the headers that say more.
_HEADERS: dict[str, dict[str, Any]] = {
    "401": {
        "WWW-Authenticate": {
            "description": "How to say who asks (RFC 6750).",
            "required": True,
            "schema": {"type": "string"},
        }
    },
    "409": {_AGAIN: _WAIT},
    "415": {
        "Accept-Encoding": {"description": "The codings that a body may have.", "schema": {"type": "string"}}
    },
    "429": {_AGAIN: _WAIT | {"required": True}},
    "503": {
        _AGAIN: _WAIT | {"required": True},
        DEGRADED_REASON: {
            "description": "Why: others were first, or what the answer needs is not available.",
            "schema": {"type": "string", "enum": list(HEADERS[DEGRADED_REASON].values)},
        },
    },
}
_WRITES = ("post", "put", "patch", "delete")


def refuse(path: str, method: str, operation: dict[str, Any], *, catalogue: bool) -> None:
    """Add the errors of an operation to its responses, each as a problem. What the view says of one stays."""
    responses = operation["responses"]
    for status in _statuses(path, method, operation, catalogue=catalogue):
        unstored = catalogue and method != "get" and status == "503"
        responses.setdefault(status, {"description": _UNSTORED if unstored else _MEANINGS[status]})
    for status, response in responses.items():
        if status == "default" or status >= "400":
            response.setdefault("content", CONTENT)
        if status in _HEADERS:
            response["headers"] = response.get("headers", {}) | _HEADERS[status]
    operation["responses"] = dict(sorted(responses.items()))


def _statuses(path: str, method: str, operation: dict[str, Any], *, catalogue: bool) -> Iterator[str]:
    yield from ("400", "406", "default")
    if operation.get("security"):
        yield from ("401", "403") if method in _WRITES else ("401",)
    if "requestBody" in operation:
        yield from ("408", "411", "413", "415")
    if not catalogue:
        return
    yield from ("412", "503")
    if method == "get" or "{" in path:
        yield "404"
    if method in _WRITES:
        yield "409"
    if method == "post":
        yield "422"
