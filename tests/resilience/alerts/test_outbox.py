"""What does not get out is tried again, in order, for as long as it is worth it, and costs nobody anything.

Of the kind: an answer that asks for a pause, also for a longer one than it is worth; one that will never take
it; a channel that hangs; a full queue; a disk on which nothing can be written; the end of the process.
"""

import errno
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from resilience import registry
from resilience.alerts.outbox import LaterError, Outbox, RefusedError
from resilience.alerts.spool import Spool
from resilience.primitives import ManualClock
from resilience.testing import server_role


@pytest.fixture(autouse=True)
def _server() -> Iterator[None]:
    with server_role():
        yield


class Channel:
    """Raise what it was given, one after the other; note what it took, and when."""

    def __init__(self, *errors: Exception | None) -> None:
        self.clock = ManualClock(start=0.0)
        self.errors = list(errors)
        self.tried: list[tuple[str, float]] = []
        self.took: list[str] = []

    def __call__(self, item: str) -> None:
        self.tried.append((item, self.clock.monotonic()))
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        self.took.append(item)

    def outbox(self, *, room: int = 10, spool: Spool[str] | None = None) -> Outbox[str]:
        return Outbox(
            "hook", self, room=room, spool=spool, clock=self.clock, sleep=self.clock.advance, lasts=300.0
        )


def counted() -> dict[str, int]:
    totals = registry.store().counters.totals()
    return {labels[2]: count for labels, count in totals.items() if labels[:2] == ("alerts", "hook")}


def sent(channel: Channel, *items: str) -> None:
    outbox = channel.outbox()
    for item in items:
        outbox.put(item)
    outbox.join()


class TestRetry:
    def test_one_failure_loses_nothing(self) -> None:
        channel = Channel(ConnectionResetError())
        sent(channel, "opened")
        assert channel.took == ["opened"]
        assert counted() == {"retry": 1, "success": 1}

    def test_pauses_grow_and_differ(self) -> None:
        channel = Channel(*[TimeoutError() for _ in range(6)])
        sent(channel, "opened")
        times = [at for _, at in channel.tried]
        pauses = [after - before for before, after in pairwise(times)]
        assert all(2**n / 2 <= pause <= 2**n for n, pause in enumerate(pauses))
        assert len({pause / 2**n for n, pause in enumerate(pauses)}) > 1

    def test_it_is_given_up_after_five_minutes_and_not_before(self) -> None:
        channel = Channel(*[TimeoutError() for _ in range(99)])
        sent(channel, "opened")
        assert channel.tried[-1][1] == 300.0
        assert all(at - before <= 60 for (_, before), (_, at) in pairwise(channel.tried))
        assert counted() == {"retry": len(channel.tried) - 1, "failure": 1}

    def test_a_pause_that_is_asked_for_is_kept(self) -> None:
        channel = Channel(LaterError("429", 45.0))
        sent(channel, "opened")
        assert channel.tried == [("opened", 0.0), ("opened", 45.0)]

    def test_one_longer_than_it_is_worth_is_kept_as_far_as_that(self) -> None:
        channel = Channel(LaterError("429", 1e9))
        sent(channel, "opened")
        assert channel.tried == [("opened", 0.0), ("opened", 300.0)]
        assert channel.took == ["opened"]

    def test_the_next_one_keeps_the_pause_too(self) -> None:
        channel = Channel(LaterError("429", 45.0))
        sent(channel, "opened", "recovered")
        assert channel.tried == [("opened", 0.0), ("opened", 45.0), ("recovered", 45.0)]

    def test_what_will_never_be_taken_is_tried_once_and_holds_up_nothing(self) -> None:
        channel = Channel(RefusedError("404"))
        sent(channel, "opened", "recovered")
        assert channel.tried == [("opened", 0.0), ("recovered", 0.0)]
        assert counted() == {"failure": 1, "success": 1}

    def test_order_is_kept(self) -> None:
        channel = Channel(TimeoutError(), None, TimeoutError())
        sent(channel, *"abcdef")
        assert channel.took == list("abcdef")


