"""No write is answered with success unless its COMMIT was seen, whatever the engine makes of a block's end.

The engine tells of most of that itself (`tests/resilience/db/test_transactions.py`). This is the second net:
a Django engine without our guard, and a section that somebody began by hand and left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, transaction
from django.http.response import HttpResponseBase
from pytest_django.plugin import DjangoDbBlocker
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from resilience.answers.writes import ResilientWrites
from tests.resilience.db.conftest import alias, query

Meanwhile = Callable[[Any], None]


@pytest.fixture(params=["resilience.db.sqlite3", "django.db.backends.sqlite3"])
def db(request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[Any]:
    settings = {"ENGINE": request.param, "NAME": tmp_path / "file"}
    with django_db_blocker.unblock(), alias("kept", settings) as wrapper:
        query(wrapper, "CREATE TABLE kept (id integer PRIMARY KEY)")
        yield wrapper


def answer(meanwhile: Meanwhile) -> HttpResponseBase:
    """Answer a POST of a view that stores 1 and then does something."""

    class View(ResilientWrites, APIView):
        authentication_classes = ()
        permission_classes = ()

        def write_alias(self) -> str:
            return "kept"

        def post(self, request: Request) -> Response:
            query(connections["kept"], "INSERT INTO kept VALUES (1)")  # type: ignore[arg-type]
            meanwhile(connections["kept"])
            return Response({"id": 1}, status=201)

    return View.as_view()(APIRequestFactory().post("/"))


def stored(db: Any) -> int:
    other = db.copy()
    try:
        return len(query(other, "SELECT id FROM kept"))
    finally:
        other.close()


class TestAWrite:
    def test_that_is_stored_is_answered_so(self, db: Any) -> None:
        response = answer(lambda connection: None)
        assert (response.status_code, stored(db)) == (201, 1)

    def test_whose_connection_was_closed_is_no_success(self, db: Any) -> None:
        response = answer(lambda connection: connection.close())
        assert (response.status_code, stored(db)) == (503, 0)

    def test_in_a_section_that_somebody_began_by_hand_is_no_success(self, db: Any) -> None:
        transaction.set_autocommit(False, "kept")
        response = answer(lambda connection: None)
        transaction.rollback("kept")
        transaction.set_autocommit(True, "kept")
        assert response.status_code == 503

    def test_that_is_a_trial_is_answered(self, db: Any) -> None:
        response = answer(lambda connection: connection.set_rollback(True))
        assert (response.status_code, stored(db)) == (201, 0)

    def test_within_the_block_of_somebody_else_is_theirs(self, db: Any) -> None:
        with transaction.atomic("kept"):
            assert answer(lambda connection: None).status_code == 201
        assert stored(db) == 1
