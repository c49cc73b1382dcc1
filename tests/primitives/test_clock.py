"""Time is an argument."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from resilience.primitives import SYSTEM_CLOCK, ManualClock
from resilience.primitives.clock import iso


class TestManualClock:
    def test_stands_still_until_it_is_advanced(self) -> None:
        clock = ManualClock(10.0, wall=500.0)
        assert (clock.monotonic(), clock.time()) == (10.0, 500.0)
        clock.advance(2.5)
        assert (clock.monotonic(), clock.time()) == (12.5, 502.5)

    def test_does_not_go_back(self) -> None:
        with pytest.raises(ValueError, match="does not go back"):
            ManualClock().advance(-0.1)

    def test_is_set_as_wall_clocks_are(self) -> None:
        clock = ManualClock(10.0, wall=500.0)
        clock.step(-60.0)
        clock.advance(1.0)
        assert (clock.monotonic(), clock.time()) == (11.0, 441.0)


class TestSystemClock:
    def test_is_the_one_all_processes_of_a_boot_share(self) -> None:
        before = time.clock_gettime(time.CLOCK_MONOTONIC)
        assert before <= SYSTEM_CLOCK.monotonic() <= time.clock_gettime(time.CLOCK_MONOTONIC)
        assert SYSTEM_CLOCK.time() == pytest.approx(time.time(), abs=1)


class TestIso:
    @pytest.mark.parametrize(
        "at", [1_700_000_000.9, datetime(2023, 11, 14, 23, 13, 20, 900_000, timezone(timedelta(hours=1)))]
    )
    def test_is_in_utc_and_leaves_out_what_lies_below_a_second(self, at: float | datetime) -> None:
        assert iso(at) == "2023-11-14T22:13:20Z"

    def test_has_as_many_digits_as_are_asked_for(self) -> None:
        assert iso(datetime(2023, 11, 14, 22, 13, 20, 900_000, UTC), "auto") == "2023-11-14T22:13:20.900000Z"
