"""Who may do what: every address, by every method, for everybody. Healthy, and in an outage never more."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections, transaction

from resilience import registry
from resilience.operate import passes
from resilience.tiers.static_copy import building
from tests.security.conftest import Person
from tests.security.routes import filled, routes

BOARD = "/admin/resilience/board/"
WHO = ("anonymous", "user", "staff", "steerer", "superuser", "ops")

# What an empty request gets. The first row that fits decides; `any` fits what no row before it names, and
# one answer alone is everybody's. `login`: sent to sign in. 400: let in, and told that it said nothing.
# A steerer is staff with the permission to steer breakers; `ops` sends the OPS_TOKEN. Everybody shows all
# that they have, a session and a bearer token, so a page that took the wrong one would show here.
TABLE = """
route                               method   anonymous  user   staff  steerer  superuser  ops
/                                   GET      200
/                                   OPTIONS  204
/                                   any      405
/metrics                            GET      401        401    401    401      401        200
/metrics                            OPTIONS  204
/metrics                            any      405

/admin                              any      302
/admin/                             any      login      login  200    200      200        login
/admin/login/                       GET      200        200    302    302      302        200
/admin/login/                       POST     200
/admin/logout/                      POST     302        302    200    200      200        302
/admin/logout/                      any      302        302    405    405      405        302
/admin/password_change/             GET,POST login      login  200    200      200        login
/admin/password_change/done/        GET      login      login  200    200      200        login
/admin/password_change/done/        any      login      login  405    405      405        login
/admin/autocomplete/                GET      login      login  403    403      403        login
/admin/autocomplete/                any      login      login  405    405      405        login
/admin/jsi18n/                      GET      login      login  200    200      200        login
/admin/jsi18n/                      any      login      login  405    405      405        login
/admin/r/*/*/                       any      login      login  404    404      404        login
/admin/<app_label>/                 any      login      login  404    404      200        login
/admin/<url>                        any      login      login  404    404      404        login

/admin/resilience/board/            GET      403        403    403    200      200        200
/admin/resilience/board/            POST     403        403    403    400      400        400
/admin/resilience/board/state.json  GET      403        403    403    200      200        200
/admin/resilience/board/enter       POST     403
/admin/resilience/board/leave       POST     302
/admin/resilience/board/            OPTIONS  204
/admin/resilience/board/            any      405
/admin/resilience/board/*           OPTIONS  204
/admin/resilience/board/*           any      405
/admin/resilience/breaker/          POST     login      login  403    302      302        login
/admin/resilience/breaker/          any      login      login  403    200      200        login
/admin/resilience/breaker/add/      any      login      login  403    403      403        login
/admin/resilience/breaker/*/delete/ any      login      login  403    403      403        login
/admin/resilience/breaker/*/change/ POST     login      login  403    403      403        login
/admin/resilience/breaker/*/change/ any      login      login  403    302      302        login
/admin/resilience/breaker/*/history/ any     login      login  302    302      302        login
/admin/resilience/event/add/        any      login      login  403    403      403        login
/admin/resilience/event/*/delete/   any      login      login  403    403      403        login
/admin/resilience/event/*/change/   POST     login      login  403    403      403        login

/admin/accounts/*/add/              any      login      login  403    403      403        login
/admin/accounts/*/*/change/         POST     login      login  403    403      302        login
/admin/learn/course/*/delete/       POST     login      login  403    403      302        login
/admin/learn/*/*/delete/            POST     login      login  403    403      200        login
/admin/*/*/*/delete/                POST     login      login  403    403      302        login
/admin/*/*/                         any      login      login  403    403      200        login
/admin/*/*/add/                     any      login      login  403    403      200        login
/admin/*/*/*/change/                any      login      login  403    403      200        login
/admin/*/*/*/delete/                any      login      login  403    403      200        login
/admin/*/*/*/history/               any      login      login  403    403      200        login
/admin/auth/user/<id>/password/     any      login      login  403    403      200        login
/admin/*/*/*/                       any      login      login  302    302      302        login

/api/schema/                        GET      200        200    200    200      200        401
/api/schema/                        OPTIONS  204        204    204    204      204        401
/api/schema/                        any      405        405    405    405      405        401
/api/docs/                          GET      200        200    200    200      200        401
/api/docs/                          OPTIONS  204        204    204    204      204        401
/api/docs/                          any      405        405    405    405      405        401
/api/health/                        GET      200
/api/health/                        OPTIONS  204
/api/health/                        any      405
/api/auth/token/                    POST     400
/api/auth/token/                    OPTIONS  204
/api/auth/token/                    any      405
/api/auth/token/refresh/            POST     400
/api/auth/token/refresh/            OPTIONS  204
/api/auth/token/refresh/            any      405
/api/auth/logout/                   POST     400
/api/auth/logout/                   OPTIONS  204
/api/auth/logout/                   any      405
/api/auth/me/                       GET      401        200    200    200      200        401
/api/auth/me/                       OPTIONS  401        204    204    204      204        401
/api/auth/me/                       any      401        405    405    405      405        401
/api/admin/circuit-breakers/        GET      401        403    403    200      200        200
/api/admin/circuit-breakers/        OPTIONS  401        403    403    204      204        204
/api/admin/circuit-breakers/        any      401        403    403    405      405        405
/api/admin/history/                 GET      401        403    403    200      200        200
/api/admin/history/                 OPTIONS  401        403    403    204      204        204
/api/admin/history/                 any      401        403    403    405      405        405
/api/admin/reset-circuit-breakers/  POST     401        403    403    200      200        200
/api/admin/reset-circuit-breakers/  OPTIONS  401        403    403    204      204        204
/api/admin/reset-circuit-breakers/  any      401        403    403    405      405        405

