"""Orders to breakers: carried out at once, heard by the journal, refused when they make no sense."""

import time
from collections.abc import Iterator

import pytest
from django.http import QueryDict

from resilience import registry
from resilience.journal.files import journal
from resilience.operate import orders
from resilience.operate.orders import Order, OrderError, StoreBusyError, UnknownBreakerError, steer
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
        (found,) = steer(Order("isolate", ["database"], "disk is\nbeing replaced", until=until), who="ada")
        assert found.state is State.OPEN
        assert found.override is not None
        assert (found.override.who, found.override.why) == ("ada", "disk is being replaced")
        assert found.override.until == pytest.approx(until)
        with pytest.raises(BreakerOpenError):
            registry.breaker("database").call(_refused)

    def test_disable_and_auto_are_each_others_end(self) -> None:
        assert steer(Order("disable", ["cache"], "it lies"), who="ada")[0].disabled
        assert not steer(Order("auto", ["cache"]), who="ada")[0].disabled

    def test_back_to_automatic_is_done_where_there_is_no_order(self) -> None:
        started = time.monotonic()
        assert len(steer(Order("auto"), who="ada")) == len(registry.breakers())
        assert time.monotonic() - started < 1 + ROOM

    def test_resets_all_without_names(self) -> None:
        steer(Order("isolate", [], "drill"), who="ada")
        assert {found.state for found in steer(Order("reset", [], "over"), who="ada")} == {State.CLOSED}

    def test_a_name_given_twice_is_steered_once(self) -> None:
        assert len(steer(Order("reset", ["auth", "auth"]), who="ada")) == 1

    def test_is_written_down_once(self) -> None:
        steer(Order("isolate", ["auth"], "drill"), who="ada")
        written = [entry for entry in journal().entries() if entry["kind"] == "isolate"]
        assert [(entry["breaker"], entry["who"], entry["why"]) for entry in written] == [
            ("auth", "ada", "drill")
        ]


class TestForm:
    """What the board and the admin's list send."""

    def test_says_how_long_an_order_lasts(self) -> None:
        form = QueryDict("breakers=cache&breakers=auth&action=isolate&reason=drill&end=10")
        order = Order.from_form(form)
        assert (order.action, order.names, order.why) == ("isolate", ["cache", "auth"], "drill")
        assert order.until == pytest.approx(time.time() + 600, abs=1)

    @pytest.mark.parametrize("form", ["action=isolate&end=", "action=isolate", "action=reset&end=10"])
    def test_gives_no_end_to_what_has_none(self, form: str) -> None:
        assert Order.from_form(QueryDict(f"breakers=cache&{form}")).until is None

    @pytest.mark.parametrize(
        "form",
        [
            "action=reset",
            "breakers=cache",
            "breakers=cache&action=list",
            "breakers=cache&action=isolate&end=11",
            "breakers=cache&action=isolate&end=-10",
        ],
    )
    def test_that_is_not_filled_in_is_no_order(self, form: str) -> None:
        with pytest.raises(OrderError, match="Tick"):
            Order.from_form(QueryDict(form))

    def test_is_cut_to_what_the_page_allows(self) -> None:
        form = QueryDict(
            "&".join([*(f"breakers=b{n}" for n in range(70)), "action=auto", f"reason={'x' * 300}"])
        )
        order = Order.from_form(form)
        assert (len(order.names), len(order.why)) == (64, 200)


class TestRefusal:
    def test_of_an_unknown_name_names_the_known_and_does_nothing(self) -> None:
        steer(Order("isolate", ["database"], "drill"), who="ada")
        with pytest.raises(UnknownBreakerError, match=r"no breaker databse; there are database, cache, "):
            steer(Order("reset", ["database", "databse"]), who="ada")
        assert registry.breaker("database").shown() is State.OPEN

    @pytest.mark.parametrize("action", ["isolate", "disable"])
    def test_of_a_lasting_order_without_a_reason(self, action: str) -> None:
        with pytest.raises(OrderError, match="needs a reason"):
            steer(Order(action, ["cache"], "  "), who="ada")

    def test_of_an_action_that_there_is_not(self) -> None:
        with pytest.raises(OrderError, match="no action 'resett'; there are reset, isolate, disable, auto"):
            steer(Order("resett", ["cache"]), who="ada")

    def test_of_an_end_that_has_passed(self) -> None:
        with pytest.raises(OrderError, match="passed"):
            steer(Order("isolate", ["cache"], "drill", until=time.time() - 1), who="ada")

    def test_of_an_end_for_what_has_none(self) -> None:
        with pytest.raises(OrderError, match="reset has no end"):
            steer(Order("reset", ["cache"], until=time.time() + 60), who="ada")

    def test_in_a_command_without_a_server(self) -> None:
        registry.store().role = "command"
        with pytest.raises(StoreUnavailableError):
            steer(Order("reset"), who="ada")

    def test_when_the_store_stays_busy_names_who_was_missed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(orders, "_PATIENCE", 0.0)
        registry.breaker("database").snapshot()
        with monkeypatch.context() as held:
            held.setattr(registry.store().lock, "take", lambda *_: None)
            with pytest.raises(StoreBusyError, match="did not reach database: "):
                steer(Order("reset", ["database"]), who="ada")
