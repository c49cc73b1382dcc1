"""The query parameters of the lists: which values each allows, and which rows it selects."""

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

import django_filters
from django.db.models import F, QuerySet
from django.db.models.expressions import OrderBy
from django.forms import Form
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.request import Request

from learn.models import Category, Course, Field
from learn.normalise import normalise
from learn.validators import LEVEL_LENGTH, SLUG_LENGTH, validate_language
from resilience.problems import ParameterError

SEARCH_LENGTH = 200
SEARCH_WORDS = 16
# The most values that an error message lists.
LISTED = 50


class StableOrdering(django_filters.OrderingFilter):
    """Order by columns that every database sorts alike: unknown values last, the slug decides ties."""

    def __init__(self, columns: dict[str, str], nullable: Iterable[str] = ()) -> None:
        self.columns = columns
        self.nullable = frozenset(nullable)
        help_text = "One or more, separated by commas; `-` reverses one. Unknown values come last."
        super().__init__(fields={column: name for name, column in columns.items()}, help_text=help_text)

    def filter(self, qs: QuerySet[Any], value: Sequence[str] | None) -> QuerySet[Any]:
        """Return the rows in the order asked for, by title if none is."""
        asked = [name for name in value or [] if name] or ["title"]
        names = [name.removeprefix("-") for name in asked]
        if len(set(names)) < len(names):
            raise ParameterError("ordering", "A name may be given once.", allowed=_allowed(self))
        return qs.order_by(*map(self._term, asked), "slug")

    def _term(self, asked: str) -> OrderBy:
        name = asked.removeprefix("-")
        column = F(self.columns[name])
        # Only for columns with unknown values, since SQLite would use no index for it.
        last = True if name in self.nullable else None
        return column.desc(nulls_last=last) if asked.startswith("-") else column.asc(nulls_last=last)


class _Shared(dict[str, Any]):
    """Filters or form fields that requests share without a copy, since ours remember nothing of a request."""

    def __deepcopy__(self, memo: object) -> Self:
        return self


