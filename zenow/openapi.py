"""The API's schema. It shows each address once, without its optional trailing slash, and its errors."""

import threading
from typing import Any, ClassVar

from django.conf import settings
from django.utils import translation
from drf_spectacular.generators import SchemaGenerator

from resilience.request.response_headers import (
    DATA_SOURCE,
    DEGRADED_REASON,
    HEADERS,
    ResponseHeader,
)
from resilience.tiers.passed_over import REASONS

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
            "enum": HEADERS[DEGRADED_REASON].values,
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
            "items": {
                "type": "object",
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
            },
        },
    },
}

PROBLEM_CONTENT = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}

DEGRADATION = {
    "type": "object",
    "description": "There when something stood in for the database: from where, why, of what time, in a "
    "sentence.",
    "required": ["source", "reason", "as_of", "notice"],
    "properties": {
        "source": {"type": "string", "enum": ["cached", "static", "mock"]},
        "reason": {"type": "string", "enum": HEADERS[DEGRADED_REASON].values},
        "as_of": {"type": "string", "format": "date-time"},
        "notice": {"type": "string"},
    },
}


def described(header: ResponseHeader) -> dict[str, Any]:
    """Return a header of ours as the schema describes it."""
    values = {"enum": list(header.values)} if header.values else {}
    return {
        "description": f"{header.says[0].upper()}{header.says[1:]}.",
        "schema": {"type": "string"} | values,
    }


# Headers of every response.
STATUS_HEADERS = {
    name: described(header) | {"required": True}
    for name, header in HEADERS.items()
    if header.on == "every answer"
}
# Headers of each read of the catalogue.
READ_HEADERS = {
    DATA_SOURCE: described(HEADERS[DATA_SOURCE]),
    DEGRADED_REASON: described(HEADERS[DEGRADED_REASON]),
    "Age": {"description": "How old a stored answer is, in seconds.", "schema": {"type": "integer"}},
    "Cache-Status": {
        "description": "What the store of answers did (RFC 9211). `detail` names the tier of a stored answer "
        "and, of a degraded one, each tier before it with the reason why it did not answer: "
        f"{', '.join(REASONS)}.",
        "schema": {"type": "string"},
    },
    "ETag": {
        "description": "What `If-None-Match` and, of an entry, `If-Match` take.",
        "schema": {"type": "string"},
    },
}
WRITE_HEADERS = {
    "post": ("Idempotency-Key", "A repeat with the same key gets the first answer, for a day.", 255),
    "put": ("If-Match", "The tag of the entry that is to be replaced; of another one it is 412.", None),
    "patch": ("If-Match", "The tag of the entry that is to be changed; of another one it is 412.", None),
    "delete": ("If-Match", "The tag of the entry that is to be deleted; of another one it is 412.", None),
}


WRITE_PROBLEMS = {
    "409": "What is stored does not allow it, or a request with this Idempotency-Key is under way.",
    "412": "What is there is not as `If-Match` or `If-None-Match` has it, or the tag is a degraded answer's.",
    "422": "The Idempotency-Key was used for another body.",
    "503": "An outage; `outcome` says whether it was surely not stored, or may have been.",
}
# 422 is about an Idempotency-Key, which only a POST has.
NOT_OF = {"put": "422", "patch": "422", "delete": "422"}


class OneSchema(SchemaGenerator):
    """Make the schema once in each process; it is the same for everybody.

    Making it is slow, and drf-spectacular fails if two threads make their first one at the same time.
    """

    _lock = threading.Lock()
    _made: ClassVar[dict[str, Any] | None] = None  # Guarded by _lock.

    def get_schema(self, request: Any = None, public: bool = False) -> dict[str, Any]:
        """Return the public schema, which does not depend on the request."""
        with self._lock:
            if OneSchema._made is None:
                self.api_version = None
                with translation.override(settings.LANGUAGE_CODE):
                    OneSchema._made = super().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
            return OneSchema._made


def without_trailing_slash(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Return the (path, regex, method, view) of each endpoint with its path shortened."""
    return [(path.rstrip("/"), regex, method, view) for path, regex, method, view in endpoints]


def with_tiers(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Return the schema with the headers of the catalogue's reads and writes."""
    result["components"]["schemas"]["Degradation"] = DEGRADATION
    member = {"allOf": [{"$ref": "#/components/schemas/Degradation"}], "readOnly": True}
    degraded = {"type": "object", "properties": {"degradation": member}}
    for path, operations in result["paths"].items():
        if not path.startswith(("/api/categories", "/api/fields", "/api/courses")) or path.endswith("rating"):
            continue
        for method, operation in operations.items():
            if method == "get":
                answer = operation["responses"]["200"]
                answer["headers"] = dict(READ_HEADERS)
                answer["content"] = {
                    kind: {"schema": {"allOf": [content["schema"], degraded]}}
                    for kind, content in answer["content"].items()
                }
            else:
                name, text, longest = WRITE_HEADERS[method]
                schema = {"type": "string"} | ({"maxLength": longest} if longest else {})
                operation.setdefault("parameters", []).append(
                    {"in": "header", "name": name, "description": text, "schema": schema}
                )
                operation["responses"] |= {
                    status: {"description": text, "content": PROBLEM_CONTENT}
                    for status, text in WRITE_PROBLEMS.items()
                    if status != NOT_OF.get(method)
                }
    return result


def with_what_all_share(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Return the schema with what all operations share: problems, and headers of each response."""
    result["components"]["schemas"]["Problem"] = PROBLEM
    result["components"]["headers"] = STATUS_HEADERS
    references = {name: {"$ref": f"#/components/headers/{name}"} for name in STATUS_HEADERS}
    for operations in result["paths"].values():
        for method, operation in operations.items():
            if method != "patch" and "requestBody" in operation:
                body = operation["requestBody"]
                body["content"] = {
                    kind: said for kind, said in body["content"].items() if not kind.endswith("patch+json")
                }
            responses = operation["responses"]
            responses.setdefault("default", {"description": "An error.", "content": PROBLEM_CONTENT})
            for response in responses.values():
                response["headers"] = references | response.get("headers", {})
    return result
