"""When a silent process is wedged, and when it only starves."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from zenow.server import processor
from zenow.server.processor import Use
from zenow.server.wedged import ENDED_AFTER, EVERY, PASSED_BY_AFTER, Question, Silence


class Process:
    """A process of which each look shows what the test says; its clock is the looks."""

    def __init__(self) -> None:
        self.answers = 1
        self.beats = 1
        self.judged_by = "answers"
        self._use = Use(ran=5.0, busy={})
        self.silence = Silence(1, look=lambda _: self._use)
        self.look()

    def look(self) -> None:
        self.silence.look({"answers": self.answers, "beats": self.beats}, self.judged_by, EVERY)

    def spends(self, seconds: float, ran: float = 0.0, busy: dict[str, int] | None = None) -> None:
        """Answer nothing for so long; between two looks it runs for `ran` seconds."""
        for _ in range(round(seconds / EVERY)):
            self._use = Use(ran=self._use.ran + ran, busy=busy or {})
            self.look()

    def answers_once(self) -> None:
        self.answers += 1
        self.look()

    def is_wedged(self) -> bool:
        return self.silence.is_wedged(PASSED_BY_AFTER)


class TestSilence:
    """Of the kind: processor time of all amounts, threads that wake and sleep, signs of either kind."""

    def test_is_wedged_when_it_uses_no_processor(self) -> None:
        process = Process()
        process.spends(PASSED_BY_AFTER - EVERY)
        assert not process.is_wedged()
        process.spends(EVERY)
        assert process.is_wedged()
        assert not process.silence.is_wedged(ENDED_AFTER)

    def test_is_wedged_when_it_uses_all_of_one(self) -> None:
        process = Process()
        process.spends(PASSED_BY_AFTER + EVERY, EVERY, {"1": 7})
        assert process.is_wedged()

    @pytest.mark.parametrize("share", [0.0, 0.02, 0.2])
    def test_is_not_when_a_thread_wants_a_processor_and_gets_little_of_it(self, share: float) -> None:
        process = Process()
        process.spends(7.5, EVERY * share, {"1": 7})
        assert not process.is_wedged()

    def test_is_wedged_when_threads_wake_only_to_sleep_again(self) -> None:
        """As those do that wait for the interpreter's lock: each look finds some of them awake."""
        process = Process()
        for switches in range(30):
            process.spends(EVERY, EVERY * 0.05, {"1": switches, "2": switches})
        assert process.silence.is_wedged(ENDED_AFTER)

    def test_begins_again_with_each_answer(self) -> None:
        process = Process()
        process.spends(ENDED_AFTER)
        process.answers_once()
        assert not process.is_wedged()
        process.spends(PASSED_BY_AFTER - EVERY)
        assert not process.is_wedged()

    def test_goes_on_when_it_is_judged_by_another_sign_that_does_not_come_either(self) -> None:
        """As when its server is being replaced: for a while nobody knows who was asked."""
        process = Process()
        process.beats += 100  # since it was judged by them last
        process.spends(PASSED_BY_AFTER)
        process.judged_by = "beats"
        process.spends(ENDED_AFTER - PASSED_BY_AFTER)
        assert process.silence.is_wedged(ENDED_AFTER)

    def test_begins_again_with_a_sign_of_the_kind_that_it_is_judged_by(self) -> None:
        process = Process()
        process.spends(PASSED_BY_AFTER)
        process.judged_by = "beats"
        process.beats += 1
        process.look()
        assert not process.is_wedged()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


class TestProcessor:
    def test_tells_a_stopped_process(self, sleeper: subprocess.Popen[bytes]) -> None:
        assert not processor.is_stopped(sleeper.pid)
        os.kill(sleeper.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, sleeper.pid, os.WSTOPPED)
        assert processor.is_stopped(sleeper.pid)

    def test_tells_who_runs(self) -> None:
        before, me = processor.look(os.getpid()), str(os.getpid())
        after = processor.look(os.getpid())
        assert before is not None
        assert after is not None
        assert me in after.busy
        assert after.ran >= before.ran > 0

    def test_knows_nothing_of_a_process_that_has_ended(self, sleeper: subprocess.Popen[bytes]) -> None:
        sleeper.kill()
        sleeper.wait()
        assert processor.look(sleeper.pid) is None
        assert not processor.is_stopped(sleeper.pid)


class TestQuestion:
    def test_is_put_again_once_it_is_answered_or_may_be_lost(self) -> None:
        asked: list[socket.socket] = []

        def connect() -> socket.socket:
            mine, other = socket.socketpair()
            mine.setblocking(False)
            asked.append(other)
            return mine

        question = Question(connect, b"are you there?")
        assert question.put()
        assert question.put()
        assert len(asked) == 1
        assert asked[0].recv(100) == b"are you there?"
        asked[0].send(b"yes")
        assert question.answers == 0
        assert question.put()
        assert question.answers == 1
        assert len(asked) == 2
        for _ in range(4):
            question.put()
        assert len(asked) == 3
        question.drop()
        for each in asked:
            each.close()

    def test_says_when_it_cannot_be_put(self) -> None:
        def refuse() -> socket.socket:
            raise OSError("no such address")

        assert not Question(refuse, b"?").put()
