"""Folders that are not ours alone: which one is used in their place, and what is refused.

Of the kind: an `emptyDir` (root's, 0777), one with a group of ours (`fsGroup`: 2775), /tmp (sticky), a folder
of another user, a link, a file in its place, a folder in which somebody else has made ours.
"""

import errno
import fcntl
import mmap
import os
import stat
from pathlib import Path

import pytest

from resilience.primitives import HostStore, StoreUnavailableError, open_store
from resilience.primitives.store.folder import ensure, own
from resilience.primitives.store.lock import try_locks
from tests.primitives.conftest import SMALL

from .conftest import FILE

ME = os.geteuid()
SOMEBODY = 12345
only_root = pytest.mark.skipif(ME != 0, reason="only root gives folders away")


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A folder in which everybody may write."""
    made = tmp_path / "volume"
    made.mkdir()
    made.chmod(0o777)
    return made


class TestOwn:
    def test_is_the_folder_itself_where_nobody_else_may_write(self, tmp_path: Path) -> None:
        assert own(tmp_path) == tmp_path
        assert own(tmp_path / "missing") == tmp_path / "missing"

    def test_is_one_inside_where_everybody_may(self, volume: Path) -> None:
        assert own(volume) == volume / f"resilience-{ME}"
        assert list(volume.iterdir()) == []

    def test_is_one_inside_a_sticky_one_which_is_left_as_it_is(self, volume: Path) -> None:
        volume.chmod(0o1777)
        ensure(own(volume))
        assert stat.S_IMODE(volume.stat().st_mode) == 0o1777
        assert own(own(volume)) == own(volume)

    @only_root
    def test_is_one_inside_where_a_group_of_ours_may(self, volume: Path) -> None:
        volume.chmod(0o2775)
        os.chown(volume, SOMEBODY, os.getegid())
        assert own(volume) == volume / f"resilience-{ME}"

    @only_root
    @pytest.mark.parametrize("mode", [0o700, 0o755, 0o775])
    def test_is_the_folder_itself_where_we_may_not_write(self, volume: Path, mode: int) -> None:
        volume.chmod(mode)
        os.chown(volume, SOMEBODY, SOMEBODY)
        assert own(volume) == volume

    def test_is_the_folder_itself_where_our_group_may_write_in_ours(self, volume: Path) -> None:
        volume.chmod(0o775)
        assert own(volume) == volume

    def test_of_a_file_is_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch(0o666)
        assert own(tmp_path / "file") == tmp_path / "file"


class TestEnsure:
    def test_makes_it_for_us_alone(self, volume: Path) -> None:
        ensure(own(volume))
        found = own(volume).stat()
        assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o700, ME)

    def test_shuts_others_out_of_ours(self, volume: Path) -> None:
        own(volume).mkdir()
        own(volume).chmod(0o777)
        ensure(own(volume), make=False)
        assert stat.S_IMODE(own(volume).stat().st_mode) == 0o777
        ensure(own(volume))
        assert stat.S_IMODE(own(volume).stat().st_mode) == 0o700

    @only_root
    def test_refuses_what_another_user_has_made_there(self, volume: Path) -> None:
        own(volume).mkdir()
        os.chown(own(volume), SOMEBODY, SOMEBODY)
        with pytest.raises(PermissionError, match=r"belongs to user 12345, and this is .*run as 12345"):
            ensure(own(volume))

    def test_refuses_a_link_and_changes_nothing_behind_it(self, volume: Path, tmp_path: Path) -> None:
        target = tmp_path / "target"
        target.mkdir(mode=0o755)
        own(volume).symlink_to(target)
        with pytest.raises(NotADirectoryError, match="a link could lead anywhere"):
            ensure(own(volume))
        assert stat.S_IMODE(target.stat().st_mode) == 0o755
        assert list(target.iterdir()) == []

    def test_refuses_a_file_in_its_place(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(NotADirectoryError):
            ensure(tmp_path / "file")
        with pytest.raises(NotADirectoryError):
            ensure(tmp_path / "file" / "below")


class TestStore:
    def test_of_a_volume_for_everybody_is_shared(self, volume: Path) -> None:
        stores = [HostStore(own(volume), "test", role="server", create=True, layout=SMALL) for _ in range(2)]
        assert [store.slot() for store in stores] == [0, 1]
        for store in stores:
            store.close()

    @pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
    @pytest.mark.parametrize("kind", ["flock", "fcntl"])
    def test_is_refused_where_there_are_no_locks(
        self, volume: Path, monkeypatch: pytest.MonkeyPatch, kind: str, number: int
    ) -> None:
        def refused(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, kind, refused)
        with pytest.raises(StoreUnavailableError, match=r"for want of locks: .*" + os.strerror(number)):
            HostStore(own(volume), "test", role="server", create=True, layout=SMALL)

    def test_is_refused_where_it_cannot_be_opened_once_more(self, tmp_path: Path) -> None:
        with pytest.raises(StoreUnavailableError, match="for want of locks"):
            try_locks(tmp_path / "missing")

    def test_is_refused_where_a_folder_has_its_name(self, volume: Path) -> None:
        (own(volume) / FILE).mkdir(parents=True)
        with pytest.raises(StoreUnavailableError, match=r"cannot be used: Is a directory"):
            HostStore(own(volume), "test", role="server", create=True, layout=SMALL)

    def test_is_had_while_another_process_holds_the_lock(
        self, volume: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def held(*_: object) -> None:
            raise BlockingIOError

        with monkeypatch.context() as patch:
            patch.setattr(fcntl, "flock", held)
            HostStore(own(volume), "test", role="server", create=True, layout=SMALL).close()

    @pytest.mark.parametrize(
        ("module", "call", "number"),
        [(mmap, "mmap", errno.ENODEV), (os, "posix_fallocate", errno.ENOSPC), (os, "link", errno.EPERM)],
    )
    def test_that_cannot_be_made_says_why_and_the_process_counts_alone(
        self,
        volume: Path,
        monkeypatch: pytest.MonkeyPatch,
        module: object,
        call: str,
        number: int,
    ) -> None:
        def refused(*_: object, **__: object) -> None:
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patch:
            patch.setattr(module, call, refused)
            store = open_store(own(volume), "test", role="server", create=True)
        assert store.kind == "local"
        assert os.strerror(number) in store.why
        # Nothing half made is left.
        assert [path.name for path in own(volume).iterdir()] == []
