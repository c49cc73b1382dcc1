"""Add the operators' views to the schema: drf-spectacular finds only views of Django REST framework.

A site names `resilience.operate.openapi.with_operators` in `SPECTACULAR_SETTINGS["POSTPROCESSING_HOOKS"]`,
before `drf_spectacular.hooks.postprocess_schema_enums`, which gives the enumerations their names.
"""

from __future__ import annotations

from collections.abc import Iterator
from inspect import getdoc
from typing import Any

from django.urls import NoReverseMatch, reverse

from resilience.observe import health, history
from resilience.operate import views
from resilience.operate.orders import NAMES, REASON
from resilience.operate.reset import FORMS, NAME

_NAMES = "The names of the breakers; without names, all."
_RESET = "The body of a reset. An unknown member is refused, since without names all are reset."


def with_operators(result: dict[str, Any], generator: Any, request: object, public: bool) -> dict[str, Any]:
    """Return the schema with the operators' views, at the addresses where the site has them."""
    # Only drf-spectacular itself calls this; its functions have no types.
    from drf_spectacular import plumbing

    component: Any = plumbing.ResolvedComponent
    append_meta: Any = plumbing.append_meta
    schemes = result["components"].get("securitySchemes", {})
    by_whom: list[dict[str, Any]] = [*({scheme: []} for scheme in schemes), {}]
    for view, method, said in _operations():
        if view is not views.health_view:
            said["security"] = by_whom
            said["responses"] |= {
                "401": {"description": "Nobody is known by what was sent."},
                "403": {"description": "The account may not steer."},
                "503": {"description": "Accounts cannot be looked up, or the store is busy; ask again."},
            }
        try:
            result["paths"][reverse(view)] = {method: {"description": getdoc(view), **said}}
        except NoReverseMatch:
            continue  # the site does not use this view
    result["paths"] = dict(sorted(result["paths"].items()))
    schemas = _schemas()
    health_says = schemas["Health"]["properties"]
    health_says["staticTier"] = append_meta(health_says["staticTier"], {"nullable": True})
    for name, schema in schemas.items():
        # Other hooks build the components again, from the generator's registry.
        generator.registry.register(component(name, component.SCHEMA, schema, object=name))
        result["components"].setdefault("schemas", {})[name] = schema
    return result


def _operations() -> Iterator[tuple[Any, str, dict[str, Any]]]:
    yield (
        views.health_view,
        "get",
        {
            "operationId": "health",
            "summary": "How the host is",
            "tags": ["health"],
            "responses": _answer({"$ref": "#/components/schemas/Health"}),
        },
    )
    yield (
        views.breakers_view,
        "get",
        {
            "operationId": "circuit_breakers",
            "summary": "List the circuit breakers",
            "tags": ["admin"],
            "responses": _answer(_by_name({})),
        },
    )
    spans = {"type": "string", "enum": sorted(history.SPANS), "default": "day"}
    yield (
        views.history_view,
        "get",
        {
            "operationId": "history",
            "summary": "What happened in an hour, a day or 30 days",
            "parameters": [{"in": "query", "name": "span", "schema": spans}],
            "tags": ["admin"],
            "responses": _answer(_by_name({})),
        },
    )
    body = {"schema": {"$ref": "#/components/schemas/ResetRequest"}}
    yield (
        views.reset_view,
        "post",
        {
            "operationId": "reset_circuit_breakers",
            "summary": "Reset circuit breakers",
            "tags": ["admin"],
            "requestBody": {"content": dict.fromkeys(("application/json", *FORMS), body)},
            "responses": _answer(_by_name({})),
        },
    )


def _schemas() -> dict[str, Any]:
    """Return the schemas. They are made each time, since later hooks change them."""
    health_says = {
        "status": {"enum": [health.HEALTHY, health.DEGRADED], "type": "string"},
        "timestamp": {"type": "string", "format": "date-time"},
        "services": _by_name(_by_name({})),
        "fallbackData": _by_name({"type": "boolean"}),
        "message": {"type": "string"},
        "store": {"enum": ["host", "local"], "type": "string"},
        "steward": {"type": "boolean"},
        "staticTier": _by_name({}),
        "pools": _by_name(_by_name({})),
        "drills": _by_name(_by_name({})),
        "folders": _by_name({"type": "string"}),
        "notices": {"type": "array", "items": {"type": "string"}},
        "shadow": {"type": "string"},
    }
    name = {"type": "string", "minLength": 1, "maxLength": NAME}
    names = {"type": "array", "items": name, "description": _NAMES, "maxItems": NAMES}
    reason = {"type": "string", "description": "Why, for other operators.", "maxLength": REASON}
    return {
        "Health": {"type": "object", "properties": health_says, "required": sorted(health_says)},
        "ResetRequest": {
            "type": "object",
            "description": _RESET,
            "properties": {"breakers": names, "reason": reason},
        },
    }


def _answer(schema: dict[str, Any]) -> dict[str, Any]:
    return {"200": {"content": {"application/json": {"schema": schema}}, "description": ""}}


def _by_name(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": schema}
