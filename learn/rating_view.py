"""The rating of a course, which comes from a partner and not from the catalogue."""

import logging
import time
import unicodedata
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from learn.filters import refuse_unknown
from learn.models import Course
from learn.ratings import Rating, RatingUnknownError, rating_of
from learn.validators import SLUG_LENGTH
from resilience.causes import describe
from resilience.primitives import ResilienceError
from resilience.primitives.clock import iso
from resilience.request.response_headers import DATA_SOURCE, DEGRADED_REASON, HEADERS, Reason
from resilience.request.scope import note_degraded, pool

log = logging.getLogger("learn.ratings")

_WHY: dict[Reason, str] = {
    "busy": "The site is busy at the moment, and did not ask for the rating.",
    "unavailable": "Ratings are not available at the moment.",
}


# The schema names a component after each serializer; its `Degradation` is that of the catalogue's reads.
class PartnerDegradationSerializer(serializers.Serializer[Any]):
    """Where an answer that is not live comes from, why, of what time it is, and a sentence for people."""

    as_of = serializers.DateTimeField(allow_null=True)
    notice = serializers.CharField()

    def get_fields(self) -> dict[str, Any]:
        # A class attribute `source` would hide DRF's own.
        return {
            "source": serializers.ChoiceField(choices=["cached", "none"]),
            "reason": serializers.ChoiceField(choices=HEADERS[DEGRADED_REASON].values),
            **super().get_fields(),
        }


class RatingSerializer(serializers.Serializer[Any]):
    """The partner's rating of a course, from 0 to 5; null if there is none, or none is known."""

    rating = serializers.FloatField(allow_null=True, min_value=0, max_value=5)
    degradation = PartnerDegradationSerializer(
        required=False, help_text="Only while the partner cannot be asked."
    )


@pool(None)  # it takes a place in the pool `external` while it asks the partner
class RatingView(APIView):
    """Show the partner's rating or, while the partner cannot be asked, the last known one with its age."""

    @extend_schema(
        parameters=[OpenApiParameter("slug", str, OpenApiParameter.PATH)],
        responses={
            200: RatingSerializer,
            404: OpenApiResponse(description="There is no such course, or this site has no ratings."),
        },
    )
    def get(self, request: Request, slug: str) -> Response:
        """Show the partner's rating of this course."""
        refuse_unknown(request, [])
        # This must be a 404: null would mean that nobody has rated the course.
        if not settings.RATINGS_URL:
            raise NotFound("This site shows no ratings.")
        slug = unicodedata.normalize("NFC", slug)
        if not _may_exist(slug):
            raise NotFound("There is no course with this slug.")
        try:
            rating, unconfirmed = rating_of(slug)
        except RatingUnknownError as error:
            return _degraded(None, error.reason)
        if unconfirmed is not None:
            return _degraded(rating, unconfirmed)
        return Response({"rating": rating.value}, headers={DATA_SOURCE: "live"})


def _may_exist(slug: str) -> bool:
    """Tell whether the catalogue shows this course; True if it cannot be asked: the partner may know it."""
    if len(slug) > SLUG_LENGTH or "\0" in slug:
        return False
    try:
        return Course.objects.public().filter(slug=slug).exists()
    except (DatabaseError, ResilienceError) as error:
        log.warning("the partner is asked without a look into the catalogue: %s", describe(error))
        return True


def _degraded(known: Rating | None, reason: Reason) -> Response:
    note_degraded()
    degradation: dict[str, Any] = {"source": "none", "reason": reason, "as_of": None, "notice": _WHY[reason]}
    headers = {DEGRADED_REASON: reason, "Cache-Control": "no-store"}
    if known is None:
        return Response({"rating": None, "degradation": degradation}, headers=headers)
    degradation["source"] = "cached"
    degradation["as_of"] = iso(known.as_of)
    degradation["notice"] += " This is the last known one."
    headers |= {DATA_SOURCE: "cached", "Age": str(max(0, int(time.time() - known.as_of)))}
    return Response({"rating": known.value, "degradation": degradation}, headers=headers)
