"""A drill breaks what it says, for as long as it says, and nothing at all where drills are off."""

import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from resilience import faults, registry
from resilience.primitives import deadline_scope
from resilience.testing import server_role
from tests.resilience.wire import taking_at_most


class RefusedError(Exception):
    """What this client would raise for a server that refuses."""


class SilentError(Exception):
    """What it would raise for one that stays silent."""


def inject(limit: float | None = None) -> None:
    faults.inject("database", limit=limit, error=RefusedError, timeout=SilentError)


@pytest.fixture
def drills(settings: Any) -> Iterator[None]:
    settings.RESILIENCE = settings.RESILIENCE | {"DRILLS": True}
    with server_role():
        yield


@pytest.mark.usefixtures("drills")
class TestInject:
    def test_does_nothing_while_there_is_no_fault(self) -> None:
        inject()

    def test_does_nothing_to_another_dependency(self) -> None:
        faults.start("cache", "error", lasts=60)

        inject()

    def test_does_nothing_where_drills_are_off(self, settings: Any) -> None:
        faults.start("database", "error", lasts=60)
        settings.RESILIENCE = settings.RESILIENCE | {"DRILLS": False}

        inject()

    def test_refuses_as_the_client_would(self) -> None:
        faults.start("database", "error", lasts=60)

        with pytest.raises(RefusedError, match="a drill"):
            inject()

    def test_raises_what_python_would_where_the_client_says_nothing(self) -> None:
        faults.start("database", "error", lasts=60)

        with pytest.raises(ConnectionError):
            faults.inject("database")

    @pytest.mark.parametrize("kind", faults.REAL)
    def test_lets_calls_pass_to_a_server_that_is_broken_itself(self, kind: str) -> None:
        faults.start("database", kind, lasts=60)

        inject()

    def test_counts_the_calls_that_it_hits(self) -> None:
        faults.start("cache", "error", lasts=60)
        inject()
        faults.start("database", "latency", lasts=60, seconds=0.01)
        inject()
        inject()
        assert (faults.hits("database"), faults.hits("cache")) == (2, 0)

    def test_hits_its_share_of_calls(self, monkeypatch: pytest.MonkeyPatch) -> None:
        faults.start("database", "error", lasts=60, share=0.25)
        draws = iter([0.9, 0.24, 0.25])
        monkeypatch.setattr(random, "random", lambda: next(draws))

        inject()
        with pytest.raises(RefusedError):
            inject()
        inject()

    def test_delays_an_answer(self) -> None:
        faults.start("database", "latency", lasts=60, seconds=0.05)
        started = time.monotonic()

        inject(limit=1.0)

        assert time.monotonic() - started >= 0.05

    def test_of_a_delay_beyond_its_patience_the_client_gives_up(self) -> None:
        faults.start("database", "latency", lasts=60, seconds=30)

        with taking_at_most(0.3), pytest.raises(SilentError):
            inject(limit=0.05)

    def test_hangs_until_the_client_gives_up(self) -> None:
        faults.start("database", "hang", lasts=60)

        with taking_at_most(0.3), pytest.raises(SilentError):
            inject(limit=0.05)

    def test_hangs_until_the_deadline(self) -> None:
        faults.start("database", "hang", lasts=60)

        with deadline_scope(0.05), taking_at_most(0.3), pytest.raises(SilentError):
            inject()

    def test_hangs_until_the_fault_ends_by_itself(self) -> None:
        faults.start("database", "hang", lasts=0.05)

        with taking_at_most(0.5):
            inject(limit=5.0)

    def test_hangs_until_somebody_ends_the_drill(self) -> None:
        faults.start("database", "hang", lasts=60)
        thread = threading.Thread(target=inject)
        thread.start()

        faults.stop("database")

        thread.join(1.0)
        assert not thread.is_alive()

    def test_flaps_between_down_and_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = 1_000.0
        monkeypatch.setattr(faults, "monotonic", lambda: now)
        faults.start("database", "flap", lasts=60, seconds=2)

        for moment, down in [
            (1_000.0, True),
            (1_001.9, True),
            (1_002.0, False),
            (1_003.9, False),
            (1_004.0, True),
        ]:
            now = moment
            if down:
                with pytest.raises(RefusedError):
                    inject()
            else:
                inject()

    def test_ends_with_the_fault(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = 1_000.0
        monkeypatch.setattr(faults, "monotonic", lambda: now)
        faults.start("database", "error", lasts=60)
        now = 1_060.0

        inject()
        assert faults.current("database") is None


@pytest.mark.usefixtures("drills")
class TestStart:
    def test_tells_what_it_started(self) -> None:
        fault = faults.start("cache", "latency", lasts=60, share=0.5, seconds=2)

        assert faults.current("cache") == fault
        assert (fault.kind, fault.share, fault.seconds) == ("latency", 0.5, 2)

    def test_replaces_the_fault_of_before(self) -> None:
        faults.start("cache", "latency", lasts=60)
        faults.start("cache", "error", lasts=60)

        fault = faults.current("cache")
        assert fault is not None
        assert fault.kind == "error"

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"kind": "explode"}, "kind must be one of error, latency, hang, flap"),
            ({"lasts": 0.0}, "lasts must be above 0"),
            ({"lasts": float("inf")}, "lasts must be .* at most 3600"),
            ({"lasts": float("nan")}, "lasts"),
            ({"share": 1.1}, "share must be .* at most 1"),
            ({"share": 0}, "share must be above 0"),
            ({"seconds": -1.0}, "seconds must be above 0"),
        ],
    )
    def test_refuses_what_makes_no_sense_or_has_no_end(self, wrong: dict[str, Any], said: str) -> None:
        with pytest.raises(ValueError, match=said):
            faults.start("cache", **{"kind": "error", "lasts": 60.0, **wrong})
        assert faults.current("cache") is None

    def test_is_refused_where_drills_are_off(self, settings: Any) -> None:
        settings.RESILIENCE = settings.RESILIENCE | {"DRILLS": False}

        with pytest.raises(PermissionError, match="DRILLS"):
            faults.start("cache", "error", lasts=60)

    def test_says_when_the_store_is_busy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registry.store().faults, "put", lambda *args: False)

        with pytest.raises(RuntimeError, match="busy"):
            faults.start("cache", "error", lasts=60)


@pytest.mark.usefixtures("drills")
class TestStop:
    def test_ends_one_or_all(self) -> None:
        for name in ("database", "cache", "auth"):
            faults.start(name, "error", lasts=60)

        faults.stop("cache")
        assert faults.current("cache") is None
        assert faults.current("database") is not None

        faults.stop()
        assert faults.current("database") is None
        assert faults.current("auth") is None
