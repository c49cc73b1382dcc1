"""Nobody waits for the log's reader: what finds no room is dropped, counted, and said when it flows again.

Of the kind: a reader that stops, that goes away, that is slow; a full disk; a pipe that another program has
made non-blocking; a fork while lines wait; the end of the process, also while nobody reads; what writes past
`logging`: warnings, tracebacks, `print`; handlers that were configured before, and those that come later.
"""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from resilience import registry
from resilience.observe.logs import QueuedStream
from resilience.testing import server_role

ROOT = Path(__file__).parents[3]
Log = Callable[[QueuedStream], logging.Logger]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


@pytest.fixture
def log() -> Iterator[Log]:
    """Make a logger that writes into this stream alone; what `resilience.logs` says goes there too."""
    loggers = [logging.getLogger(name) for name in ("tests.logs", "resilience.logs")]

    def make(stream: QueuedStream) -> logging.Logger:
        for logger in loggers:
            logger.handlers[:] = [logging.StreamHandler(stream)]
        return loggers[0]

    loggers[0].setLevel(logging.INFO)
    for logger in loggers:
        logger.propagate = False
    yield make
    for logger in loggers:
        logger.handlers.clear()
        logger.propagate = True


def read(descriptor: int, ends: bytes) -> list[str]:
    """Return the lines up to the one that ends so."""
    found = b""
    while not found.endswith(ends + b"\n"):
        piece = os.read(descriptor, 65_536)
        assert piece, found[-200:]
        found += piece
    return found.decode().splitlines()


def ran(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


class TestAReaderThatStops:
    def test_keeps_nobody_and_what_it_missed_is_counted_and_said(
        self, pipe: tuple[int, int], log: Log
    ) -> None:
        reader, writer = pipe
        with server_role():
            logger = log(QueuedStream(writer, room=20_000))

            def many(name: int) -> None:
                for number in range(500):
                    logger.info("%d %d %s", name, number, "x" * 200)

            threads = [threading.Thread(target=many, args=(name,)) for name in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            assert not any(thread.is_alive() for thread in threads)
            dropped = registry.store().counters.totals()["dropped", "log_lines"]
            lines: list[str] = []
            told = 0
            while told < dropped:
                for line in read(reader, b""):
                    if "of this log are missing" in line:
                        told += int(line.split()[0])
                    else:
                        lines.append(line)
        assert told == dropped
        assert len(lines) + dropped == 4_000
        for name in range(8):  # each writer's lines in its order
            own = [int(line.split()[1]) for line in lines if line.startswith(f"{name} ")]
            assert own == sorted(own)

    def test_does_not_hold_up_the_end_of_the_process(self) -> None:
        code = (
            "import sys; from resilience.observe import logs; logs.unblock()\n"
            "for n in range(2000): print('x' * 200); print('x' * 200, file=sys.stderr)"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.wait(30) == 0
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


class TestWhatCannotBeWritten:
    @pytest.mark.parametrize("trouble", ["full", "closed"])
    def test_is_counted_and_said_when_it_can_be_again(self, trouble: str, log: Log) -> None:
        if trouble == "full":
            descriptor = os.open("/dev/full", os.O_WRONLY)
        else:
            gone, descriptor = os.pipe()
            os.close(gone)
        stream = QueuedStream(descriptor)
        with server_role():
            logger = log(stream)
            for number in range(5):
                logger.info("line %d", number)
            stream.drain(30)
            assert registry.store().counters.totals()["dropped", "log_lines"] == 5
            reader, writer = os.pipe()
            os.dup2(writer, descriptor)
            logger.info("line 5")
            assert read(reader, b"too slow") == [
                "line 5",
                "5 lines of this log are missing: its reader or disk was too slow",
            ]
        for one in (reader, writer, descriptor):
            os.close(one)

    def test_waits_for_a_pipe_that_does_not_block(self, pipe: tuple[int, int], log: Log) -> None:
        reader, writer = pipe
        os.set_blocking(writer, False)
        logger = log(QueuedStream(writer))
        for number in range(2_000):
            logger.info("%d %s", number, "x" * 100)
        logger.info("the end")
        assert len(read(reader, b"the end")) == 2_001


class TestAWriteInTheMiddleOfAWrite:
    """By a signal's handler, or by the finalizer of what is collected just then, in the same thread."""

    def test_waits_for_nobody(self) -> None:
        code = """
import sys, threading
from resilience.observe import logs
logs.unblock()

def also(frame, event, _):
    if event == "call" and frame.f_code is threading.Thread.__init__.__code__:
        print("in the middle")

sys.setprofile(also)
print("a line")
sys.setprofile(None)
"""
        assert sorted(ran(code).stdout.split("\n")) == ["", "a line", "in the middle"]


class TestTheEnd:
    def test_of_a_process_comes_after_its_last_line(self) -> None:
        code = (
            "import logging; from resilience.observe import logs; logs.unblock()\n"
            "logging.basicConfig(level='INFO')\n"
            "for n in range(2000): logging.info('line %d', n)"
        )
        assert ran(code).stderr.count("line ") == 2_000


class TestAFork:
    def test_starts_with_nothing_of_its_parents(self, pipe: tuple[int, int], log: Log) -> None:
        reader, writer = pipe
        stream = QueuedStream(writer)
        logger = log(stream)
        for number in range(1_000):
            logger.info("parent %d %s", number, "x" * 200)
        child = os.fork()
        if not child:
            logger.info("child")
            stream.drain(30)
            os._exit(0)
        with ThreadPoolExecutor(1) as pool:  # The pipe is full: the child ends only while somebody reads.
            got = pool.submit(read, reader, b"the end")
            os.waitpid(child, 0)
            logger.info("the end")  # after all that the child has to say
            lines = got.result()
        assert len([line for line in lines if line.startswith("parent")]) == 1_000
        assert lines.count("child") == 1


class TestAServer:
    CODE = """
import logging, sys, threading, warnings, django
early = logging.StreamHandler()
logging.getLogger("early").addHandler(early)
django.setup()
from resilience.observe.logs import QueuedStream
print([type(one) is QueuedStream for one in (early.stream, sys.stdout, sys.stderr)])
warnings.warn("a warning")
print("a word", file=sys.stderr)
thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()
logging.getLogger("early").error("an early line")
logging.getLogger("learn").error("a line")
"""

    SITE = {
        "DJANGO_SETTINGS_MODULE": "zenow.settings.base",
        "SECRET_KEY": "only-for-tests-" + "0123456789" * 5,
        "ALLOWED_HOSTS": "localhost",
        "DATABASE_URL": "sqlite://:memory:",
    }

    def test_queues_whatever_python_writes(self) -> None:
        ended = ran(self.CODE, RESILIENCE_ROLE="server", **self.SITE)
        assert ended.stdout == "[True, True, True]\n"
        for said in ("a warning", "a word", "ZeroDivisionError", "an early line", '"a line"'):
            assert said in ended.stderr

    def test_a_command_is_left_as_it_is(self) -> None:
        assert ran(self.CODE, **self.SITE).stdout == "[False, False, False]\n"

    def test_it_needs_no_django(self) -> None:
        code = "import sys, resilience.observe.logs; print('django' in sys.modules)"
        assert ran(code).stdout == "False\n"
