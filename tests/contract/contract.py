"""The published schema, and whether exchanges with the site keep to it.

The schema is read more strictly than clients do: an answer may have no member that it does not name. A client
would not mind, but then the schema would not tell the whole truth.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import jsonschema_rs
import requests
import schemathesis
from schemathesis.specs.openapi import checks

from tests.contract.exchange import Exchange

API = "/api/"
PROBLEM = "application/problem+json"
# What below /api/ is not in the schema, and why.
UNLISTED = {
    "/api/schema": "the schema itself, which a client has to have before",
    "/api/docs": "a page for people, made of the schema",
    "/api/health/live": "for what starts and watches processes; answered before any rule of the site holds",
    "/api/health/ready": "for a load balancer, likewise",
}
_CONFORMS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
_OF_HEAD = [checks.status_code_conformance, checks.response_headers_conformance]
_SAID = requests.Request("GET", "http://testserver/").prepare()  # what schemathesis would name in a message


class Contract:
    """Judge exchanges by a schema. `broken` says what was wrong, `counts` how many kept to it.

    Counts are by method, address, status and tier.
    """

    def __init__(self, published: dict[str, Any]) -> None:
        self._schema: Any = schemathesis.openapi.from_dict(strictly(published))
        self._problem = jsonschema_rs.validator_for(
            {"$ref": "#/components/schemas/Problem", "components": self._schema.raw_schema["components"]}
        )
        self.broken: list[str] = []
        self.counts: Counter[tuple[str, str, int, str]] = Counter()
        self.taken = 0
        """Requests that were answered with success, and keep to the schema."""

    def judge(self, exchange: Exchange, *, lenient: bool = False) -> None:
        """Note in `broken` how an exchange breaks the schema, in `counts` that it does not.

        With `lenient` the request may be otherwise than the schema promises.
        """
        path = exchange.path.rstrip("/")
        if not exchange.path.startswith(API) or path in UNLISTED:
            return
        method = "GET" if exchange.method == "HEAD" else exchange.method
        operation = self._schema.find_operation_by_path(method, path)
        wrong = list(self._wrong_answer(operation, exchange))
        if operation is not None and 200 <= exchange.status < 300 and not lenient:
            wrong += _wrong_request(operation, exchange)
            self.taken += not wrong
        if wrong:
            self.broken += [f"{exchange}\n    {each}" for each in wrong]
            return
        named = API + "…" if operation is None else operation.path
        self.counts[exchange.method, named, exchange.status, exchange.source] += 1

    def _wrong_answer(self, operation: Any, exchange: Exchange) -> Iterator[str]:
        if operation is None:
            if exchange.status >= 400:
                yield from self._no_problem(exchange)
            elif exchange.method != "OPTIONS":
                yield "the schema has no such operation"
            return
        response = schemathesis.Response(
            status_code=exchange.status,
            headers=exchange.headers,
            content=exchange.body,
            request=_SAID,
            elapsed=0.0,
            verify=False,
        )
        slugs = {parameter.name: "a" for parameter in operation.path_parameters}
        try:
            operation.Case(path_parameters=slugs).validate_response(
                response, checks=_OF_HEAD if exchange.method == "HEAD" else _CONFORMS
            )
        except BaseExceptionGroup as group:
            for failure in group.exceptions:
                yield f"{type(failure).__name__}: {getattr(failure, 'message', '')} {failure}"

    def _no_problem(self, exchange: Exchange) -> Iterator[str]:
        """Yield why an error at an address that the schema does not have is no problem (RFC 9457)."""
        if exchange.content_type != PROBLEM:
            yield f"an error as {exchange.content_type!r}"
        elif exchange.method != "HEAD":
            yield from (each.message for each in self._problem.iter_errors(json.loads(exchange.body)))


def _wrong_request(operation: Any, exchange: Exchange) -> Iterator[str]:
    """Yield why the schema would not have let a client send what the site has taken."""
    given = parse_qsl(exchange.query, keep_blank_values=True)
    for name, value in given:
        parameter = operation.query.get(name)
        if parameter is None:
            yield f"the parameter {name!r} was taken, which the schema does not have"
        elif value or not parameter.definition.get("allowEmptyValue"):
            yield from _errors(parameter, _parsed(value, parameter.definition.get("schema", {})), name)
    for parameter in operation.query:
        if parameter.is_required and parameter.name not in dict(given):
            yield f"the parameter {parameter.name!r} is required"
    if not exchange.sent or exchange.method in ("GET", "HEAD", "DELETE"):  # there it means nothing (RFC 9110)
        return
    kinds = {each.media_type: each for each in operation.body}
    body = kinds.get(exchange.sent_as)
    if body is None:
        yield f"a body as {exchange.sent_as!r} was taken; the schema has {sorted(kinds)}"
    elif exchange.sent_as.endswith("json"):
        yield from _errors(body, json.loads(exchange.sent), "body")


def _errors(described: Any, value: object, name: str) -> Iterator[str]:
    for error in described.get_validator().iter_errors(value):
        yield f"{name}: {error.message} at {list(error.instance_path)}"


def _parsed(text: str, schema: dict[str, Any]) -> object:
    """Return a query parameter's value as what the schema says it is."""
    if schema.get("type") == "array":
        return [each for each in text.split(",") if each]
    if schema.get("type") == "integer" and text.lstrip("-").isdecimal():
        return int(text)
    return text


def strictly(published: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the schema in which answers have no members but those that it names."""
    schema = copy.deepcopy(published)
    for name, component in schema["components"]["schemas"].items():
        if not name.endswith("Request"):  # what may be sent is as loose as it is published
            _close(component)
    return schema


def _close(schema: Any) -> None:
    if isinstance(schema, list):
        for each in schema:
            _close(each)
    elif isinstance(schema, dict):
        for name, each in schema.items():
            if name not in ("example", "examples", "enum", "default"):
                _close(each)
        if "properties" in schema and isinstance(schema["properties"], dict):
            schema.setdefault("additionalProperties", False)
