from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import authenticate, user_login_failed
from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, InterfaceError, OperationalError, ProgrammingError
from django.http import HttpRequest
from pytest_django import DjangoAssertNumQueries, Settings

from resilience import conf, faults, registry
from resilience.auth import (
    GuardedBackend,
    NotAcceptedError,
    SignInUnavailableError,
    classify,
    explained,
    probe,
)
from resilience.primitives import (
    BulkheadFullError,
    DeadlineExceededError,
    Outcome,
    RejectedError,
)
from resilience.testing import full_pool, server_role


class Directory(BaseBackend):
    """A stand-in for what knows the passwords, LDAP say; `fails_with` is what it raises next."""

    fails_with: BaseException | None = None
    asked = 0

    def authenticate(  # type: ignore[override]
        self, request: HttpRequest | None, name: str = "", word: str = ""
    ) -> User | None:
        Directory.asked += 1
        if Directory.fails_with is not None:
            raise Directory.fails_with
        return User(pk=1, username=name) if word == "right" else None


class GuardedDirectory(GuardedBackend, Directory):
    pass


@pytest.fixture(autouse=True)
def directory(settings: Settings) -> Iterator[type[Directory]]:
    settings.AUTHENTICATION_BACKENDS = ["tests.resilience.test_auth.GuardedDirectory"]
    Directory.fails_with, Directory.asked = None, 0
    with server_role():
        yield Directory
    Directory.fails_with = None


def django_error(driver: psycopg.Error) -> OperationalError:
    error = OperationalError(str(driver))
    error.__cause__ = driver
    return error


class TestClassify:
    @pytest.mark.parametrize(
        ("error", "outcome"),
        [
            (NotAcceptedError(), Outcome.ANSWERED),
            (PermissionDenied(), Outcome.ANSWERED),
            (BulkheadFullError("read", retry_after=1, reason="full"), Outcome.IGNORED),
            (RejectedError("database", retry_after=1, reason="open"), Outcome.IGNORED),
            (DeadlineExceededError(before_call=True), Outcome.IGNORED),
            (DeadlineExceededError(), Outcome.FAILURE),
            (ConnectionRefusedError(), Outcome.FAILURE),
            (TimeoutError(), Outcome.FAILURE),
            (django_error(psycopg.errors.AdminShutdown("shut down")), Outcome.FAILURE),
            (django_error(psycopg.errors.QueryCanceled("statement timeout")), Outcome.SLOW),
            (django_error(psycopg.errors.LockNotAvailable("lock timeout")), Outcome.IGNORED),
            (KeyError("a bug"), Outcome.IGNORED),
            (KeyboardInterrupt(), Outcome.IGNORED),
        ],
        ids=repr,
    )
    def test_tells_what_an_error_says_about_sign_in(self, error: BaseException, outcome: Outcome) -> None:
        assert classify(error) is outcome