/api/courses/<slug>/rating/         GET      200        200    200    200      200        401
/api/courses/<slug>/rating/         OPTIONS  204        204    204    204      204        401
/api/courses/<slug>/rating/         any      405        405    405    405      405        401
/api/*/                             GET      200        200    200    200      200        401
/api/*/                             POST     401        403    403    403      400        401
/api/*/                             OPTIONS  204        204    204    204      204        401
/api/*/                             any      401        403    403    403      405        401
/api/*/<slug>/                      GET      200        200    200    200      200        401
/api/*/<slug>/                      PUT      401        403    403    403      400        401
/api/*/<slug>/                      PATCH    401        403    403    403      200        401
/api/courses/<slug>/                DELETE   401        403    403    403      204        401
/api/*/<slug>/                      DELETE   401        403    403    403      409        401
/api/*/<slug>/                      OPTIONS  204        204    204    204      204        401
/api/*/<slug>/                      any      401        403    403    403      405        401
"""

Grid = dict[tuple[str, str], str]
Row = tuple[str, str, list[str]]

ROWS: list[Row] = [
    (route, methods, cells if len(cells) > 1 else cells * len(WHO))
    for route, methods, *cells in map(str.split, filter(None, TABLE.splitlines()[2:]))
]


def methods_of(route: str) -> list[str]:
    """Return the methods to try: Django's admin asks of a method only whether it is POST."""
    is_admins = route.startswith("/admin/") and not route.startswith(BOARD)
    return ["GET", "POST"] if is_admins else ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def row_of(route: str, method: str) -> Row | None:
    """Return the first row that fits."""
    return next((row for row in ROWS if _fits(row, route, method)), None)


def expected(route: str) -> Grid:
    """Return what the table says of a route, by method and person."""
    grid: Grid = {}
    for method in methods_of(route):
        row = row_of(route, method)
        assert row is not None, f"nobody has said who may {method} {route}"
        grid |= {(method, who): cell for who, cell in zip(WHO, row[2], strict=True)}
    return grid


def cells(examples: dict[str, dict[str, str]]) -> Iterator[tuple[str, str, str, str]]:
    """Yield each cell of the table for each address: path, method, who, and what they get."""
    for route in routes():
        for (method, who), cell in expected(route).items():
            yield filled(route, examples), method, who, cell


def answer_of(response: Any) -> str:
    """Return how an answer is written in the table."""
    is_login = response.status_code == 302 and response["Location"].startswith("/admin/login/")
    return "login" if is_login else str(response.status_code)


def _fits(row: Row, route: str, method: str) -> bool:
    wanted = re.escape(row[0]).replace(r"\*", "[^/]+")
    return re.fullmatch(wanted, route) is not None and (row[1] == "any" or method in row[1].split(","))


class TestTable:
    def test_has_a_row_for_every_address_that_the_site_knows(self) -> None:
        for route in routes():
            expected(route)

    def test_has_no_row_that_nothing_needs(self) -> None:
        used = [row_of(route, method) for route in routes() for method in methods_of(route)]
        assert [row for row in ROWS if row not in used] == []


@pytest.mark.django_db
@pytest.mark.timeout(900)
class TestHealthy:
    def test_everybody_is_answered_as_the_table_says(
        self, people: dict[str, Person], examples: dict[str, dict[str, str]]
    ) -> None:
        other = {}
        for path, method, who, cell in cells(examples):
            before = transaction.savepoint()
            found = answer_of(people[who].asks(method, path))
            transaction.savepoint_rollback(before)
            if found != cell:
                other[method, path, who] = f"{found}, not {cell}"
        assert other == {}


@pytest.fixture(params=["isolated", "dead"])
def outage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what takes the database away: by the breaker, or for real."""

    def isolate() -> None:
        for name in registry.breakers():
            registry.breaker(name).isolate(who="test", why="an outage")

    def die() -> None:
        def refuse(*_: object) -> None:
            raise OperationalError("the server is gone")

        monkeypatch.setattr(connections[DEFAULT_DB_ALIAS], "cursor", refuse)
        monkeypatch.setattr(connections[DEFAULT_DB_ALIAS], "chunked_cursor", refuse)

    return isolate if request.param == "isolated" else die


@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(900)
class TestOutage:
    def test_gives_nobody_more_than_the_table_does(
        self, people: dict[str, Person], examples: dict[str, dict[str, str]], outage: Callable[[], None]
    ) -> None:
        building.from_live()
        outage()
        more = {}
        for path, method, who, cell in cells(examples):
            if method in ("PUT", "PATCH", "OPTIONS"):
                continue  # They say nothing that the others do not, and this takes long.
            found = answer_of(people[who].asks(method, path))
            # The board knows who they are by a pass alone, and these have none.
            less = ("503", "403") if path.startswith(BOARD) else ("503",)
            if found not in (cell, *less):
                more[method, path, who] = f"{cell} became {found}"
        assert more == {}

    def test_a_pass_opens_the_board_and_nothing_else(
        self, people: dict[str, Person], examples: dict[str, dict[str, str]], outage: Callable[[], None]
    ) -> None:
        steerer = people["steerer"]
        given = steerer.asks("GET", BOARD).cookies[passes.COOKIE].value
        holder = replace(steerer, cookies={**steerer.cookies, passes.COOKIE: given})
        outage()
        opened = set()
        for path, method, who, _ in cells(examples):
            if who == "steerer" and method == "GET":
                without = answer_of(steerer.asks(method, path))
                if answer_of(holder.asks(method, path)) != without:
                    opened.add(path)
        assert opened == {BOARD, f"{BOARD}state.json"}
