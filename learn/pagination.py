"""Pages of a list: strict about what is asked for, an envelope of `count next previous results`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.core.paginator import InvalidPage, Page, Paginator
from django.db.models import QuerySet
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.views import APIView

from resilience.problems import ParameterError

_DIGITS = re.compile(r"[0-9]{1,9}\Z")
_LAST = 999_999_999  # No catalogue has more pages, and a longer number would only trouble the database.


class EitherEnd(Paginator):  # type: ignore[type-arg]
    """Read a page from the end of the rows that is nearer: a database walks past what it leaves out.

    `shown` makes the rows what a page holds. Counting comes before, and so joins nothing to show.
    """

    def __init__(
        self, rows: QuerySet[Any], size: int, shown: Callable[[QuerySet[Any]], QuerySet[Any]]
    ) -> None:
        super().__init__(rows, size)
        self.rows = rows
        self.shown = shown

    def page(self, number: int | str) -> Page[Any]:
        """Return the page; raise InvalidPage when there is none of this number."""
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        last = min(first + self.per_page, self.count)
        behind = self.count - last
        if first <= behind:
            return Page(list(self.shown(self.rows[first:last])), number, self)
        found = list(self.shown(self.rows.reverse()[behind : self.count - first]))
        return Page(found[::-1], number, self)


class CataloguePagination(PageNumberPagination):
    """Number pages from 1; 20 rows each, at most 100."""

    page_size = 20
    max_page_size = 100
    page_size_query_param = "page_size"
    page_query_description = "The page, from 1."
    page_size_query_description = "Rows on a page, 1 to 100."

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any]:
        """Return one page's rows as the view shows them, in two queries.

        Raises:
            ParameterError: 400 for what is no page or size, 404 for a page past the end.
        """
        self.request = request
        shown = view.shown  # type: ignore[union-attr]
        paginator = EitherEnd(queryset, self.get_page_size(request), shown)
        number = _number(request, self.page_query_param, default=1, limit=_LAST)
        try:
            self.page = paginator.page(number)
        except InvalidPage as error:
            last = paginator.num_pages
            detail = f"There is no such page; the last one is {last}."
            raise ParameterError(self.page_query_param, detail, allowed=f"1 to {last}", status=404) from error
        return list(self.page)

    def get_page_size(self, request: Request) -> int:
        """Return how many rows a page has."""
        return _number(request, self.page_size_query_param, default=self.page_size, limit=self.max_page_size)


def _number(request: Request, name: str, *, default: int, limit: int) -> int:
    given = request.query_params.get(name, "")
    if not given:
        return default
    number = int(given) if _DIGITS.match(given) else 0
    if not 1 <= number <= limit:
        raise ParameterError(name, f"`{name}` is a number from 1 to {limit}.", allowed=f"1 to {limit}")
    return number
