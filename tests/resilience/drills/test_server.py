"""A pid file leads to a server or to a refusal; who was stopped goes on, whatever becomes of the drill."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resilience.drills import freezer
from resilience.drills.freezer import below, stat_of
from resilience.drills.server import LocalServer, PidFileError, found

# Far longer than anything here takes, however busy the machine is.
_LONG = 50.0


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def states(pids: list[int]) -> list[str]:
    return [(stat_of(pid) or ["gone"])[0] for pid in pids]


def stopped(pids: list[int]) -> bool:
    return set(states(pids)) == {"T"}


def running(pids: list[int]) -> bool:
    return not {"T", "Z", "gone"} & set(states(pids))


def program(folder: Path, name: str) -> Path:
    """Make a program of this name that has two children, and a grandchild."""
    path = folder / name
    path.write_text("#!/bin/sh\nsleep 600 & (sleep 600; true) & wait\n")
    path.chmod(0o755)
    return path


def started(path: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([path], start_new_session=True)
    wait_until(lambda: len(below(process.pid)) == 3)
    return process


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Something that is called as a server is."""
    process = started(program(tmp_path, "redis-server"))
    pids = [process.pid, *below(process.pid)]
    yield process
    for pid in pids:
        if states([pid]) != ["gone"]:
            os.kill(pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def pid_file(tmp_path: Path, redis: subprocess.Popen[bytes]) -> Path:
    path = tmp_path / "redis.pid"
    path.write_text(f"{redis.pid}\n/var/lib/redis\n6379\n")
    return path


@pytest.fixture
def held(pid_file: Path) -> Iterator[LocalServer]:
    server = found("cache", pid_file)
    yield server
    server.close()


class TestFound:
    def test_is_the_server_of_the_first_line(self, held: LocalServer, redis: subprocess.Popen[bytes]) -> None:
        assert (held.pid, held.program, held.running) == (redis.pid, "redis-server", True)

    def test_is_none_of_another_dependency(self, pid_file: Path) -> None:
        with pytest.raises(PidFileError, match="'redis-server', not one of postgres"):
            found("database", pid_file)
        with pytest.raises(PidFileError, match="only a server of database or cache"):
            found("auth", pid_file)

    def test_is_no_other_program(self, tmp_path: Path) -> None:
        path = tmp_path / "pid"
        path.write_text(f"{os.getpid()}\n")
        with pytest.raises(PidFileError, match="not one of redis-server"):
            found("cache", path)

    @pytest.mark.parametrize(
        "line", ["", "0", "1", "-1", "-5", "+7", "1e3", "redis", "9" * 40, "4194304999", "\0", "12 34"]
    )
    def test_is_nobody_where_the_line_is_no_number_of_a_process(self, tmp_path: Path, line: str) -> None:
        path = tmp_path / "pid"
        path.write_text(line)
        with pytest.raises(PidFileError, match="no process id"):
            found("cache", path)

    def test_is_nobody_who_has_ended(self, tmp_path: Path, pid_file: Path) -> None:
        ended = subprocess.Popen(["true"])
        wait_until(lambda: states([ended.pid]) == ["Z"])  # nobody has waited for it yet
        pid_file.write_text(f"{ended.pid}\n")
        with pytest.raises(PidFileError, match="has ended"):
            found("cache", pid_file)
        ended.wait()
        with pytest.raises(PidFileError, match="does not run on this host"):
            found("cache", pid_file)

    def test_is_nobody_where_there_is_no_file_to_read(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(PidFileError, match="cannot be read"):
            found("cache", tmp_path / "missing")
        for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
            with pytest.raises(PidFileError, match="is no file"):
                found("cache", path)

    def test_is_no_part_of_a_server(self, tmp_path: Path, pid_file: Path) -> None:
        inner = program(tmp_path, "valkey-server")
        outer = tmp_path / "outer" / "redis-server"
        outer.parent.mkdir()
        outer.write_text(f"#!/bin/sh\n{inner}\ntrue\n")
        outer.chmod(0o755)
        process = subprocess.Popen([outer], start_new_session=True)
        try:
            wait_until(lambda: len(below(process.pid)) == 4)
            pid_file.write_text(f"{below(process.pid)[0]}\n")
            with pytest.raises(PidFileError, match=f"with pid {process.pid}: name that one"):
                found("cache", pid_file)
        finally:
            for pid in [process.pid, *below(process.pid)]:
                os.kill(pid, signal.SIGKILL)
            process.wait()

    def test_is_nobody_who_is_stopped_already(self, pid_file: Path, redis: subprocess.Popen[bytes]) -> None:
        redis.send_signal(signal.SIGSTOP)
        wait_until(lambda: stopped([redis.pid]))
        with pytest.raises(PidFileError, match=f"kill -CONT {redis.pid}"):
            found("cache", pid_file)

    def test_is_nobody_of_another_user(self, pid_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(pidfd: int, number: int) -> None:
            raise PermissionError

        monkeypatch.setattr(signal, "pidfd_send_signal", refuse)
        with pytest.raises(PidFileError, match="another user's"):
            found("cache", pid_file)


class TestFrozen:
    def test_stops_it_and_all_below_it_for_the_block_alone(self, held: LocalServer) -> None:
        pids = [held.pid, *below(held.pid)]
        with held.frozen(at_most=_LONG):
            wait_until(lambda: stopped(pids))
        assert running(pids)

    def test_ends_with_an_error_in_it(self, held: LocalServer) -> None:
        pids = [held.pid, *below(held.pid)]
        with pytest.raises(KeyboardInterrupt), held.frozen(at_most=_LONG):
            raise KeyboardInterrupt
        assert running(pids)

    def test_ends_in_time_by_itself_and_says_so(self, held: LocalServer) -> None:
        pids = [held.pid, *below(held.pid)]
        with pytest.raises(RuntimeError, match="went on before"), held.frozen(at_most=0.1):
            wait_until(lambda: running(pids))

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_ends_with_who_stopped_it(self, held: LocalServer, number: signal.Signals) -> None:
        """Killed, the keeper can do nothing any more; the drill does it in its place."""
        pids = [held.pid, *below(held.pid)]
        freeze = held.frozen(at_most=_LONG)
        freeze.__enter__()
        wait_until(lambda: stopped(pids))
        end_keeper(number)
        assert stopped(pids) == (number == signal.SIGKILL)
        freeze.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
        assert running(pids)

    def test_ends_when_the_drill_is_killed(self, held: LocalServer, pid_file: Path) -> None:
        pids = [held.pid, *below(held.pid)]
        drill = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "import pathlib, sys, time\n"
                "from resilience.drills.server import found\n"
                "with found('cache', pathlib.Path(sys.argv[1])).frozen(at_most=600): time.sleep(600)",
                pid_file,
            ]
        )
        wait_until(lambda: stopped(pids))
        drill.kill()
        drill.wait()
        wait_until(lambda: running(pids))

    def test_stops_nobody_who_has_ended(self, held: LocalServer, redis: subprocess.Popen[bytes]) -> None:
        held.kill()
        redis.wait()
        with pytest.raises(RuntimeError, match="cannot be frozen"), held.frozen(at_most=_LONG):
            pass


class TestKilled:
    def test_is_it_and_all_below_it(self, held: LocalServer, redis: subprocess.Popen[bytes]) -> None:
        pids = below(held.pid)
        held.kill()
        assert redis.wait() == -signal.SIGKILL
        wait_until(lambda: not held.running and set(states(pids)) <= {"Z", "gone"})
        with pytest.raises(ProcessLookupError):
            held.kill()


def end_keeper(number: signal.Signals) -> None:
    """Send a signal to the one that has stopped the server, and wait until it has ended of it."""
    (keeper,) = [
        pid for pid in below(os.getpid()) if freezer.__file__ in Path(f"/proc/{pid}/cmdline").read_text()
    ]
    os.kill(keeper, number)
    wait_until(lambda: states([keeper]) == ["Z"])
