"""What is a process's own trouble, by the errors that libraries really raise when a process lacks something.

The kind: no descriptors (of the process or the system), no memory, no thread, no port, no processor, and a
limit that the process has set itself; met by a socket, a look-up of names, libpq, SQLite, redis-py, urllib3
and requests, whichever way each of them wraps the system's error or hides it.
"""

import errno
import os
import socket
import sqlite3
import subprocess
import sys

import pytest

from resilience.primitives import (
    BreakerConfig,
    BreakerOpenError,
    CircuitBreaker,
    DeadlineExceededError,
    LocalStore,
    Outcome,
    own_trouble,
)
from tests.starving import no_descriptors


class DriversError(Exception):
    """As psycopg's: `sqlstate` is None where the server said nothing."""

    sqlstate: str | None = None


class PoolFullError(Exception):
    """A limit that the process has set itself."""

    own_trouble = "connections"


class ServersError(DriversError):
    sqlstate = "53200"


def wrapped(error: BaseException, *layers: type[Exception]) -> BaseException:
    """Return an error that was raised from `error`, through as many layers."""
    for layer in layers:
        outer = layer(str(error))
        outer.__cause__ = error
        error = outer
    return error


def in_context(error: BaseException) -> BaseException:
    """Return an error that was raised while `error` was handled, as redis-py does it."""
    outer = ConnectionError("Error 24 connecting to cache:6379.")
    outer.__context__ = error
    return outer


class RetriedError(Exception):
    """As urllib3's MaxRetryError."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__("Max retries exceeded")
        self.reason = reason


LACKING = [
    (OSError(errno.EMFILE, "Too many open files"), "descriptors"),
    (OSError(errno.ENFILE, "Too many open files in system"), "descriptors"),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory"),
    (OSError(errno.ENOBUFS, "No buffer space available"), "memory"),
    (OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"), "ports"),
    (socket.gaierror(socket.EAI_MEMORY, "Memory allocation failure"), "memory"),
    (MemoryError(), "memory"),
    (RuntimeError("can't start new thread"), "threads"),
    (DriversError("connection failed: could not create socket: Too many open files"), "descriptors"),
    (DriversError('connection to "db" failed: Cannot assign requested address\n\tIs it up?'), "ports"),
    (DriversError("out of memory"), "memory"),
    (PoolFullError(), "connections"),
    (wrapped(OSError(errno.EMFILE, "Too many"), ConnectionError, ValueError), "descriptors"),
    (in_context(OSError(errno.EMFILE, "Too many open files")), "descriptors"),
    (ConnectionError(RetriedError(OSError(errno.EMFILE, "Too many open files"))), "descriptors"),
]
SERVERS = [
    ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
    ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
    OSError(errno.EHOSTUNREACH, "No route to host"),
    OSError(errno.EAGAIN, "Resource temporarily unavailable"),  # the queue of a server's socket is full
    OSError(errno.ENOSPC, "No space left on device"),
    TimeoutError(),
    socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    RuntimeError("cannot schedule new futures after shutdown"),
    ServersError("out of memory"),
    DriversError("FATAL:  out of memory"),
    DriversError("could not fork new process for connection: Cannot allocate memory"),
    DriversError("connection is bad: no error details available"),
    DeadlineExceededError(),
    BreakerOpenError(CircuitBreaker(), "database", 1.0, "open"),
]


class TestOwnTrouble:
    @pytest.mark.parametrize(("error", "lacked"), LACKING)
    def test_names_what_is_lacking(self, error: BaseException, lacked: str) -> None:
        assert own_trouble(error) == lacked

    @pytest.mark.parametrize("error", SERVERS)
    def test_blames_nobody_else_s_failure_on_this_process(self, error: BaseException) -> None:
        assert own_trouble(error) is None

    def test_is_not_that_of_an_earlier_call_whose_error_was_put_away(self) -> None:
        error = ConnectionRefusedError()
        error.__context__ = OSError(errno.EMFILE, "Too many open files")
        error.__suppress_context__ = True

        assert own_trouble(error) is None

    def test_is_none_of_a_call_that_another_breaker_refused(self) -> None:
        refusal = BreakerOpenError(CircuitBreaker(), "database", 1.0, "open")
        refusal.__context__ = OSError(errno.EMFILE, "Too many open files")

        assert own_trouble(refusal) is None

    def test_ends_on_errors_that_hold_each_other(self) -> None:
        one, other = ValueError(), ValueError()
        one.__cause__, other.__cause__ = other, one

        assert own_trouble(one) is None

    def test_of_sqlite_is_told_by_its_code(self) -> None:
        error = sqlite3.OperationalError("out of memory")
        for code in (sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_IOERR_NOMEM):
            error.sqlite_errorcode = code
            assert own_trouble(error) == "memory"
        for code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_CORRUPT):
            error.sqlite_errorcode = code
            assert own_trouble(error) is None

    def test_of_an_error_without_a_cause_is_that_nothing_can_be_opened(self) -> None:
        error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        with no_descriptors():
            assert own_trouble(error) == "descriptors"
        assert own_trouble(error) is None

    def test_without_descriptors_is_seen_where_the_libraries_tell_no_cause(self) -> None:
        """libpq, SQLite and the look-up of a name, in a process that can open nothing more."""
        told = subprocess.run([sys.executable, "-c", STARVED], capture_output=True, text=True, check=True)

        assert told.stdout.split() == ["descriptors"] * 6, told.stdout


# Each line: what a library raises, and the word for it. What must be imported is, before nothing opens.
STARVED = """
import os, resource, socket, sqlite3
import encodings.idna, psycopg, redis, requests
from resilience.primitives import own_trouble
opened = []
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, most))
try:
    while True:
        opened.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
