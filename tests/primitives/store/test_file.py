"""What can be wrong with the file of the store before it is opened: calls go on, and it is said once."""

import os
import resource
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resilience.primitives import (
    BreakerOpenError,
    HostStore,
    ManualClock,
    State,
    StoreUnavailableError,
    open_store,
)
from resilience.primitives.store import Layout, layout, mapped
from tests.primitives.conftest import SMALL

from .conftest import FILE, breaker, command, fail, said, server

ROOT = Path(__file__).parents[3]
AS_ANOTHER = """
import os, pathlib, sys
from resilience.primitives import open_store
if os.geteuid() == 0:
    os.setuid(65534)
print(open_store(pathlib.Path(sys.argv[1]), "test", role="server", create=True).kind)
"""


class TestBuilding:
    def test_a_folder_and_a_file_of_its_own(self, folder: Path) -> None:
        store = server(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        file = folder / FILE
        assert store.path == file
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.stat().st_size == SMALL.size
        assert file.stat().st_blocks * 512 >= SMALL.size
        assert [path.name for path in folder.iterdir()] == [FILE]
        store.close()

    def test_the_real_one_fits_into_a_containers_shared_memory_twice(self) -> None:
        assert 2 * layout.HOST.size <= 64 * 2**20
        assert (layout.HOST.breakers, layout.HOST.slots, layout.HOST.limits) == (64, 1024, 65_536)

    def test_an_open_folder_or_file_of_ours_is_closed_to_others(self, folder: Path) -> None:
        server(folder).close()
        folder.chmod(0o755)
        (folder / FILE).chmod(0o644)
        server(folder).close()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600

    def test_a_second_process_finds_the_first_ones(self, folder: Path, clock: ManualClock) -> None:
        first, second = server(folder), server(folder)
        assert first._inode == second._inode
        assert (first.slot(), second.slot()) == (0, 1)
        fail(breaker(first, clock))
        assert breaker(second, clock).shown() is State.OPEN
        first.close()
        second.close()

    def test_of_two_that_build_at_once_one_wins(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        real = mapped._build
        raced: list[HostStore] = []

        def race(path: Path, shape: Layout, *, instead_of: int | None) -> None:
            monkeypatch.setattr(mapped, "_build", real)
            raced.append(server(folder))
            real(path, shape, instead_of=instead_of)

        monkeypatch.setattr(mapped, "_build", race)
        store = server(folder)
        assert store._inode == raced[0]._inode
        store.close()
        raced[0].close()

    def test_a_namespace_names_a_file_and_nothing_else(self, folder: Path) -> None:
        for name in ("", "../x", "a b", "a/b", "x" * 65, "ä"):
            with pytest.raises(ValueError, match="NAMESPACE must be"):
                HostStore(folder, name, role="server", create=True, layout=SMALL)
        assert not folder.exists()

    def test_two_namespaces_have_two_files(self, folder: Path) -> None:
        for name in ("one", "two"):
            HostStore(folder, name, role="server", create=True, layout=SMALL).close()
        assert sorted(path.name for path in folder.iterdir()) == [
            f"one-v{layout.FORMAT}.store",
            f"two-v{layout.FORMAT}.store",
        ]


def truncated(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(SMALL.size // 2)


def sparse(file: Path) -> None:
    content = file.read_bytes()[:4096]
    with file.open("r+b") as opened:
        opened.truncate(0)
        opened.write(content)
        opened.truncate(SMALL.size)


def random_bytes(file: Path) -> None:
    file.write_bytes(os.urandom(SMALL.size))


def empty(file: Path) -> None:
    file.write_bytes(b"")


def word(place: int, value: int) -> Callable[[Path], None]:
    def write(file: Path) -> None:
        with file.open("r+b") as opened:
            opened.seek(place * 8)
            opened.write(value.to_bytes(8, "little", signed=True))

    return write


DAMAGES = {
    "truncated": truncated,
    "sparse": sparse,
    "random bytes": random_bytes,
    "empty": empty,
    "of another kind": word(layout.MAGIC, 1),
    "of another version": word(layout.VERSION, layout.FORMAT + 1),
    "of another size": word(layout.SIZE, 1),
    "not finished": word(layout.READY, 0),
    "with more slots than there are": word(layout.USED_SLOTS, 9),
    "with fewer slots than none": word(layout.USED_SLOTS, -1),
    "of another boot": word(layout.BOOT, 1),
}


class TestDamagedBeforeOpening:
    @pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
    def test_is_replaced_by_a_server_and_left_alone_by_a_command(
        self, folder: Path, clock: ManualClock, damage: Callable[[Path], None]
    ) -> None:
        first = server(folder)
        fail(breaker(first, clock))
        first.close()
        damage(folder / FILE)
        with pytest.raises(StoreUnavailableError, match="damaged or left over from another boot"):
            command(folder)
        second = server(folder)
        assert second._inode != first._inode
        guarded = breaker(second, clock)
        assert guarded.call(lambda: "answer") == "answer"
        assert [path.name for path in folder.iterdir() if path.suffix == ".store"] == [FILE]
        second.close()

    def test_is_not_replaced_when_somebody_else_did_so_first(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server(folder).close()
        empty(folder / FILE)
        real = mapped._build
        raced: list[HostStore] = []

        def race(path: Path, shape: Layout, *, instead_of: int | None) -> None:
            monkeypatch.setattr(mapped, "_build", real)
            raced.append(server(folder))
            real(path, shape, instead_of=instead_of)

        monkeypatch.setattr(mapped, "_build", race)
        store = server(folder)
        assert store._inode == raced[0]._inode
        store.close()
        raced[0].close()

    def test_over_and_over_is_given_up(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        server(folder).close()
        empty(folder / FILE)
        monkeypatch.setattr(mapped, "_build", lambda *arguments, **options: None)
        with pytest.raises(StoreUnavailableError, match="is replaced over and over"):
            server(folder)

    def test_a_host_without_boot_id_is_always_in_the_same_boot(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unreadable(path: Path) -> bytes:
            raise OSError

        monkeypatch.setattr(Path, "read_bytes", unreadable)
        first, second = server(folder), server(folder)
        assert first._inode == second._inode
        first.close()
        second.close()

    def test_the_bounds_of_the_slots_are_whole(self, folder: Path) -> None:
        server(folder).close()
        for slots in (0, SMALL.slots):
            word(layout.USED_SLOTS, slots)(folder / FILE)
            command(folder).close()

    def test_state_outlives_its_processes(self, folder: Path, clock: ManualClock) -> None:
        first = server(folder)
        fail(breaker(first, clock))
        first.close()
        second = server(folder)
        assert breaker(second, clock).shown() is State.OPEN
        second.close()

    def test_another_version_is_another_file(
        self, folder: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old = server(folder)
        fail(breaker(old, clock))
        monkeypatch.setattr("resilience.primitives.store.host.FORMAT", layout.FORMAT + 1)
        new = server(folder)
        assert new.path.name == f"test-v{layout.FORMAT + 1}.store"
        assert breaker(old, clock).shown() is State.OPEN
        assert breaker(new, clock).shown() is State.CLOSED
        old.close()
        new.close()


class TestRefused:
    """Nobody else's file, and no link to one: each process has a store of its own then, and says so once."""

    def alone(self, folder: Path, caplog: pytest.LogCaptureFixture, why: str) -> None:
        with pytest.raises(StoreUnavailableError, match=why):
            server(folder)
        store = open_store(folder, "test", role="server", create=True)
        assert store.kind == "local"
        assert len(said(caplog)) == 1
        assert why in said(caplog)[0]
        guarded = breaker(store, ManualClock())
        assert guarded.call(lambda: "answer") == "answer"
        fail(guarded)
        with pytest.raises(BreakerOpenError):
            guarded.call(lambda: "answer")
        assert len(said(caplog)) == 1

    def test_a_symbolic_link(self, folder: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
        server(folder).close()
        (folder / FILE).rename(tmp_path / "elsewhere")
        (folder / FILE).symlink_to(tmp_path / "elsewhere")
        self.alone(folder, caplog, "is a symbolic link")

    def test_a_folder_that_is_a_link(
        self, folder: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
    ) -> None:
        (tmp_path / "elsewhere").mkdir()
        folder.symlink_to(tmp_path / "elsewhere")
        self.alone(folder, caplog, "is not a folder of its own")

    def test_a_file_in_place_of_the_folder(self, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        folder.write_text("")
        self.alone(folder, caplog, "is not a folder of its own")

    def test_something_that_is_no_file(self, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        folder.mkdir()
        os.mkfifo(folder / FILE)
        self.alone(folder, caplog, "is not a plain file")

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        (tmp_path / "file").write_text("")
        self.alone(tmp_path / "file" / "resilience", caplog, "cannot be used: Not a directory")

    @pytest.mark.parametrize("which", ["folder", "file"])
    def test_another_users(
        self, folder: Path, caplog: pytest.LogCaptureFixture, which: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server(folder).close()
        if os.geteuid() == 0:
            os.chown(folder if which == "folder" else folder / FILE, 65_534, -1)
        else:
            # Only root can give files away; anybody can be somebody else than their owner.
            monkeypatch.setattr(os, "geteuid", lambda: 65_534)
        self.alone(folder, caplog, "run as ")

    def test_a_user_without_a_name_is_called_by_number(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server(folder).close()
        monkeypatch.setattr(os, "geteuid", lambda: 2**31)
        with pytest.raises(StoreUnavailableError, match=str(2**31)):
            command(folder)

    def test_what_may_not_be_written(self) -> None:
        """By another user than root, to whom nothing is forbidden."""
        with tempfile.TemporaryDirectory() as parent:
            folder = Path(parent, "resilience")
            server(folder).close()
            (folder / FILE).chmod(0o400)
            Path(parent).chmod(0o755)
            if os.geteuid() == 0:
                for path in (folder, folder / FILE):
                    os.chown(path, 65_534, 65_534)
            found = subprocess.run(
                [sys.executable, "-c", AS_ANOTHER, str(folder)],
                capture_output=True,
                text=True,
                check=True,
                cwd=ROOT,
            )
        assert found.stdout.strip() == "local"
        assert found.stderr.count("Permission denied") == 1

    def test_what_may_not_be_opened(
        self, folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server(folder).close()

        def forbidden(*arguments: object) -> int:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "open", forbidden)
        self.alone(folder, caplog, "cannot be used: Permission denied")

    def test_a_disk_without_room(self, folder: Path, caplog: pytest.LogCaptureFixture, limited: None) -> None:
        self.alone(folder, caplog, "cannot be used: File too large")
        assert list(folder.iterdir()) == []

    @pytest.fixture
    def limited(self) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL.size // 2, before[1]))
        yield
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
