"""A chain asks its tiers in order; the answer says who gave it and why the others did not."""

import gc
import weakref
from collections.abc import Callable

import pytest

from resilience.primitives.chain import Answer, Chain, NoTierAnsweredError, Tier, TierUnavailableError
from resilience.primitives.errors import BulkheadFullError, DeadlineExceededError


def answers(value: str) -> Callable[[], str]:
    return lambda: value


def raises(error: Exception) -> Callable[[], str]:
    def run() -> str:
        raise error

    return run


def full() -> BulkheadFullError:
    return BulkheadFullError("read", retry_after=1.0, reason="bulkhead full")


class TestRun:
    def test_the_first_tier_that_answers_is_the_source(self) -> None:
        chain = Chain([Tier("live", answers("a")), Tier("static", raises(AssertionError()))])
        assert chain.run() == Answer(source="live", value="a", passed_over=())

    def test_a_tier_that_cannot_answer_is_passed_over_with_its_reason(self) -> None:
        chain = Chain(
            [
                Tier("live", raises(full())),
                Tier("cached", raises(TierUnavailableError("nothing stored"))),
                Tier("static", answers("b")),
            ]
        )
        assert chain.run() == Answer(
            source="static",
            value="b",
            passed_over=(("live", "bulkhead full"), ("cached", "nothing stored")),
        )

    def test_a_spent_deadline_passes_to_the_next_tier(self) -> None:
        chain = Chain([Tier("live", raises(DeadlineExceededError("2.0 s"))), Tier("static", answers("b"))])
        assert chain.run().passed_over == (("live", "deadline exceeded"),)

    def test_each_tier_gets_the_arguments(self) -> None:
        def double(number: int, *, plus: int) -> int:
            return 2 * number + plus

        assert Chain([Tier("live", double)]).run(3, plus=1).value == 7

    def test_none_is_an_answer(self) -> None:
        assert Chain([Tier("live", lambda: None)]).run().source == "live"

    def test_an_error_that_is_itself_the_answer_is_raised(self) -> None:
        mistake = KeyError("unknown field")
        with pytest.raises(KeyError) as caught:
            Chain([Tier("live", raises(mistake)), Tier("static", answers("b"))]).run()
        assert caught.value is mistake

    def test_what_passes_can_be_said_by_the_caller(self) -> None:
        chain = Chain(
            [Tier("live", raises(OSError())), Tier("static", answers("b"))],
            passes=lambda error: "connection lost" if isinstance(error, OSError) else None,
        )
        assert chain.run().passed_over == (("live", "connection lost"),)

    def test_an_empty_reason_is_a_reason(self) -> None:
        chain = Chain([Tier("live", raises(OSError())), Tier("static", answers("b"))], passes=lambda _: "")
        assert chain.run().passed_over == (("live", ""),)

    def test_an_interrupt_is_never_passed_over(self) -> None:
        def interrupted() -> str:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            Chain([Tier("live", interrupted), Tier("static", answers("b"))], passes=lambda _: "any").run()

    def test_lets_go_of_the_error_that_it_passed_over(self) -> None:
        class Connection:
            pass

        connection = Connection()
        alive = weakref.ref(connection)

        def lost(connection: Connection) -> str:
            raise TierUnavailableError("lost")

        chain = Chain([Tier("live", lost), Tier("static", lambda _: "b")])
        gc.disable()
        try:
            chain.run(connection)
            del connection
            assert alive() is None
        finally:
            gc.enable()


class TestExhausted:
    def test_says_why_each_tier_was_passed_over_and_names_the_first_error(self) -> None:
        first = full()
        chain = Chain(
            [Tier("live", raises(first)), Tier("mock", raises(TierUnavailableError("not in DEBUG")))]
        )
        with pytest.raises(NoTierAnsweredError) as caught:
            chain.run()
        assert caught.value.passed_over == (("live", "bulkhead full"), ("mock", "not in DEBUG"))
        assert str(caught.value) == "no tier answered: live: bulkhead full; mock: not in DEBUG"
        assert caught.value.__cause__ is first


class TestTiers:
    def test_none_at_all_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"^tiers must not be empty: nothing could ever answer$"):
            Chain([])

    def test_two_of_one_name_are_refused(self) -> None:
        with pytest.raises(
            ValueError,
            match=r"^tiers must have names of their own, not \['live', 'live'\]: reasons would be ",
        ):
            Chain([Tier("live", answers("a")), Tier("live", answers("b"))])

    def test_stand_in_the_order_given(self) -> None:
        tiers = [Tier("live", answers("a")), Tier("cached", answers("b"))]
        assert Chain(tiers).tiers == tuple(tiers)