class TestTheLog:
    def test_has_three_lines_for_a_spell_however_many_failed(self, caplog: pytest.LogCaptureFixture) -> None:
        channel = Channel(*[TimeoutError("no answer") for _ in range(99)])
        outbox = channel.outbox()
        for item in "abc":
            outbox.put(item)
        outbox.join()
        channel.errors.clear()
        outbox.put("d")
        outbox.join()
        assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR", "WARNING"]
        assert "builtins.TimeoutError: no answer" in caplog.messages[0]
        assert caplog.messages[2].endswith("given up meanwhile: 3")


class TestRoom:
    def test_a_channel_that_hangs_keeps_nobody_and_the_newest_stay(self) -> None:
        gate, entered = threading.Event(), threading.Event()
        took: list[int] = []

        def hang(item: int) -> None:
            entered.set()
            gate.wait()
            took.append(item)

        outbox: Outbox[int] = Outbox("hook", hang, room=2)
        outbox.put(0)
        entered.wait()
        for number in range(1, 6):
            outbox.put(number)
        assert counted() == {"dropped": 3}
        gate.set()
        outbox.join()
        assert took == [0, 4, 5]


class TestSpool:
    @pytest.fixture
    def spool(self, tmp_path: Path) -> Spool[str]:
        return Spool(tmp_path / "hook", str, str)

    def hanging(self, spool: Spool[str], *items: str) -> Callable[[], None]:
        """Put items into the outbox of a process that gets no further; return what lets it go on."""
        gate, entered = threading.Event(), threading.Event()

        def hang(item: str) -> None:
            entered.set()
            gate.wait()
            raise TimeoutError

        outbox: Outbox[str] = Outbox("hook", hang, room=9, spool=spool)
        for item in items:
            outbox.put(item)
        entered.wait()

        def go_on() -> None:
            gate.set()
            outbox.join()

        return go_on

    def test_another_process_goes_on_in_order(self, spool: Spool[str]) -> None:
        go_on = self.hanging(spool, *"abc")
        channel = Channel()
        other = channel.outbox(spool=spool)
        other.take_over()
        other.join()
        assert channel.took == ["a", "b", "c"]
        go_on()  # and the first one, awake again, repeats none of them
        assert counted() == {"retry": 1, "success": 3}

    def test_nothing_is_left_of_what_got_out_was_refused_or_found_no_room(self, tmp_path: Path) -> None:
        spool = Spool(tmp_path, str, str)
        channel = Channel(RefusedError("404"))
        outbox = channel.outbox(room=1, spool=spool)
        for item in "abcdef":
            outbox.put(item)
        outbox.join()
        assert list(tmp_path.iterdir()) == []

    def test_what_cannot_be_written_down_is_sent_all_the_same(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("no folder")
        channel = Channel()
        outbox = channel.outbox(spool=Spool(tmp_path / "file" / "hook", str, str))
        outbox.put("opened")
        outbox.join()
        assert channel.took == ["opened"]

    def test_what_is_too_old_is_given_up(self, spool: Spool[str]) -> None:
        spool.add("opened", -1.0)
        channel = Channel()
        outbox = channel.outbox(spool=spool)
        outbox.take_over()
        outbox.join()
        assert (channel.tried, list(spool.left())) == ([], [])
        assert counted() == {"failure": 1}

    def test_what_this_process_cannot_read_is_left_for_another(
        self, spool: Spool[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_: Path) -> bytes:
            raise OSError(errno.EMFILE, "Too many open files")

        path = spool.add("opened", 1e12)
        with monkeypatch.context() as patched:
            patched.setattr(Path, "read_bytes", fail)
            assert list(spool.left()) == []
        assert [(left, item) for left, item, _ in spool.left()] == [(path, "opened")]

    def test_what_is_no_item_is_removed(self, tmp_path: Path) -> None:
        (tmp_path / "1.json").write_text("{")
        (tmp_path / "2.json").write_text('{"item": "a"}')
        assert list(Spool(tmp_path, str, str).left()) == []
        assert list(tmp_path.iterdir()) == []

    def test_the_time_of_another_boot_is_none(self, spool: Spool[str]) -> None:
        spool.add("opened", 1e9)
        channel = Channel(*[TimeoutError() for _ in range(99)])
        outbox = channel.outbox(spool=spool)
        outbox.take_over()
        outbox.join()
        assert channel.tried[-1] == ("opened", 300.0)
