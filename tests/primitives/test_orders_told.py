"""What listeners, counters and refusals say: which order, by whom, why; the last error and when."""

import errno

import pytest

from resilience.primitives import (
    BreakerOpenError,
    CircuitBreaker,
    DeadlineExceededError,
    HostStore,
    LocalStore,
    ManualClock,
    Outcome,
    refusing,
)
from resilience.primitives.config import BreakerConfig, BulkheadConfig

from .conftest import Bench


class TestOrders:
    def test_tell_their_name_and_their_reason(self, bench: Bench) -> None:
        breaker = bench.opened()
        bench.heard.clear()
        breaker.isolate(who="ann", why="repairs")
        breaker.auto(who="bob", why="repaired")
        breaker.disable(who="", why="")
        breaker.reset(who="eve", why="done")
        breaker.reset()
        assert [(told.order, told.reason, told.who, told.why) for told in bench.heard] == [
            ("isolate", "isolate by ann", "ann", "repairs"),
            ("auto", "back to automatic", "bob", "repaired"),
            ("disable", "disable by nobody", "", ""),
            ("reset", "reset", "eve", "done"),
            ("reset", "reset", "", ""),
        ]
        assert [told.until for told in bench.heard] == [None] * 5

    def test_keep_64_characters_of_who_and_200_of_why(self, bench: Bench) -> None:
        breaker = bench.breaker()
        breaker.isolate(who="w" * 100, why="y" * 300)
        override = breaker.snapshot().override
        assert override is not None
        assert (override.who, override.why) == ("w" * 64, "y" * 200)

    def test_that_end_by_themselves_tell_whose_they_were(self, bench: Bench) -> None:
        breaker = bench.breaker()
        breaker.isolate(who="ann", why="repairs", until=bench.clock.time() + 10.0)
        bench.clock.advance(10.0)
        breaker.call(bench.dependency)
        told = bench.heard[-1]
        assert (told.order, told.reason) == ("auto", "the order has ended")
        assert (told.who, told.why, told.until) == ("ann", "repairs", bench.clock.time())

    def test_to_isolate_say_so_to_who_is_refused(self, bench: Bench) -> None:
        breaker = bench.breaker()
        breaker.isolate(who="ann", why="repairs")
        with pytest.raises(BreakerOpenError) as caught:
            breaker.admit()
        assert caught.value.reason == "isolated by an operator"

    def test_to_disable_hold_in_an_outage(self, bench: Bench) -> None:
        breaker = bench.opened()
        breaker.disable(who="ann", why="drill")
        assert breaker.snapshot().disabled
        bench.fails(breaker, 9)
        assert breaker.snapshot().failures == 9


