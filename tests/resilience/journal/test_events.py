"""What an event is when it stands in the journal."""

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from resilience import conf, registry
from resilience.journal import events
from resilience.journal.files import CURRENT, journal
from resilience.testing import server_role

ROOT = Path(__file__).parents[3]
WRITER = """
import sys
from resilience.journal import events
for number in range(int(sys.argv[1])):
    assert events.record("drill", number=number, why=sys.argv[2])
"""


def written() -> list[dict[str, object]]:
    return list(journal().entries())


def writer(count: int, name: str) -> subprocess.Popen[bytes]:
    """Another process that writes events into the same journal."""
    code = f"import django; django.setup()\n{WRITER}"
    variables = {"DJANGO_SETTINGS_MODULE": "zenow.settings.test", "PYTHONPATH": str(ROOT)}
    variables["RESILIENCE_EVENTS_DIR"] = str(conf.events_dir())
    return subprocess.Popen([sys.executable, "-c", code, str(count), name], env=os.environ | variables)


class TestRecord:
    def test_writes_one_line_with_id_time_host_who_and_why(self) -> None:
        assert events.record("export_done", who="ada", why="asked", rows=7)
        (event,) = written()
        assert event["kind"] == "export_done"
        assert (event["who"], event["why"], event["data"]) == ("ada", "asked", {"rows": 7})
        assert {"id", "at", "host"} <= set(event)

    def test_bounds_what_it_writes(self) -> None:
        fields: dict[str, Any] = {f"field{n}": "v" * 999 for n in range(99)}
        events.record("x" * 99, who="w" * 999, why="y" * 9999, **fields)
        (event,) = written()
        assert len(str(event["kind"])) == 32
        assert (len(str(event["who"])), len(str(event["why"]))) == (64, 200)
        assert len(json.dumps(event)) < 6000

    def test_hides_credentials(self) -> None:
        events.record("start", why="at postgres://me:secret@db/x", token="t0k", password="pw")
        text = (conf.events_dir() / CURRENT).read_text()
        assert not [word for word in ("secret", "t0k", "pw") if word in text]

    def test_keeps_only_what_json_and_databases_can_hold(self) -> None:
        assert events.record("odd", why="a\0b\ud800", rate=float("nan"), big=2**70, thing=Path("/x"))
        (event,) = written()
        assert event["why"] == "ab?"
        assert event["data"] == {"rate": "nan", "big": str(2**70), "thing": "/x"}

    def test_is_readable_for_its_owner_alone(self) -> None:
        events.record("x")
        assert conf.events_dir().stat().st_mode & 0o777 == 0o700
        assert (conf.events_dir() / CURRENT).stat().st_mode & 0o777 == 0o600

    def test_follows_no_symbolic_link(self, tmp_path: Path) -> None:
        conf.events_dir().mkdir(parents=True)
        (conf.events_dir() / CURRENT).symlink_to(tmp_path / "elsewhere")
        assert not events.record("x")
        assert not (tmp_path / "elsewhere").exists()

    def test_counts_what_it_wrote_and_what_it_dropped_and_says_so_once(
        self, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert events.record("x")  # whatever a test before this one could not write was said
        journal().rotate()
        caplog.clear()
        settings.RESILIENCE = settings.RESILIENCE | {"EVENTS_LIMIT": 1000}
        with server_role() as registered, caplog.at_level(logging.WARNING, "resilience.events"):
            results = [events.record("drill", number=number) for number in range(20)]
            assert registered.store is not None
            totals = registered.store.counters.totals()
            journal().rotate()
            assert events.record("drill")
        kept = sum(results)
        assert 0 < kept < 20
        assert totals["events", "drill"] == kept
        assert totals["dropped", "events"] == 20 - kept
        assert [record.message.split(":")[0] for record in caplog.records] == [
            "events are dropped, and counted",
            "events are written again",
        ]

    def test_harms_nobody_where_nothing_can_be_written(self, settings: Settings) -> None:
        settings.RESILIENCE = settings.RESILIENCE | {"EVENTS_DIR": "/proc/nowhere"}
        assert not events.record("x")


class TestTransitions:
    def test_are_written_with_states_and_reason(self) -> None:
        with server_role():
            breaker = registry.breaker("shop")
            for _ in range(5):
                with pytest.raises(ConnectionError):
                    breaker.call(_refused)
        (event,) = written()
        data = event["data"]
        assert isinstance(data, dict)
        assert (event["kind"], event["breaker"]) == ("transition", "shop")
        assert (data["before"], data["after"]) == ("CLOSED", "OPEN")
        assert "5 failures" in data["reason"]

    def test_that_an_operator_ordered_carry_the_order_who_and_why(self) -> None:
        with server_role():
            registry.breaker("cache").isolate(who="ada", why="maintenance", until=4e9)
        (event,) = written()
        assert (event["kind"], event["who"], event["why"]) == ("isolate", "ada", "maintenance")


class TestProcesses:
    def test_write_side_by_side_while_files_are_set_aside(self) -> None:
        """Every line of every writer is found once, however often the file is renamed under its hands."""
        writers = [writer(300, name) for name in "abc"]
        rotations = 0
        while any(process.poll() is None for process in writers):
            journal().rotate()
            rotations += 1
        assert rotations > 100
        assert [process.returncode for process in writers] == [0, 0, 0]
        found = sorted((event["why"], event["data"]["number"]) for event in written())  # type: ignore[index]
        assert found == [(name, number) for name in "abc" for number in range(300)]

    def test_one_that_was_stopped_between_opening_and_writing_loses_nothing(self) -> None:
        """Its file is long gone when it writes: it writes again."""
        book = journal()
        assert events.record("first")
        file = book._open()
        book.rotate()
        (aside,) = book.pending()
        aside.unlink()
        os.write(file, b"late\n")
        assert not book._is_current(file)
        os.close(file)

    def test_killed_in_the_middle_leave_whole_lines_behind(self) -> None:
        process = writer(100_000, "killed")
        while not (conf.events_dir() / CURRENT).exists():
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert events.record("after")
        assert "after" in [event["kind"] for event in written()]


class TestTornLines:
    def test_do_not_take_the_next_one_with_them(self) -> None:
        events.record("before")
        with (conf.events_dir() / CURRENT).open("ab") as file:
            file.write(b'\n{"id": "x", "at": 1, "ki')
        events.record("after")
        assert [event["kind"] for event in written()] == ["before", "after"]


class TestKeptFiles:
    def test_are_bounded_and_the_oldest_go_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("resilience.journal.files.KEPT", 1000)
        for number in range(20):
            events.record("drill", number=number)
            journal().rotate()
            for path in journal().pending():
                journal().keep(path)
        numbers = [event["data"]["number"] for event in written()]  # type: ignore[index]
        assert numbers == sorted(numbers, reverse=True)
        assert numbers[0] == 19
        assert 2 < len(numbers) < 10


def _refused() -> None:
    raise ConnectionError
