"""A fault has an end, and both its ends are written down."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.conf import LazySettings

from resilience import faults
from resilience.drills.breaking import broken
from resilience.drills.plan import Plan
from resilience.journal.files import journal
from resilience.testing import server_role

PLAN = Plan(names=["database", "cache"], kind="error", seconds=3, url="http://localhost", paths=["/a"])


@pytest.fixture(autouse=True)
def drills(settings: LazySettings) -> Iterator[None]:
    settings.RESILIENCE = settings.RESILIENCE | {"DRILLS": True}
    with server_role():
        yield


def written() -> list[tuple[str, str, str, str]]:
    entries = sorted(journal().entries(), key=lambda entry: float(entry["at"]))
    return [(one["kind"], one["breaker"], one["who"], one["data"]["phase"]) for one in entries]


class TestBroken:
    def test_lets_the_fault_lie_on_all_for_the_block_alone(self) -> None:
        with broken(PLAN, who="ada"):
            assert [faults.current(name) is not None for name in ("database", "cache", "auth")] == [1, 1, 0]
        assert [faults.current(name) for name in ("database", "cache")] == [None, None]

    def test_ends_it_when_interrupted(self) -> None:
        with pytest.raises(KeyboardInterrupt), broken(PLAN, who="ada"):
            raise KeyboardInterrupt
        assert faults.current("database") is None
        assert [phase for *_, phase in written()] == ["begins", "begins", "ends", "ends"]

    def test_ends_soon_when_nobody_renews_it(self) -> None:
        with broken(replace(PLAN, seconds=600), who="ada"):
            fault = faults.current("database")
            assert fault is not None
            assert fault.until - time.monotonic() <= 5
            assert fault.left(time.monotonic()) > 590

    def test_is_renewed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("resilience.drills.breaking._RENEW", 0.01)
        with broken(PLAN, who="ada"):
            first = faults.current("cache")
            assert first is not None
            deadline = time.monotonic() + 20
            while faults.current("cache") == first:
                assert time.monotonic() < deadline
        assert faults.current("cache") is None

    def test_leaves_other_faults_alone(self) -> None:
        faults.start("auth", "hang", lasts=60)
        with broken(PLAN, who="ada"):
            pass
        assert faults.current("auth") is not None

    def test_is_written_down(self) -> None:
        with broken(PLAN, who="ada"):
            pass
        assert ("drill", "database", "ada", "begins") in written()
        assert ("drill", "cache", "ada", "ends") in written()

    def test_is_refused_where_drills_are_off(self, settings: LazySettings) -> None:
        settings.RESILIENCE = settings.RESILIENCE | {"DRILLS": False}
        with pytest.raises(PermissionError, match="DRILLS"), broken(PLAN, who="ada"):
            pass
