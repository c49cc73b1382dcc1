"""The store in use: by commands, and while its file is deleted or replaced. Calls go on, said once."""

import stat
from pathlib import Path

import pytest

from resilience.primitives import BreakerOpenError, ManualClock, State, StoreUnavailableError, open_store

from .conftest import FILE, breaker, command, fail, said, server


class TestCommands:
    def test_never_build_a_store(self, folder: Path) -> None:
        with pytest.raises(StoreUnavailableError, match=f"there is no {folder}: no server has run here"):
            command(folder)
        assert not folder.exists()
        folder.mkdir()
        with pytest.raises(StoreUnavailableError, match=r"there is no store at .*as user "):
            command(folder)
        assert list(folder.iterdir()) == []
        with pytest.raises(StoreUnavailableError):
            open_store(folder, "test", role="command", create=False)

    def test_do_not_change_the_folders_mode(self, folder: Path) -> None:
        server(folder).close()
        folder.chmod(0o750)
        command(folder).close()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o750

    def test_take_no_slot_count_nothing_and_are_refused_nothing(
        self, folder: Path, clock: ManualClock
    ) -> None:
        owner = server(folder)
        served = breaker(owner, clock)
        fail(served)
        looking = command(folder)
        guarded = breaker(looking, clock)
        assert guarded.shown() is State.OPEN
        assert not guarded.refuses()
        assert guarded.call(lambda: "answer") == "answer"
        fail(guarded)
        with guarded:
            pass
        assert served.snapshot().failures == 1
        assert looking.used_slots == 1
        owner.close()
        looking.close()

    def test_steer(self, folder: Path, clock: ManualClock) -> None:
        owner, looking = server(folder), command(folder)
        served, guarded = breaker(owner, clock), breaker(looking, clock)
        fail(served)
        assert guarded.reset(who="anna", why="")
        assert served.shown() is State.CLOSED
        assert served.call(lambda: "answer") == "answer"
        guarded.isolate(who="anna", why="")
        with pytest.raises(BreakerOpenError):
            served.admit()
        owner.close()
        looking.close()


class TestWhileMapped:
    @pytest.mark.parametrize("how", ["deleted", "replaced", "folder deleted"])
    def test_its_processes_move_to_one_new_store_and_keep_what_they_knew(
        self, folder: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture, how: str
    ) -> None:
        stores = [server(folder) for _ in range(3)]
        breakers = [breaker(store, clock) for store in stores]
        for each in breakers:
            assert each.call(lambda: "answer") == "answer"
        breakers[0].isolate(who="anna", why="stay")
        for each in breakers:
            assert each.shown() is State.OPEN
        old = stores[0]._inode
        for path in list(folder.iterdir()):
            path.unlink()
        if how == "folder deleted":
            folder.rmdir()
        if how == "replaced":
            server(folder).close()
        for _ in range(3):
            clock.advance(1.1)
            for each in breakers:
                with pytest.raises(BreakerOpenError):
                    each.admit()
        assert len({store._inode for store in stores}) == 1
        assert stores[0]._inode != old
        assert len({store.slot() for store in stores}) == 3
        assert len(said(caplog)) == 3
        override = breakers[2].snapshot().override
        assert override is not None
        assert override.why == "stay"
        assert breakers[0].auto(who="anna", why="")
        for each in breakers:
            assert each.call(lambda: "answer") == "answer"
        assert breakers[2].snapshot().successes == 3
        for store in stores:
            store.close()

    def test_one_that_cannot_be_had_again_is_used_on_and_said_once(
        self, folder: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        store, other = server(folder), server(folder)
        guarded, there = breaker(store, clock), breaker(other, clock)
        guarded.call(lambda: "answer")
        there.call(lambda: "answer")
        for path in list(folder.iterdir()):
            path.unlink()
        folder.rmdir()
        folder.write_text("in the way")
        for _ in range(3):
            clock.advance(1.1)
            assert guarded.call(lambda: "answer") == "answer"
            assert there.call(lambda: "answer") == "answer"
        assert guarded.snapshot().successes == 8
        assert len(said(caplog)) == 2
        store.close()
        other.close()

    def test_a_command_uses_on_what_is_gone(self, folder: Path, clock: ManualClock) -> None:
        owner, looking = server(folder), command(folder)
        guarded = breaker(looking, clock)
        guarded.shown()
        (folder / FILE).unlink()
        looking.refresh()
        assert guarded.shown() is State.CLOSED
        assert not (folder / FILE).exists()
        owner.close()
        looking.close()

    def test_a_look_at_an_unchanged_store_changes_nothing(self, folder: Path) -> None:
        store = server(folder)
        slot, memory = store.slot(), store.words
        store.refresh()
        assert store.slot() == slot
        assert store.words is memory
        store.close()