class TestTransitions:
    def test_tell_why(self, bench: Bench) -> None:
        breaker = bench.due()
        breaker.call(bench.dependency)
        breaker = bench.breaker()
        assert [told.reason for told in bench.heard] == [
            "3 failures and 0 slow of 3 calls",
            "the open time is over",
            "a probe ended as success",
        ]

    def test_that_nobody_ordered_name_nobody(self, bench: Bench) -> None:
        bench.opened()
        assert [(told.order, told.who, told.why) for told in bench.heard] == [(None, "", "")]

    def test_that_cannot_be_written_are_refused_as_if_another_probe_went_first(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        breaker = bench.due()
        monkeypatch.setattr(type(breaker._host.store.lock), "take", lambda *arguments: None)
        with pytest.raises(BreakerOpenError) as caught:
            breaker.admit()
        assert (caught.value.reason, caught.value.retry_after) == ("a probe is under way", 1.0)

    def test_to_isolated_for_a_while_give_no_permit_to_who_looked_before(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        breaker = bench.due()

        def isolated(*_: object) -> None:
            breaker.isolate(who="ann", why="repairs", until=bench.clock.time() + 60.0)

        monkeypatch.setattr(refusing, "_why_no_permit", isolated)
        with pytest.raises(BreakerOpenError):
            breaker.admit()
        assert breaker.snapshot().isolated

    def test_are_counted_by_what_they_led_from_and_to(self, bench: Bench) -> None:
        store = LocalStore()
        bench.store = store
        bench.due().call(bench.dependency)
        counted = {
            labels[1:]: total
            for labels, total in store.counters.totals().items()
            if labels[0] == "transitions"
        }
        assert counted == {
            ("database", "CLOSED", "OPEN"): 1,
            ("database", "OPEN", "HALF_OPEN"): 1,
            ("database", "HALF_OPEN", "CLOSED"): 1,
        }

    def test_that_change_nothing_to_see_are_not_counted(self, bench: Bench) -> None:
        store = LocalStore()
        bench.store = store
        bench.breaker().reset(who="ann", why="to be sure")
        assert [told.order for told in bench.heard] == ["reset"]
        assert not [labels for labels in store.counters.totals() if labels[0] == "transitions"]

    def test_of_who_comes_second_are_refused_with_the_first_ones_probe(self, bench: Bench) -> None:
        breaker = bench.due()
        breaker.admit()
        with pytest.raises(BreakerOpenError) as caught:
            breaker.admit()
        assert caught.value.reason == "a probe is under way"


class TestLook:
    def test_at_a_breaker_that_was_never_asked_refuses_nothing(self) -> None:
        assert CircuitBreaker().refuses() is False

    def test_at_a_breaker_in_use_refuses_nothing(self, bench: Bench) -> None:
        breaker = bench.breaker()
        breaker.call(bench.dependency)
        assert breaker.refuses() is False

    def test_of_a_command_refuses_nothing(self, bench: Bench, host_store: HostStore) -> None:
        bench.store = host_store
        breaker = bench.opened()
        assert breaker.refuses() is True
        host_store.role = "command"
        assert breaker.refuses() is False

    def test_at_an_order_that_ends_sees_it_end(self, bench: Bench) -> None:
        breaker = bench.breaker()
        breaker.isolate(who="ann", why="repairs", until=bench.clock.time() + 10.0)
        assert breaker.refuses() is True
        bench.clock.advance(10.0)
        assert breaker.refuses() is False

    def test_is_not_what_it_saw_before_a_reset(self, bench: Bench) -> None:
        breaker = bench.opened()
        for _ in range(2):
            with pytest.raises(BreakerOpenError):
                breaker.call(bench.dependency)
        breaker.reset(who="ann", why="repaired")
        assert breaker.call(bench.dependency) == "answer"


class SqlError(Exception):
    sqlstate = "57014"


class TestLastError:
    def fail(
        self, bench: Bench, breaker: CircuitBreaker, error: Exception
    ) -> tuple[str | None, float | None]:
        breaker.settle(breaker.admit(), Outcome.FAILURE, error=error)
        found = breaker.snapshot()
        return found.last_error, found.last_error_at

    def test_is_noted_once_a_second_for_each_class(self, bench: Bench) -> None:
        breaker = bench.breaker(failure_threshold=99, minimum_volume=999)
        start = bench.clock.time()
        assert self.fail(bench, breaker, ConnectionError()) == ("builtins.ConnectionError", start)
        bench.clock.advance(0.75)
        assert self.fail(bench, breaker, ConnectionError()) == ("builtins.ConnectionError", start)
        assert self.fail(bench, breaker, TimeoutError()) == ("builtins.TimeoutError", start + 0.75)
        bench.clock.advance(1.0)
        assert self.fail(bench, breaker, TimeoutError()) == ("builtins.TimeoutError", start + 1.75)

    def test_tells_the_code_that_it_has(self, bench: Bench) -> None:
        breaker = bench.breaker(failure_threshold=99, minimum_volume=999)
        refused = ConnectionRefusedError(errno.ECONNREFUSED, "no values: password")
        code = errno.ECONNREFUSED
        assert self.fail(bench, breaker, refused)[0] == f"builtins.ConnectionRefusedError {code}"
        assert self.fail(bench, breaker, SqlError())[0] == f"{SqlError.__module__}.SqlError 57014"

    def test_is_none_where_nothing_failed(self, bench: Bench) -> None:
        breaker = bench.breaker()
        breaker.settle(breaker.admit(), Outcome.IGNORED, error=ConnectionError())
        breaker.settle(breaker.admit(), Outcome.ANSWERED, error=ConnectionError())
        breaker.settle(breaker.admit(), Outcome.FAILURE)
        assert breaker.snapshot().last_error is None

    def test_is_the_breakers_last_failure_only_if_it_counted(self) -> None:
        def raises(error: Exception) -> None:
            raise error

        breaker = CircuitBreaker(expected_exception=ConnectionError, failure_threshold=3, clock=ManualClock())
        with pytest.raises(KeyError):
            breaker.call(raises, KeyError())
        assert breaker.last_failure is None
        lost = ConnectionError()
        with pytest.raises(ConnectionError):
            breaker.call(raises, lost)
        assert breaker.last_failure is lost

    def test_is_kept_by_who_measures_and_forgotten_with_a_success(self) -> None:
        breaker, lost = CircuitBreaker(failure_threshold=3), ConnectionError()
        breaker.settle(breaker.admit(), Outcome.FAILURE, error=lost)
        assert breaker.last_failure is lost
        breaker.settle(breaker.admit(), Outcome.IGNORED, error=TimeoutError())
        assert breaker.last_failure is lost
        breaker.settle(breaker.admit(), Outcome.SUCCESS)
        assert breaker.last_failure is None

    def test_that_came_late_is_not_its_last_failure(self) -> None:
        breaker = CircuitBreaker(failure_threshold=3)

        def late() -> None:
            breaker.reset()
            raise ConnectionError

        with pytest.raises(ConnectionError):
            breaker.call(late)
        assert breaker.last_failure is None


class TestMeasured:
    def test_without_a_time_is_not_slow(self, bench: Bench) -> None:
        breaker = bench.breaker(slow_after=0.5)
        breaker.settle(breaker.admit(), Outcome.SUCCESS)
        assert (breaker.snapshot().successes, breaker.snapshot().slow) == (1, 0)

    def test_not_at_all_is_no_call(self, bench: Bench) -> None:
        assert bench.breaker().calls() == {("call", "success"): 0}

    def test_in_another_way_is_told_apart(self, bench: Bench) -> None:
        bench.store = LocalStore()
        breaker = bench.breaker()
        for operation in ("connect", "connect", "query"):
            breaker.settle(breaker.admit(), Outcome.SUCCESS, operation=operation)
        breaker.call(bench.dependency)
        assert breaker.calls() == {
            ("connect", "success"): 2,
            ("query", "success"): 1,
            ("call", "success"): 1,
        }


class TestWords:
    def test_of_a_deadline(self) -> None:
        assert str(DeadlineExceededError()) == "the deadline has passed"

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            (
                {"running": 0},
                "running must be a whole number of at least 1, not 0: the bulkhead would let nothing through",
            ),
            (
                {"running": 1, "waiting": -1},
                "waiting must be a whole number of at least 0, not -1: fewer than none cannot wait",
            ),
            (
                {"running": 1, "max_wait": 0},
                "max_wait must be a number of seconds above 0, not 0: "
                "nobody could wait; use waiting=0 to say so",
            ),
        ],
    )
    def test_of_a_bulkheads_configuration(self, values: dict[str, int], message: str) -> None:
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
            BulkheadConfig(**values)
        assert str(caught.value) == message

    @pytest.mark.parametrize(
        ("field", "value", "rule", "consequence"),
        [
            (
                "failure_threshold",
                0,
                "a whole number of at least 1",
                "the breaker would open without a failure",
            ),
            ("recovery_timeout", 0, "a number of seconds above 0", "an open breaker would refuse nothing"),
            ("window", 0, "a number of seconds above 0", "no failure would ever be remembered"),
            ("minimum_volume", 0, "a whole number of at least 1", "a rate needs calls"),
            ("failure_rate", 2, "above 0 and at most 1", "it is a share of the calls"),
            ("slow_after", 0, "a number of seconds above 0", "every call would be slow"),
            (
                "half_open_max_calls",
                0,
                "a whole number of at least 1",
                "the breaker would never close, or flood a dependency that is barely up",
            ),
            (
                "half_open_max_calls",
                17,
                "at most 16",
                "the breaker would never close, or flood a dependency that is barely up",
            ),
            (
                "success_threshold",
                0,
                "a whole number of at least 1",
                "the breaker would close without a success",
            ),
            (
                "permit_timeout",
                0,
                "a number of seconds above 0",
                "a permit would lapse before its probe began",
            ),
            ("backoff", 0.5, "at least 1", "the open time would shrink in an outage"),
            ("max_open", 1, "at least recovery_timeout", "no opening could be that short"),
        ],
    )
    def test_of_a_breakers_configuration(self, field: str, value: float, rule: str, consequence: str) -> None:
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
            BreakerConfig(**{field: value})  # type: ignore[arg-type]
        assert str(caught.value) == f"{field} must be {rule}, not {value!r}: {consequence}"
