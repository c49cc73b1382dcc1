"""What a request holds, from its begin to its end."""

from collections.abc import Iterator

import pytest
from django.test import RequestFactory

from resilience import registry
from resilience.primitives import BulkheadFullError, current_deadline
from resilience.request.scope import current_scope, request_scope
from resilience.testing import server_role


@pytest.fixture(autouse=True)
def server() -> Iterator[None]:
    with server_role():
        yield


class TestScope:
    def test_has_one_clock_and_one_place_until_it_ends(self) -> None:
        pool = registry.bulkhead("other")
        with request_scope(RequestFactory().get("/")) as scope:
            assert current_scope() is scope
            assert current_deadline() is scope.deadline is not None
            scope.enter_pool("other")
            scope.enter_pool("other")
            assert pool.in_use == 1
        assert (pool.in_use, current_scope(), current_deadline()) == (0, None, None)

    def test_gives_everything_back_after_an_error(self) -> None:
        pool = registry.bulkhead("other")

        def fail() -> None:
            with request_scope(RequestFactory().get("/")) as scope:
                scope.enter_pool("other")
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        assert (pool.in_use, current_scope(), current_deadline()) == (0, None, None)

    def test_that_found_no_place_gives_none_back(self) -> None:
        pool = registry.bulkhead("external")
        with pool.enter(), request_scope(RequestFactory().get("/")) as scope:
            with pytest.raises(BulkheadFullError):
                scope.enter_pool("external")
            assert pool.in_use == 1
        assert pool.in_use == 0

    def test_bounds_nothing_in_a_command(self) -> None:
        registry.use(registry.Registry())
        with request_scope(RequestFactory().get("/")) as scope:
            assert scope.deadline is current_deadline() is None