class EntryFilter(django_filters.FilterSet):
    """Parameters that all lists have.

    Filters and form are made once. The library would make them for each request, which takes a fifth of the
    time of a list. So a filter's method must not use `self`.
    """

    _form_class: ClassVar[type[Form] | None] = None

    @classmethod
    def get_filters(cls) -> Any:
        """Return the filters, by the names of the parameters."""
        return _Shared(super().get_filters())

    def get_form_class(self) -> Any:
        """Return the form that checks the values."""
        cls = type(self)
        if cls.__dict__.get("_form_class") is None:
            made = super().get_form_class()
            made.base_fields = _Shared(made.base_fields)
            cls._form_class = made
        return cls._form_class

    search = django_filters.CharFilter(
        method="having_words",
        max_length=SEARCH_LENGTH,
        help_text=f"Up to {SEARCH_WORDS} words, all of which have to occur. "
        "Case, accents, and kinds of quotation marks and dashes do not matter.",
    )

    def having_words(self, qs: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Keep the rows in which every word occurs, also within another word."""
        words = dict.fromkeys(normalise(value).split())
        if len(words) > SEARCH_WORDS:
            raise ParameterError(name, "These are too many words.", allowed=f"1 to {SEARCH_WORDS} words")
        for word in words:
            qs = qs.filter(search_text__has=word)
        return qs


class CategoryFilter(EntryFilter):
    """Parameters of `/api/categories`."""

    ordering = StableOrdering(
        {"title": "title_sort", "code": "code", "created": "created", "updated": "updated"}, nullable={"code"}
    )


class FieldFilter(CategoryFilter):
    """Parameters of `/api/fields`."""

    category = django_filters.CharFilter(
        method="in_category", max_length=SLUG_LENGTH, help_text="Slug of a category."
    )

    def in_category(self, qs: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Keep the fields of one category."""
        return qs.filter(category_id=_public_id(Category, name, value))


class CourseFilter(EntryFilter):
    """Parameters of `/api/courses`."""

    category = django_filters.CharFilter(
        method="in_category", max_length=SLUG_LENGTH, help_text="Slug of a category."
    )
    field = django_filters.CharFilter(method="in_field", max_length=SLUG_LENGTH, help_text="Slug of a field.")
    level = django_filters.CharFilter(
        method="at_level",
        max_length=LEVEL_LENGTH,
        help_text="A level that some course has; case does not matter.",
    )
    language = django_filters.CharFilter(
        method="in_language",
        validators=[validate_language],
        help_text="The tag of a language of some course.",
    )
    ordering = StableOrdering(
        {
            "title": "title_sort",
            "code": "code",
            "level": "level_key",
            "language": "language",
            "duration_hours": "duration_hours",
            "credits": "credits",
            "created": "created",
            "updated": "updated",
        },
        nullable={"code", "level", "language", "duration_hours", "credits"},
    )

    def in_category(self, qs: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Keep the courses of one category."""
        return qs.filter(field__in=Field.objects.filter(category_id=_public_id(Category, name, value)))

    def in_field(self, qs: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Keep the courses of one field."""
        return qs.filter(field_id=_public_id(Field, name, value))

    def at_level(self, qs: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Keep the courses of one level."""
        return _with_known(qs, name, "level_key", normalise(value))

    def in_language(self, qs: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Keep the courses in one language."""
        return _with_known(qs, name, "language", value.lower())


class StrictFilterBackend(DjangoFilterBackend):
    """Filter by a FilterSet; refuse wrong values, naming each parameter and the values that it allows."""

    def filter_queryset(self, request: Any, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        """Return the rows that are asked for. Raises ParameterError for wrong values."""
        filterset = view.filterset_class(request.query_params, queryset=queryset, request=request)
        if not filterset.is_valid():
            wrong = [
                ParameterError(name, " ".join(messages), allowed=_allowed(filterset.filters[name]))
                for name, messages in filterset.errors.items()
            ]
            raise ParameterError.joined(wrong)
        rows: QuerySet[Any] = filterset.qs
        return rows


def refuse_unknown(request: Request, allowed: Sequence[str]) -> None:
    """Raise ParameterError unless each query parameter is one of `allowed` and is given once."""
    wrong = []
    for name, values in request.query_params.lists():
        if name not in allowed:
            wrong.append(ParameterError(name, "There is no such parameter here.", allowed=allowed))
        elif len(values) > 1:
            wrong.append(ParameterError(name, "This parameter may be given once."))
    if wrong:
        raise ParameterError.joined(wrong)


def _public_id(model: type[Category] | type[Field], name: str, slug: str) -> int:
    """Return the key of a public entry. Raises ParameterError (404) if none has this slug."""
    rows = model.objects.public().filter(slug=unicodedata.normalize("NFC", slug))
    found: int | None = rows.values_list("pk", flat=True).first()
    if found is None:
        allowed = f"a slug from /api/{model._meta.verbose_name_plural}"
        raise ParameterError(name, f"There is no such {name}.", allowed=allowed, status=404)
    return found


def _with_known(qs: QuerySet[Any], name: str, column: str, value: str) -> QuerySet[Any]:
    """Keep the rows with a value. Raises ParameterError (404) if no public course has it."""
    public = Course.objects.public()
    if not public.filter(**{column: value}).exists():
        known = public.exclude(**{name: None}).order_by().values_list(name, flat=True).distinct()
        allowed = sorted(known[:LISTED])
        raise ParameterError(name, f"No course has this {name}.", allowed=allowed, status=404)
    return qs.filter(**{column: value})


def _allowed(parameter: django_filters.Filter) -> list[str] | str:
    """Return the values that a parameter allows: its choices, else its help text."""
    if choices := parameter.extra.get("choices"):
        return [value for value, _ in choices]
    length = parameter.extra.get("max_length")
    return f"{parameter.extra['help_text']}" + (f" At most {length} characters." if length else "")