for ask in (
    lambda: socket.getaddrinfo("localhost", 80),
    lambda: psycopg.connect("host=127.0.0.1 port=1 user=x"),
    lambda: psycopg.connect("host=localhost port=1 user=x"),
    lambda: sqlite3.connect("/tmp/never-made.sqlite3").execute("SELECT 1"),
    lambda: redis.Redis(host="127.0.0.1", port=1).get("k"),
    lambda: requests.get("http://127.0.0.1:1/"),
):
    try:
        ask()
    except Exception as error:
        print(own_trouble(error))
"""


class TestBreaker:
    """Whatever guards a call by a breaker: the error moves nothing, and is counted and said."""

    @pytest.fixture
    def breaker(self) -> CircuitBreaker:
        return CircuitBreaker(name="stock", config=BreakerConfig(failure_threshold=3), store=LocalStore())

    @pytest.mark.parametrize(("error", "lacked"), LACKING)
    def test_is_not_moved_by_it(self, breaker: CircuitBreaker, error: BaseException, lacked: str) -> None:
        def call() -> None:
            raise error

        for _ in range(10):
            with pytest.raises(type(error)):
                breaker.execute(call)
            with pytest.raises(type(error)), breaker:
                call()
            breaker.settle(breaker.admit(), Outcome.FAILURE, error=error, operation="query")
        found = breaker.snapshot()

        assert (found.state, found.failures) == ("CLOSED", 0)
        assert breaker._host.store.counters.totals()["own_trouble", "stock", lacked] == 30

    def test_says_once_what_is_lacking_and_why(
        self, breaker: CircuitBreaker, caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(10):
            error = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            breaker.settle(breaker.admit(), Outcome.FAILURE, error=error)
        (said,) = [record.getMessage() for record in caplog.records if "trouble" in record.getMessage()]

        assert "stock is not blamed" in said
        assert "descriptors" in said
        assert "OSError 24" in said

    def test_opens_by_failures_of_the_dependency_in_between(self, breaker: CircuitBreaker) -> None:
        for _ in range(3):
            breaker.settle(breaker.admit(), Outcome.FAILURE, error=OSError(errno.EMFILE, "Too many"))
            breaker.settle(breaker.admit(), Outcome.FAILURE, error=ConnectionRefusedError())

        assert breaker.shown() == "OPEN"

    def test_gives_the_permit_of_a_probe_back(self) -> None:
        config = BreakerConfig(failure_threshold=1, recovery_timeout=0.001)
        breaker = CircuitBreaker(name="stock", config=config, store=LocalStore())
        breaker.settle(breaker.admit(), Outcome.FAILURE, error=ConnectionRefusedError())
        while breaker.refuses():
            pass
        breaker.settle(breaker.admit(), Outcome.FAILURE, error=MemoryError())
        assert breaker.shown() == "HALF_OPEN"
        breaker.settle(breaker.admit(), Outcome.SUCCESS)

        assert breaker.shown() == "CLOSED"
