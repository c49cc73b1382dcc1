"""Pages of a list: `count`, `next`, `previous` and `results`. A wrong page or size is an error."""

from __future__ import annotations

import re
from typing import Any, cast

from django.core.paginator import InvalidPage, Page, Paginator
from django.db.models import QuerySet
from django.db.models.expressions import OrderBy
from django.db.models.functions import Coalesce
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request

from resilience.problems import ParameterError
from resilience.tiers import counts

_DIGITS = re.compile(r"[0-9]{1,9}\Z")
_LAST = 999_999_999  # no catalogue has more pages, and a database may refuse a longer number


class EitherEnd(Paginator):  # type: ignore[type-arg]
    """Find a page from the nearer end of the rows, since a database reads all rows that it skips.

    If many are skipped, first only the keys of the page are read, from the index that has the order.
    """

    # Up to this many rows are skipped with all their columns. Reading the page's rows again costs more.
    NEAR = 1_000

    def __init__(self, rows: QuerySet[Any], size: int, count: int, *, scattered: bool = False) -> None:
        super().__init__(rows, size)
        self.rows = sorted_without_index(rows) if scattered and count <= self.NEAR else rows
        self.count = count

    def rows_of(self, number: int) -> tuple[QuerySet[Any], bool]:
        """Return a page's rows, and whether they are in reverse order.

        Raises InvalidPage if there is no page of this number.
        """
        first = (self.validate_number(number) - 1) * self.per_page
        last = min(first + self.per_page, self.count)
        behind = self.count - last
        backwards = behind < first
        some = self.rows.reverse()[behind : self.count - first] if backwards else self.rows[first:last]
        if min(first, behind) <= self.NEAR:
            return some, backwards
        found = self.rows.model._default_manager.filter(slug__in=some.values("slug"))
        return found.order_by(*self.rows.query.order_by), False


def sorted_without_index(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return these rows in the same order, by an expression for which there is no index.

    The rows that a search finds may be anywhere in that order. A database that expects them evenly spread
    walks the index of the order until a page is full: past a quarter of 100,000 courses to the first "jazz".
    """
    # The ordering filter has made each name an OrderBy.
    first, *others = cast("tuple[OrderBy, ...]", rows.query.order_by)
    term = first.copy()
    term.set_source_expressions([Coalesce(first.expression, first.expression)])
    return rows.order_by(term, *others)


class CataloguePagination(PageNumberPagination):
    """Pages are numbered from 1 and have 20 rows, or as many as asked for, up to 100."""

    page_size = 20
    max_page_size = 100
    page_size_query_param = "page_size"
    page_query_description = "The page, from 1."
    page_size_query_description = "Rows on a page, 1 to 100."

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Return both parameters as the schema describes them, with their limits."""
        limits = {
            self.page_query_param: {"minimum": 1, "maximum": _LAST, "default": 1},
            self.page_size_query_param: {
                "minimum": 1,
                "maximum": self.max_page_size,
                "default": self.page_size,
            },
        }
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            parameter["schema"] |= limits[parameter["name"]]
            parameter["allowEmptyValue"] = True
        return parameters

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """Return one page's rows as the view shows them, read at the same moment as their count.

        Raises ParameterError: 400 for a page or size that is not a number in range, 404 for a page past the
        end.
        """
        self.request = request
        size = self.get_page_size(request)
        number = _number(request, self.page_query_param, default=1, limit=_LAST)
        # `meaning` is equal for questions that select the same rows, in any order and on any page.
        aside = ("ordering", self.page_query_param, self.page_size_query_param)
        given = [(name, values[-1].strip()) for name, values in request.query_params.lists()]
        asked = sorted((name, value) for name, value in given if value and name not in aside)
        meaning = (queryset.model._meta.label, *asked)
        # See Note [A page and its count are of one state]
        for counted in counts.candidates(queryset, meaning, more_than=(number - 1) * size):
            paginator = EitherEnd(queryset, size, counted.rows, scattered="search" in request.query_params)
            try:
                rows, backwards = paginator.rows_of(number)
            except InvalidPage as error:
                last = paginator.num_pages
                detail = f"There is no such page; the last one is {last}."
                raise ParameterError(
                    self.page_query_param, detail, allowed=f"1 to {last}", status=404
                ) from error
            found, fits = counted.read(view.shown(rows))
            if backwards:
                found.reverse()
            self.page = Page(found, number, paginator)
            if fits:
                break
        return found

    def get_next_link(self) -> str | None:
        """Return the address of the next page, in the spelling that all lists of this meaning share."""
        return _without_slash(super().get_next_link())

    def get_previous_link(self) -> str | None:
        """Return the address of the previous page, likewise."""
        return _without_slash(super().get_previous_link())

    def get_page_size(self, request: Request) -> int:
        """Return the number of rows on a page."""
        return _number(request, self.page_size_query_param, default=self.page_size, limit=self.max_page_size)


def _without_slash(link: str | None) -> str | None:
    """Return a link to a list without a slash at the end of its path, which it may have and need not have."""
    if link is None:
        return None
    path, mark, query = link.partition("?")
    return path.removesuffix("/") + mark + query


def _number(request: Request, name: str, *, default: int, limit: int) -> int:
    given = request.query_params.get(name, "")
    if not given:
        return default
    number = int(given) if _DIGITS.match(given) else 0
    if not 1 <= number <= limit:
        raise ParameterError(name, f"`{name}` is a number from 1 to {limit}.", allowed=f"1 to {limit}")
    return number
