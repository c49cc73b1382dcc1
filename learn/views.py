"""The catalogue's lists, entries and writes.

Reads name no database, so that the same code answers from any copy of the catalogue.
"""

import unicodedata
from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, models, router
from django.http import HttpRequest
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.permissions import IsAuthenticatedOrReadOnly
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.viewsets import ModelViewSet

from learn.filters import CategoryFilter, CourseFilter, FieldFilter, StrictFilterBackend, refuse_unknown
from learn.models import Category, Course, Field
from learn.pagination import CataloguePagination
from learn.permissions import StaffWrites
from learn.serializers import CategorySerializer, CourseSerializer, EntrySerializer, FieldSerializer
from learn.validators import SLUG_LENGTH
from resilience.answers.reads import ResilientReads
from resilience.answers.writes import ResilientWrites
from resilience.problems import ConflictError


def _summaries(one: str, many: str) -> Callable[[type["EntryViewSet"]], type["EntryViewSet"]]:
    """Name the operations of one kind of entry in the schema."""
    words = {
        "list": f"List {many}",
        "retrieve": f"Show a {one}",
        "create": f"Add a {one}",
        "update": f"Replace a {one}",
        "partial_update": f"Change a {one}",
        "destroy": f"Delete a {one}",
    }
    return extend_schema_view(**{name: extend_schema(summary=summary) for name, summary in words.items()})


class EntryViewSet(ResilientReads, ResilientWrites, ModelViewSet[Any]):
    """Everybody reads public entries; staff write all entries, drafts too.

    `ResilientWrites.handle` calls `create`, `update` and `destroy`, each in one transaction and under the
    Idempotency-Key: a row that they lock stays locked until the answer is made.
    """

    model: type[Category] | type[Field] | type[Course]
    serializer_class: type[EntrySerializer]
    permission_classes = [IsAuthenticatedOrReadOnly, StaffWrites]
    filter_backends = [StrictFilterBackend]
    filterset_class: type[CategoryFilter | CourseFilter]
    pagination_class = CataloguePagination
    lookup_field = "slug"
    same_for_everybody = True
    # A parameter with one of these values asks for the same as without it.
    same_as_absent = {"page": "1", "page_size": str(CataloguePagination.page_size), "ordering": "title"}

    def __init_subclass__(cls, **said: Any) -> None:
        """Add the filters of this kind of entry: an empty one is as none."""
        super().__init_subclass__(**said)
        cls.same_as_absent = dict.fromkeys(cls.filterset_class.base_filters, "") | EntryViewSet.same_as_absent

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check who asks, and then that each query parameter is known."""
        super().initial(request, *args, **kwargs)
        if request.method == "OPTIONS":
            return
        allowed = [*self.filterset_class.base_filters, "page", "page_size"] if self.action == "list" else []
        refuse_unknown(request, allowed)

    def address_of(self, request: HttpRequest) -> str:
        """Return the path as `_one` reads the slug in it."""
        return unicodedata.normalize("NFC", super().address_of(request))

    def get_object(self) -> Any:
        """Return the public row with this slug."""
        return self._one(self.shown(self.get_queryset()))

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Store a new entry; answer 201 with the entry and its address."""
        return self._write(None, status.HTTP_201_CREATED)

    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Change an entry, which may be a draft. Its slug stays."""
        return self._write(self.kwargs["slug"], status.HTTP_200_OK)

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Delete an entry that has no children."""
        entry = self._one(self._lockable())
        self.check_unchanged(entry.revision)
        try:
            entry.delete()
        except models.ProtectedError as error:
            children = error.protected_objects
            what = next(iter(children))._meta.verbose_name_plural
            raise ConflictError(
                f"This {entry._meta.verbose_name} has {what} ({len(children)}): move or delete those."
            ) from error
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _write(self, slug: str | None, code: int) -> Response:
        try:
            old = None if slug is None else self._one(self._lockable())
            if old is not None:
                self.check_unchanged(old.revision)
            serializer = self.get_serializer(
                old, data=self.request.data, partial=self.request.method == "PATCH"
            )
            serializer.is_valid(raise_exception=True)
            entry = serializer.save()
            row = self.shown(self._all()).get(pk=entry.pk)
        except IntegrityError as error:
            raise ConflictError(
                "Another write came in between and took this slug, code or parent. Try again.",
                retry_after=1.0,
            ) from error
        response = self._tagged(Response(self.get_serializer(row).data, status=code))
        if slug is None:
            name = f"{entry._meta.model_name}-detail"
            response["Location"] = reverse(name, kwargs={"slug": entry.slug}, request=self.request)
        return response

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Show an entry, with the ETag for `If-Match`."""
        return self._tagged(super().retrieve(request, *args, **kwargs))

    @staticmethod
    def _tagged(response: Response) -> Response:
        response.revision = response.data["revision"]  # type: ignore[attr-defined]
        return response

    def write_alias(self) -> str:
        """Return the alias of the database for writes."""
        return router.db_for_write(self.model)

    def _all(self) -> models.QuerySet[Any]:
        """Return all rows, drafts too, of the database for writes."""
        return self.model.objects.using(self.write_alias())

    def _lockable(self) -> models.QuerySet[Any]:
        return self._all().select_for_update(of=("self",))

    def shown(self, rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Return each row as the tuple that the serializer shows."""
        return rows.values_list(*self.serializer_class.columns())

    def _one(self, rows: models.QuerySet[Any]) -> Any:
        slug = unicodedata.normalize("NFC", self.kwargs["slug"])
        name = self.model._meta.verbose_name
        # Ask no database for a slug that it could not hold; PostgreSQL would raise an error for a NUL.
        if len(slug) > SLUG_LENGTH or "\0" in slug or (found := rows.filter(slug=slug).first()) is None:
            raise NotFound(f"There is no {name} with this slug.")
        return found


@_summaries("category", "categories")
class CategoryViewSet(EntryViewSet):
    """Categories: broad areas of knowledge."""

    model = Category
    queryset = Category.objects.public()
    serializer_class = CategorySerializer
    filterset_class = CategoryFilter


@_summaries("field of study", "fields of study")
class FieldViewSet(EntryViewSet):
    """Fields of study, each in one category."""

    model = Field
    queryset = Field.objects.public()
    serializer_class = FieldSerializer
    filterset_class = FieldFilter


@_summaries("course", "courses")
class CourseViewSet(EntryViewSet):
    """Courses, each in one field of study."""

    model = Course
    queryset = Course.objects.public()
    serializer_class = CourseSerializer
    filterset_class = CourseFilter
