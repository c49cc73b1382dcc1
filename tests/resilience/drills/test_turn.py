"""One drill at a time; and nobody is cut off in the middle of ending one."""

import os
import signal
from pathlib import Path

import pytest
from django.conf import LazySettings

from resilience.drills.turn import noted, turn


@pytest.fixture(autouse=True)
def directory(settings: LazySettings, tmp_path: Path) -> None:
    settings.RESILIENCE = settings.RESILIENCE | {"DIR": str(tmp_path)}


class TestTurn:
    def test_is_one_drill_s_alone(self) -> None:
        with turn("ada"):
            with pytest.raises(RuntimeError, match=r"under way, by ada \(pid \d+\)"), turn("grace"):
                pass
            with pytest.raises(RuntimeError, match="by ada"), turn("grace"):
                pass
        with turn("grace"):
            pass

    def test_ends_with_its_process(self, tmp_path: Path) -> None:
        child = os.fork()
        if child == 0:
            with turn("ada"):
                os.kill(os.getpid(), signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        assert "ada" in (tmp_path / "drill").read_text()
        with turn("grace"):
            assert "grace" in (tmp_path / "drill").read_text()


class TestNoted:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_cuts_nobody_off(self, number: signal.Signals) -> None:
        before = signal.getsignal(number)
        with noted() as halt:
            assert not halt.is_set()
            for _ in range(3):
                os.kill(os.getpid(), number)
            assert halt.wait(10)
        assert signal.getsignal(number) is before
