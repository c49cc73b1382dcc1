"""From one record to the next: every field of what each step makes, and nothing else."""

import json
from dataclasses import replace

import pytest

from resilience.primitives import rules
from resilience.primitives.config import BreakerConfig
from resilience.primitives.rules import Outcome, Override, Permit, Record, State

CONFIG = BreakerConfig(
    failure_threshold=3, recovery_timeout=15.0, half_open_max_calls=2, success_threshold=3, window=30.0
)
ORDER = Override(isolated=False, who="ann", why="repairs", since=90.0, until=500.0)
PERMITS = (Permit(11, 150.0, 1), Permit(12, 160.0, 2))
NEW = Permit(13, 170.0, 3)
CLOSED = Record(generation=4, window=3, since=50.0, override=ORDER)
OPEN = Record(State.OPEN, 5, 3, since=80.0, until=95.0, openings=2, failures=4, override=ORDER)
HALF_OPEN = Record(
    State.HALF_OPEN, 6, 3, since=96.0, until=95.0, openings=2, failures=4, successes=1, permits=PERMITS
)
NOW = 100.0


def everybody(_: int) -> bool:
    return True


class TestCutShort:
    @pytest.mark.parametrize(
        ("took", "slow_after", "outcome"),
        [
            (1.7, 1.0, Outcome.FAILURE),
            (2.5, 1.0, Outcome.FAILURE),
            (1.69, 1.0, Outcome.SLOW),
            (1.01, 1.0, Outcome.SLOW),
            (1.0, 1.0, Outcome.IGNORED),  # as a success of that length is not slow
            (0.3, 1.0, Outcome.IGNORED),
            (1.69, None, Outcome.IGNORED),  # where no call is slow
            (1.7, None, Outcome.FAILURE),
            (1.69, 2.0, Outcome.IGNORED),
        ],
    )
    def test_counts_by_the_time_that_the_dependency_had(
        self, took: float, slow_after: float | None, outcome: Outcome
    ) -> None:
        config = replace(CONFIG, slow_after=slow_after)
        assert rules.cut_short(config, took, 1.7) is outcome


class TestTripped:
    def test_from_closed(self) -> None:
        assert rules.tripped(CLOSED, CONFIG, NOW, 3, 0.0) == Record(
            State.OPEN, 5, 3, since=NOW, until=115.0, openings=1, failures=3, override=ORDER
        )

    def test_from_half_open_forgets_its_probes(self) -> None:
        assert rules.tripped(HALF_OPEN, CONFIG, NOW, 5, 0.0) == Record(
            State.OPEN, 7, 3, since=NOW, until=115.0, openings=3, failures=5
        )


class TestClosed:
    def test_begins_a_new_window_and_keeps_an_order(self) -> None:
        assert rules.closed(OPEN, NOW) == Record(generation=6, window=6, since=NOW, override=ORDER)


class TestWithPermit:
    def test_is_not_given_before_the_open_time_is_over(self) -> None:
        assert rules.with_permit(OPEN, CONFIG, 94.9, NEW, everybody) is None

    @pytest.mark.parametrize("now", [95.0, NOW])
    def test_after_it_half_opens(self, now: float) -> None:
        half_open = rules.with_permit(replace(OPEN, successes=7), CONFIG, now, NEW, everybody)
        assert half_open == replace(
            OPEN, state=State.HALF_OPEN, generation=6, since=now, successes=0, permits=(NEW,)
        )

    def test_is_given_to_as_many_as_may_and_no_more(self) -> None:
        one = replace(HALF_OPEN, permits=PERMITS[:1])
        assert rules.with_permit(one, CONFIG, NOW, NEW, everybody) == replace(one, permits=(PERMITS[0], NEW))
        assert rules.with_permit(HALF_OPEN, CONFIG, NOW, NEW, everybody) is None

    def test_takes_the_place_of_one_that_lapsed_or_whose_holder_died(self) -> None:
        lapsed = rules.with_permit(HALF_OPEN, CONFIG, 150.0, NEW, everybody)
        assert lapsed == replace(HALF_OPEN, permits=(PERMITS[1], NEW))
        orphaned = rules.with_permit(HALF_OPEN, CONFIG, NOW, NEW, lambda process: process != 2)
        assert orphaned == replace(HALF_OPEN, permits=(PERMITS[0], NEW))

    def test_is_not_needed_while_closed(self) -> None:
        assert rules.with_permit(CLOSED, CONFIG, NOW, NEW, everybody) is None