class TestGuardedBackend:
    def test_returns_the_user(self) -> None:
        user = authenticate(name="ada", word="right")
        assert user is not None
        assert user.get_username() == "ada"

    def test_a_wrong_password_is_no_failure(self, directory: type[Directory]) -> None:
        failed: list[Any] = []

        def note(**kwargs: Any) -> None:
            failed.append(kwargs)

        user_login_failed.connect(note)
        assert [authenticate(name="ada", word="wrong") for _ in range(20)] == [None] * 20
        user_login_failed.disconnect(note)
        assert (directory.asked, len(failed)) == (20, 20)
        assert registry.breaker("auth").snapshot().state == "CLOSED"
        assert registry.breaker("auth").snapshot().failures == 0

    def test_an_outage_opens_the_breaker_after_exactly_three(self, directory: type[Directory]) -> None:
        directory.fails_with = ConnectionRefusedError("down")
        for _ in range(3):
            with pytest.raises(ConnectionRefusedError):
                authenticate(name="ada", word="right")
        with pytest.raises(RejectedError) as refused:
            authenticate(name="ada", word="right")
        assert directory.asked == 3
        assert 0 < refused.value.retry_after <= 20

    def test_a_bug_opens_nothing(self, directory: type[Directory]) -> None:
        directory.fails_with = KeyError("a bug")
        for _ in range(5):
            with pytest.raises(KeyError):
                authenticate(name="ada", word="right")
        assert registry.breaker("auth").snapshot().state == "CLOSED"

    def test_forbidding_a_user_ends_the_chain_and_counts_nothing(self, directory: type[Directory]) -> None:
        directory.fails_with = PermissionDenied()
        assert authenticate(name="ada", word="right") is None
        assert registry.breaker("auth").snapshot().failures == 0

    def test_leaves_credentials_of_another_kind_to_another_backend(self, directory: type[Directory]) -> None:
        assert authenticate(token="x") is None
        assert directory.asked == 0

    def test_is_guarded_when_it_is_awaited_too(self, directory: type[Directory]) -> None:
        backend = GuardedDirectory()
        user = async_to_sync(backend.aauthenticate)(None, name="ada", word="right")
        assert user is not None
        registry.breaker("auth").isolate(who="test", why="held open")
        with pytest.raises(RejectedError):
            async_to_sync(backend.aauthenticate)(None, name="ada", word="right")

    def test_is_refused_when_the_pool_is_full(self, directory: type[Directory]) -> None:
        with full_pool("auth"), pytest.raises(BulkheadFullError):
            authenticate(name="ada", word="right")
        assert directory.asked == 0
        assert registry.breaker("auth").snapshot().state == "CLOSED"


class TestExplained:
    @pytest.mark.parametrize(
        "error",
        [
            RejectedError("database", retry_after=7, reason="open"),
            OperationalError("gone"),
            InterfaceError("closed"),
            DeadlineExceededError(),
            ConnectionResetError(),
        ],
        ids=repr,
    )
    def test_says_in_words_that_sign_in_is_down(self, error: Exception) -> None:
        with pytest.raises(SignInUnavailableError) as told, explained():
            raise error
        assert told.value.__cause__ is error
        assert told.value.http_status == 503
        assert told.value.retry_after == pytest.approx(7 if isinstance(error, RejectedError) else 5)
        assert "not in what you entered" in told.value.reason

    def test_says_that_the_site_is_busy_where_it_is(self) -> None:
        with pytest.raises(SignInUnavailableError) as told, explained():
            raise BulkheadFullError("auth", retry_after=1, reason="full")
        assert told.value.busy
        assert "too busy" in told.value.reason
        assert "not available" not in told.value.reason

    @pytest.mark.parametrize(
        "error", [IntegrityError(), ProgrammingError(), KeyError(), NotAcceptedError()], ids=repr
    )
    def test_leaves_bugs_and_answers_alone(self, error: Exception) -> None:
        with pytest.raises(type(error)) as told, explained():
            raise error
        assert told.value is error

    def test_leaves_a_refusal_alone_that_is_the_clients_affair(self) -> None:
        class LimitedError(RejectedError):
            http_status = 429

        with pytest.raises(LimitedError), explained():
            raise LimitedError("limit", retry_after=1, reason="too many")


class TestProbe:
    def test_reads_one_row_of_the_table_of_users(
        self, db: None, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        User.objects.create_user("ada")
        with django_assert_num_queries(1) as queries:
            probe()
        assert "auth_user" in queries.captured_queries[0]["sql"]
        assert "LIMIT 1" in queries.captured_queries[0]["sql"]

    def test_meets_a_drill_as_a_sign_in_does(self, settings: Settings) -> None:
        settings.RESILIENCE = settings.RESILIENCE | {"DRILLS": True}
        with server_role():
            faults.start("auth", "error", lasts=60)
            with pytest.raises(ConnectionError, match="a drill"):
                probe()


class TestSettings:
    def test_name_what_judges_and_what_probes_sign_in(self) -> None:
        assert conf.classify("auth") is classify
        assert conf.probes("probe")["auth"] is probe
