"""The steward's jobs: when they run, what they are given, and what a failure costs."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError
from pytest_django import Settings

from resilience import conf
from resilience.conf import ChoreConfig
from resilience.primitives import (
    BulkheadFullError,
    DeadlineExceededError,
    LocalStore,
    ManualClock,
    current_deadline,
)
from resilience.steward.chores import Chore


class Job:
    """A job that takes its time and may fail."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.takes = 0.0
        self.error: Exception | None = None
        self.epochs: list[int] = []
        self.left: list[float] = []

    def __call__(self, epoch: int) -> None:
        self.epochs.append(epoch)
        deadline = current_deadline()
        assert deadline is not None
        self.left.append(deadline.remaining())
        self.clock.advance(self.takes)
        if self.error is not None:
            raise self.error


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def job(clock: ManualClock) -> Job:
    return Job(clock)


@pytest.fixture
def store() -> LocalStore:
    return LocalStore(role="server")


@pytest.fixture
def chore(job: Callable[[int], None], store: LocalStore, clock: ManualClock) -> Chore:
    config = ChoreConfig(name="prune", run="shop.prune", every=60.0, limit=3.0)
    return Chore(config, job, 7, store, clock)


class TestChore:
    def test_runs_with_the_epoch_of_its_lease_and_within_its_limit(self, chore: Chore, job: Job) -> None:
        chore.step()
        assert (job.epochs, job.left) == ([7], [3.0])

    def test_is_due_from_start_to_start(self, chore: Chore, job: Job) -> None:
        job.takes = 20.0
        assert chore.step() == pytest.approx(40.0)

    def test_is_due_at_once_after_a_run_that_took_longer_than_its_interval(
        self, chore: Chore, job: Job
    ) -> None:
        job.takes = 90.0
        assert chore.step() == 0.0

    def test_counts_each_failure_and_tells_the_log_once(
        self, chore: Chore, job: Job, store: LocalStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        job.error = RuntimeError("nothing to prune with")
        assert [chore.step() for _ in range(3)] == [60.0] * 3
        job.error = None
        chore.step()
        assert store.counters.totals() == {
            ("chores", "prune", "failure"): 3,
            ("chores", "prune", "success"): 1,
        }
        assert [record.message for record in caplog.records] == [
            "the chore prune failed; it is tried again",
            "the chore prune succeeds again",
        ]
        assert caplog.records[0].exc_info  # Whoever mends it wants to know where.

    @pytest.mark.parametrize(
        "error",
        [
            BulkheadFullError("read", retry_after=9.0, reason="full"),
            OperationalError("server closed the connection: host=db password=secret"),
            DeadlineExceededError("the budget is spent", before_call=True),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_has_one_line_for_an_outage_which_is_no_bug(
        self,
        chore: Chore,
        job: Job,
        store: LocalStore,
        caplog: pytest.LogCaptureFixture,
        error: Exception,
    ) -> None:
        job.error = error
        chore.step()
        chore.step()
        assert store.counters.totals() == {("chores", "prune", "failure"): 2}
        (record,) = caplog.records
        assert (record.levelname, record.exc_info) == ("WARNING", None)
        assert record.message == f"the chore prune waits for the end of an outage: {type(error).__name__}"

    def test_tells_of_a_bug_that_shows_when_an_outage_is_over(
        self, chore: Chore, job: Job, caplog: pytest.LogCaptureFixture
    ) -> None:
        for error in (OperationalError("gone"), RuntimeError("a bug"), RuntimeError("a bug")):
            job.error = error
            chore.step()
        assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]


class TestSettings:
    def test_name_each_chore(self, settings: Settings) -> None:
        settings.RESILIENCE = {
            "NAMESPACE": "shop",
            "CHORES": {"prune": {"run": "pathlib.Path", "every": 9.0}},
        }
        (found,) = conf.chores()
        assert (found.name, found.every, found.limit) == ("prune", 9.0, 5.0)
        assert found.load() is Path  # type: ignore[comparison-overlap]

    def test_refuse_a_chore_without_a_pause(self, settings: Settings) -> None:
        settings.RESILIENCE = {"NAMESPACE": "shop", "CHORES": {"prune": {"run": "pathlib.Path", "every": 0}}}
        with pytest.raises(ImproperlyConfigured, match=r"'CHORES'\]\['prune'\]: every must be above 0"):
            conf.chores()

    def test_refuse_a_chore_that_says_not_how_often(self, settings: Settings) -> None:
        settings.RESILIENCE = {"NAMESPACE": "shop", "CHORES": {"prune": {"run": "pathlib.Path"}}}
        with pytest.raises(ImproperlyConfigured, match="every"):
            conf.chores()

    def test_know_no_other_key(self, settings: Settings) -> None:
        settings.RESILIENCE = {"CHORES": {"prune": {"run": "pathlib.Path", "evry": 1.0}}}
        assert conf.unknown_keys() == ["CHORES.prune.evry"]