class TestProbed:
    def test_without_its_permit_moves_nothing(self) -> None:
        assert rules.probed(HALF_OPEN, CONFIG, NOW, 99, Outcome.FAILURE, 0.0) is None

    def test_ignored_gives_the_permit_back(self) -> None:
        moved = rules.probed(HALF_OPEN, CONFIG, NOW, 11, Outcome.IGNORED, 0.0)
        assert moved == replace(HALF_OPEN, permits=PERMITS[1:])

    @pytest.mark.parametrize("outcome", [Outcome.FAILURE, Outcome.SLOW])
    def test_failed_or_slow_opens_again(self, outcome: Outcome) -> None:
        moved = rules.probed(HALF_OPEN, CONFIG, NOW, 11, outcome, 0.0)
        assert moved == rules.tripped(HALF_OPEN, CONFIG, NOW, 5, 0.0)

    @pytest.mark.parametrize("outcome", [Outcome.SUCCESS, Outcome.ANSWERED])
    def test_answered_counts_one_success_until_there_are_enough(self, outcome: Outcome) -> None:
        moved = rules.probed(HALF_OPEN, CONFIG, NOW, 11, outcome, 0.0)
        assert moved == replace(HALF_OPEN, successes=2, permits=PERMITS[1:])
        enough = replace(HALF_OPEN, successes=2)
        assert rules.probed(enough, CONFIG, NOW, 11, outcome, 0.0) == rules.closed(enough, NOW)


class TestOrdered:
    ISOLATE = ORDER._replace(isolated=True)

    @pytest.mark.parametrize("record", [CLOSED, OPEN, HALF_OPEN], ids=lambda record: record.state)
    def test_isolation_keeps_the_state_below_and_takes_the_permits(self, record: Record) -> None:
        found = rules.ordered(record, self.ISOLATE, NOW)
        assert found == replace(record, generation=record.generation + 1, permits=(), override=self.ISOLATE)

    def test_disabling_leaves_a_closed_one_as_it_is(self) -> None:
        found = rules.ordered(replace(CLOSED, override=None), ORDER, NOW)
        assert found == replace(CLOSED, generation=5)

    @pytest.mark.parametrize(
        "record", [replace(OPEN, override=None), HALF_OPEN], ids=lambda record: record.state
    )
    def test_disabling_closes_any_other(self, record: Record) -> None:
        generation = record.generation + 1
        assert rules.ordered(record, ORDER, NOW) == Record(
            generation=generation, window=generation, since=NOW, override=ORDER
        )

    def test_automatic_ends_the_order_alone(self) -> None:
        assert rules.automatic(OPEN) == replace(OPEN, generation=6, override=None)
        assert rules.automatic(HALF_OPEN) is None

    def test_reset_closes_and_ends_the_order(self) -> None:
        assert rules.reset(OPEN, NOW) == Record(generation=6, window=6, since=NOW)


class TestEncoding:
    @pytest.mark.parametrize(
        "record", [Record(), CLOSED, OPEN, HALF_OPEN], ids=["first", "closed", "open", "half"]
    )
    def test_gives_back_each_field(self, record: Record) -> None:
        carried = json.loads(json.dumps(list(rules.encode(record))))
        assert rules.decode(carried) == record

    def test_keeps_fields_apart(self) -> None:
        record = Record(State.OPEN, 1, 2, 3.0, 4.0, 5, 6, 7, PERMITS, ORDER)
        assert rules.decode(json.loads(json.dumps(list(rules.encode(record))))) == record
