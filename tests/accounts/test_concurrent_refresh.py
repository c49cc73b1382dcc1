"""Two refreshes at once, on a real PostgreSQL with committed rows and a connection for each thread."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from pytest_django.plugin import DjangoDbBlocker

from tests.conftest import _default_is
from zenow.accounts import refresh
from zenow.accounts.models import RefreshFamily

ASKERS = 8


@pytest.fixture
def server(_migrated: dict[str, Any], django_db_blocker: DjangoDbBlocker) -> Iterator[dict[str, Any]]:
    """Settings of a database in which this thread commits; what the test stores is deleted afterwards."""
    with django_db_blocker.unblock(), _default_is(_migrated):
        yield _migrated
        User.objects.all().delete()


@pytest.fixture
def token(server: dict[str, Any]) -> str:
    return refresh.issue(User.objects.create_user("ada"), now=timezone.now())


def rotate(server: dict[str, Any], token: str, start: threading.Barrier) -> str | None:
    """Return the successor, or None when another request won."""
    with _default_is(server):
        start.wait(10)
        try:
            return refresh.rotate(token, now=timezone.now())[1]
        except refresh.RefreshRaceError:
            return None


class TestConcurrentRefresh:
    @pytest.mark.parametrize("attempt", range(5))
    def test_has_exactly_one_winner_whose_token_works(
        self, server: dict[str, Any], token: str, attempt: int
    ) -> None:
        start = threading.Barrier(ASKERS)
        with ThreadPoolExecutor(ASKERS) as pool:
            answers = list(pool.map(lambda _: rotate(server, token, start), range(ASKERS)))
        successors = [answer for answer in answers if answer is not None]
        assert len(successors) == 1
        assert refresh.rotate(successors[0], now=timezone.now())[0].username == "ada"
        assert RefreshFamily.objects.get().ended_at is None

    def test_waits_for_a_transaction_that_has_already_rotated(
        self, server: dict[str, Any], token: str
    ) -> None:
        with ThreadPoolExecutor(1) as pool:
            with transaction.atomic():
                _, successor = refresh.rotate(token, now=timezone.now())
                second = pool.submit(rotate, server, token, threading.Barrier(1))
                with pytest.raises(TimeoutError):
                    second.result(0.3)
            assert second.result(10) is None
        assert refresh.rotate(successor, now=timezone.now())[0].username == "ada"

    def test_wins_when_the_transaction_before_it_is_rolled_back(
        self, server: dict[str, Any], token: str
    ) -> None:
        with ThreadPoolExecutor(1) as pool:
            with transaction.atomic():
                refresh.rotate(token, now=timezone.now())
                second = pool.submit(rotate, server, token, threading.Barrier(1))
                with pytest.raises(TimeoutError):
                    second.result(0.3)
                transaction.set_rollback(True)
            successor = second.result(10)
        assert successor is not None
        assert refresh.rotate(successor, now=timezone.now())[0].username == "ada"
