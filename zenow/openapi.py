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
    REPLAYED,
    ResponseHeader,
)
from resilience.tiers.passed_over import REASONS
from zenow import refusals

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


def _header(text: str, kind: str = "string", *, always: bool = False) -> dict[str, Any]:
    return {"description": text, "schema": {"type": kind}} | ({"required": True} if always else {})


_TAG = "What `If-None-Match` and, of an entry, `If-Match` take."
_NOT_MODIFIED = "It is still what `If-None-Match` names."
# Headers of each read of the catalogue.
READ_HEADERS = {
    DATA_SOURCE: described(HEADERS[DATA_SOURCE]),
    DEGRADED_REASON: described(HEADERS[DEGRADED_REASON]),
    "Age": _header("How old a stored answer is, in seconds.", "integer"),
    "Cache-Status": _header(
        "What the store of answers did (RFC 9211). `detail` names the tier of a stored answer and, of a "
        f"degraded one, each tier before it with the reason why it did not answer: {', '.join(REASONS)}."
    ),
    "ETag": _header(_TAG),
}
# Headers of what was written, by method.
_WRITTEN = {"ETag": _header(_TAG, always=True)}
WRITTEN_HEADERS = dict.fromkeys(("put", "patch"), _WRITTEN) | {
    "post": _WRITTEN
    | {
        "Location": _header("The address of the new entry.", always=True),
        REPLAYED: described(HEADERS[REPLAYED]),
    }
}


def _condition(name: str, text: str, **limits: int) -> dict[str, Any]:
    return {"in": "header", "name": name, "description": text, "schema": {"type": "string"} | limits}


_IF_MATCH = "The tag of the entry that is to be {}; of another one it is 412."
# Headers that a request to the catalogue may have, by method.
CONDITIONS = {
    "get": [
        _condition("If-None-Match", "Tags; if what is there has one of them, the answer is 304."),
        _condition("If-Match", "Tags; if what is there has none of them, the answer is 412."),
    ],
    "post": [
        _condition(
            "Idempotency-Key", "A repeat with the same key gets the first answer, for a day.", maxLength=255
        )
    ],
    "put": [_condition("If-Match", _IF_MATCH.format("replaced"))],
    "patch": [_condition("If-Match", _IF_MATCH.format("changed"))],
    "delete": [_condition("If-Match", _IF_MATCH.format("deleted"))],
}


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
    """Return the schema with the headers of the catalogue's reads and writes, and the label of stand-ins."""
    schemas = result["components"]["schemas"]
    _describe_plainly(schemas)
    schemas["Degradation"] = DEGRADATION
    label = {"allOf": [{"$ref": "#/components/schemas/Degradation"}], "readOnly": True}
    for path, operations in result["paths"].items():
        if not _is_of_catalogue(path):
            continue
        for method, operation in operations.items():
            if method == "get":
                answer = operation["responses"]["200"]
                answer["headers"] = READ_HEADERS
                operation["responses"]["304"] = {"description": _NOT_MODIFIED, "headers": READ_HEADERS}
                for content in answer["content"].values():
                    shown = schemas[content["schema"]["$ref"].rpartition("/")[2]]
                    shown["required"] = sorted(shown["properties"])  # null where something is not known
                    shown["properties"]["degradation"] = label
            elif method != "delete":
                status = "201" if method == "post" else "200"
                operation["responses"][status]["headers"] = WRITTEN_HEADERS[method]
            operation.setdefault("parameters", []).extend(CONDITIONS[method])
    return result


def _describe_plainly(schemas: dict[str, Any]) -> None:
    """Describe a text that may be left empty once, not as a `oneOf` of two.

    An empty text is taken and kept as null, so answers never have one. Where one may be sent, the `format` is
    left out, which an empty text would break, and the pattern takes it too.
    """
    for name, component in schemas.items():
        for member in component.get("properties", {}).values():
            if member.pop("nullable", False):  # DRF's pages say so in the words of OpenAPI 3.0
                member["type"] = [member["type"], "null"]
            if {"type": "string", "maxLength": 0} not in member.get("oneOf", ()):
                continue
            text, _ = member.pop("oneOf")
            if name.endswith("Request"):
                text.pop("format", None)
                if "pattern" in text:
                    text["pattern"] = f"^({text['pattern'].removeprefix('^').removesuffix('$')})?$"
            member |= text


def with_what_all_share(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Return the schema with what all operations share: problems, and headers of each response."""
    result["components"]["schemas"] |= {"Problem": refusals.PROBLEM, "ProblemError": refusals.PROBLEM_ERROR}
    result["components"]["headers"] = STATUS_HEADERS
    references = {name: {"$ref": f"#/components/headers/{name}"} for name in STATUS_HEADERS}
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            if method != "patch":
                _take_no_patches(operation)
            refusals.refuse(path, method, operation, catalogue=_is_of_catalogue(path))
            for response in operation["responses"].values():
                response["headers"] = references | response.get("headers", {})
    return result


def _take_no_patches(operation: dict[str, Any]) -> None:
    if body := operation.get("requestBody"):
        taken = body["content"].items()
        body["content"] = {kind: said for kind, said in taken if not kind.endswith("patch+json")}


def _is_of_catalogue(path: str) -> bool:
    return path.startswith(("/api/categories", "/api/fields", "/api/courses")) and not path.endswith("rating")
