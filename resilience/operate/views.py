"""What operators ask over HTTP: health for everybody, breakers for those who may steer them, and metrics."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from resilience import registry
from resilience.answers.members import StrictMembers
from resilience.observe import health, history, metrics
from resilience.operate.orders import Order, StoreBusyError, UnknownBreakerError, steer
from resilience.operate.permissions import Steerer, has_ops_token, may_steer
from resilience.problems import ParameterError, come_back, problem
from resilience.request.scope import pool

# `metrics_view` may answer before the middleware that says it elsewhere.
_NO_GUESSING = {"X-Content-Type-Options": "nosniff"}
_OBJECT = OpenApiResponse(OpenApiTypes.OBJECT)


class ResetSerializer(StrictMembers):
    """The body of a reset. With a misspelt member that was passed over, all would be reset."""

    breakers = serializers.ListField(
        child=serializers.CharField(max_length=64),
        max_length=64,
        required=False,
        help_text="Their names; all of them without.",
    )
    reason = serializers.CharField(
        max_length=200, required=False, allow_blank=True, help_text="Why, for those who look later."
    )


@pool(None)  # It answers from memory, also when every pool is full.
class UncachedView(APIView):
    """An answer that is true for a moment only, so that no store may keep it."""

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        final: Response = super().finalize_response(request, response, *args, **kwargs)
        patch_cache_control(final, no_store=True)
        return final


class HealthView(UncachedView):
    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []

    @extend_schema(
        operation_id="health",
        summary="How the host is",
        responses={
            200: inline_serializer(
                "Health",
                {
                    "status": serializers.ChoiceField([health.HEALTHY, health.DEGRADED]),
                    "timestamp": serializers.DateTimeField(),
                    "services": serializers.DictField(child=serializers.DictField()),
                    "fallbackData": serializers.DictField(child=serializers.BooleanField()),
                    "message": serializers.CharField(),
                    "store": serializers.ChoiceField(["host", "local"]),
                    "steward": serializers.BooleanField(),
                    "staticTier": serializers.DictField(allow_null=True),
                    "pools": serializers.DictField(child=serializers.DictField()),
                    "drills": serializers.DictField(child=serializers.DictField()),
                    "folders": serializers.DictField(child=serializers.CharField(allow_blank=True)),
                    "notices": serializers.ListField(child=serializers.CharField()),
                },
            )
        },
        auth=[],
    )
    def get(self, request: Request) -> Response:
        """Say how each service is. Always 200, at once, without asking any of them."""
        return Response(health.report())


class OperatorView(UncachedView):
    """A view for those who may steer; `steerer` is who asks."""

    steerer: Steerer

    def perform_authentication(self, request: Request) -> None:
        """Leave it to `may_steer`: the OPS_TOKEN is no access token."""

    def check_permissions(self, request: Request) -> None:
        """Admit who may steer."""
        self.steerer = may_steer(request)


class BreakersView(OperatorView):
    @extend_schema(
        operation_id="circuit_breakers", summary="List the circuit breakers", responses={200: _OBJECT}
    )
    def get(self, request: Request) -> Response:
        """List the circuit breakers of the host: state, counts, last error, and the order in force."""
        found = [breaker.snapshot() for breaker in registry.breakers().values()]
        where = "host" if registry.shared() else "local"
        return Response({"breakers": [health.breaker(one) for one in found], "store": where})


class ResetView(OperatorView):
    # A bare POST of whatever type means all of them; forms because `curl -d breakers=cache` sends one.
    parser_classes = [*APIView.parser_classes, FormParser, MultiPartParser]

    @extend_schema(
        operation_id="reset_circuit_breakers",
        summary="Reset circuit breakers",
        request=ResetSerializer,
        responses={200: _OBJECT, 503: OpenApiResponse(description="The store is busy; ask again.")},
    )
    def post(self, request: Request) -> Any:
        """Close breakers, all unless named, forget their windows and end any order, on the whole host."""
        if request.query_params:
            raise ParameterError(next(iter(request.query_params)), "Say it in the body.")
        asked = ResetSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        names: list[str] = asked.validated_data.get("breakers", [])
        try:
            order = Order("reset", names, asked.validated_data.get("reason", ""))
            found = steer(order, who=self.steerer.named)
        except UnknownBreakerError as error:
            errors = [
                {
                    "pointer": f"#/breakers/{names.index(name)}",
                    "detail": "There is no such breaker.",
                    "allowed": error.known,
                }
                for name in error.unknown
            ]
            return problem(400, detail=f"There is {error}.", errors=errors)
        except StoreBusyError as error:
            busy = problem(503, detail=f"{error}.")
            come_back(busy, 1.0)
            return busy
        return Response(
            {"reset": [one.name for one in found], "breakers": [health.breaker(one) for one in found]}
        )


@pool("other")  # It asks the database, where that is there.
class HistoryView(OperatorView):
    @extend_schema(
        operation_id="history",
        summary="What happened in an hour, a day or 30 days",
        parameters=[
            OpenApiParameter("span", enum=list(history.SPANS), default="day"),
        ],
        responses={200: _OBJECT},
    )
    def get(self, request: Request) -> Response:
        """Sum up a span: availability, outages, recovery, fallbacks, error rates by service and operation."""
        span = request.query_params.get("span", "day")
        if span not in history.SPANS:
            raise ParameterError("span", f"There is no span {span[:20]!r}.", allowed=list(history.SPANS))
        return Response(history.summary(span))


@pool(None)
@require_safe
@never_cache
def metrics_view(request: HttpRequest) -> HttpResponse:
    """Answer Prometheus: with the OPS_TOKEN as bearer token, or anybody while DEBUG is on."""
    if not (settings.DEBUG or has_ops_token(request)):
        return HttpResponse(
            "Send the OPS_TOKEN as a bearer token.\n",
            status=401,
            content_type="text/plain; charset=utf-8",
            headers={"WWW-Authenticate": 'Bearer realm="metrics"', **_NO_GUESSING},
        )
    body, content_type = metrics.exposition(request.META.get("HTTP_ACCEPT", ""))
    return HttpResponse(body, content_type=content_type, headers=_NO_GUESSING)
