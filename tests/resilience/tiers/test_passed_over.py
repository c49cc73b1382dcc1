"""Why a tier was passed over: one of four words, counted, and logged once for a cause."""

import logging
from collections.abc import Iterator

import django.db
import pytest

from resilience import registry
from resilience.primitives import (
    BulkheadFullError,
    DeadlineExceededError,
    ManualClock,
    RejectedError,
    StoreUnavailableError,
    TierUnavailableError,
)
from resilience.testing import server_role
from resilience.tiers import passed_over
from resilience.tiers.passed_over import REASONS, note, reason_of

FULL = BulkheadFullError("read", retry_after=1.0, reason="bulkhead full")
OPEN = RejectedError("database", retry_after=30.0, reason="open")


@pytest.fixture(autouse=True)
def clock() -> Iterator[ManualClock]:
    passed_over.forget()
    with server_role(clock=ManualClock()):
        clock = registry.clock()
        assert isinstance(clock, ManualClock)
        yield clock
    passed_over.forget()


class TestReason:
    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (FULL, "busy"),
            (OPEN, "unavailable"),
            (DeadlineExceededError(), "unavailable"),
            (StoreUnavailableError("no store"), "unavailable"),
            (TierUnavailableError("nothing is stored"), "missing"),
            (TierUnavailableError("too old", reason="stale"), "stale"),
            (TierUnavailableError("damaged", reason="unavailable"), "unavailable"),
        ],
        ids=repr,
    )
    def test_is_a_word_of_the_closed_set(self, error: Exception, reason: str) -> None:
        assert reason_of(error) == reason
        assert reason in REASONS

    @pytest.mark.parametrize("error", [ValueError("a bug"), django.db.ProgrammingError("no such table")])
    def test_there_is_none_for_what_is_itself_the_answer(self, error: Exception) -> None:
        assert reason_of(error) is None


class TestNote:
    def test_counts_each_read(self) -> None:
        for _ in range(3):
            note("live", "busy", FULL)
        assert registry.store().counters.totals()["tier_passed", "live", "busy"] == 3

    def test_logs_a_cause_once_while_it_goes_on(
        self, clock: ManualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING, "resilience.tiers"):
            for _ in range(5):
                note("live", "busy", FULL)
                clock.advance(30.0)
            note("live", "unavailable", OPEN)
        said = [line.replace("resilience.primitives.errors.", "") for line in caplog.messages]
        assert said == [
            "the tier live is passed over (busy): BulkheadFullError: read: bulkhead full, try again in 1.0 s",
            "the tier live is passed over (unavailable): RejectedError: database: open, try again in 30.0 s",
        ]

    def test_logs_it_again_when_it_comes_back(
        self, clock: ManualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING, "resilience.tiers"):
            note("static", "missing", "the copy does not hold what was asked for")
            clock.advance(61.0)
            note("static", "missing", "the copy does not hold what was asked for")
        assert len(caplog.messages) == 2
