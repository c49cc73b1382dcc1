"""Orders to breakers: carried out at once, heard by the journal, refused when they make no sense."""

import time
from collections.abc import Iterator

import pytest

from resilience import registry
from resilience.journal.files import journal
from resilience.operate import orders
from resilience.operate.orders import OrderError, StoreBusyError, UnknownBreakerError, steer
from resilience.primitives import BreakerOpenError, State, StoreUnavailableError
from resilience.testing import server_role
from tests.patience import ROOM


@pytest.fixture(autouse=True)
def _server() -> Iterator[None]:
    with server_role():
        yield


def _refused() -> None:
    raise ConnectionError


class TestSteer:
    def test_isolates_with_who_why_and_an_end(self) -> None:
        until = time.time() + 60
        (found,) = steer(["database"], "isolate", who="ada", why="disk is\nbeing replaced", until=until)
        assert found.state is State.OPEN
        assert found.override is not None
        assert (found.override.who, found.override.why) == ("ada", "disk is being replaced")
        assert found.override.until == pytest.approx(until)
        with pytest.raises(BreakerOpenError):
            registry.breaker("database").call(_refused)

    def test_disable_and_auto_are_each_others_end(self) -> None:
        assert steer(["cache"], "disable", who="ada", why="it lies")[0].disabled
        assert not steer(["cache"], "auto", who="ada", why="")[0].disabled

    def test_back_to_automatic_is_done_where_there_is_no_order(self) -> None:
        started = time.monotonic()
        assert len(steer([], "auto", who="ada", why="")) == len(registry.breakers())
        assert time.monotonic() - started < 1 + ROOM

    def test_resets_all_without_names(self) -> None:
        steer([], "isolate", who="ada", why="drill")
        assert {found.state for found in steer([], "reset", who="ada", why="over")} == {State.CLOSED}

    def test_a_name_given_twice_is_steered_once(self) -> None:
        assert len(steer(["auth", "auth"], "reset", who="ada", why="")) == 1

    def test_is_written_down_once(self) -> None:
        steer(["auth"], "isolate", who="ada", why="drill")
        written = [entry for entry in journal().entries() if entry["kind"] == "isolate"]
        assert [(entry["breaker"], entry["who"], entry["why"]) for entry in written] == [
            ("auth", "ada", "drill")
        ]


class TestRefusal:
    def test_of_an_unknown_name_names_the_known_and_does_nothing(self) -> None:
        steer(["database"], "isolate", who="ada", why="drill")
        with pytest.raises(UnknownBreakerError, match=r"no breaker databse; there are database, cache, "):
            steer(["database", "databse"], "reset", who="ada", why="")
        assert registry.breaker("database").shown() is State.OPEN

    @pytest.mark.parametrize("action", ["isolate", "disable"])
    def test_of_a_lasting_order_without_a_reason(self, action: orders.Action) -> None:
        with pytest.raises(OrderError, match="needs a reason"):
            steer(["cache"], action, who="ada", why="  ")

    def test_of_an_end_that_has_passed(self) -> None:
        with pytest.raises(OrderError, match="passed"):
            steer(["cache"], "isolate", who="ada", why="drill", until=time.time() - 1)

    def test_of_an_end_for_what_has_none(self) -> None:
        with pytest.raises(OrderError, match="reset has no end"):
            steer(["cache"], "reset", who="ada", why="", until=time.time() + 60)

    def test_in_a_command_without_a_server(self) -> None:
        registry.store().role = "command"
        with pytest.raises(StoreUnavailableError):
            steer([], "reset", who="ada", why="")

    def test_when_the_store_stays_busy_names_who_was_missed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(orders, "_PATIENCE", 0.0)
        registry.breaker("database").snapshot()
        with monkeypatch.context() as held:
            held.setattr(registry.store().lock, "take", lambda *_: None)
            with pytest.raises(StoreBusyError, match="did not reach database: "):
                steer(["database"], "reset", who="ada", why="")
