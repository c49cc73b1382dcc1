"""Whoever reads a file that is written aside finds the old one or the new one, whole."""

import os
from pathlib import Path

import pytest

from resilience.primitives.aside import SUFFIX, written_aside


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "file.json"
    path.write_text("old")
    return path


class TestWrittenAside:
    @pytest.mark.parametrize("durable", [False, True])
    def test_takes_its_place_at_the_end_of_the_block(self, target: Path, durable: bool) -> None:
        with written_aside(target, durable=durable) as aside:
            aside.write_text("new")
            assert target.read_text() == "old"
        assert target.read_text() == "new"
        assert list(target.parent.iterdir()) == [target]

    def test_leaves_all_as_it_was_after_an_error(self, target: Path) -> None:
        def fail() -> None:
            with written_aside(target) as aside:
                aside.write_text("half")
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        assert target.read_text() == "old"
        assert list(target.parent.iterdir()) == [target]

    def test_does_not_go_on_with_what_a_killed_process_left(self, target: Path) -> None:
        with written_aside(target) as left:
            left.touch()
        left.write_text("half of a file of a process with our number")
        with written_aside(target) as aside:
            assert not aside.exists()
            aside.write_text("new")
        assert target.read_text() == "new"

    def test_lies_beside_its_place_under_a_name_that_says_what_it_is(self, target: Path) -> None:
        with written_aside(target) as aside:
            aside.touch()
            assert (aside.parent, aside.suffix) == (target.parent, SUFFIX)

    def test_is_on_the_disk_before_it_takes_its_place(
        self, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        synced: list[str] = []

        def sync(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            synced.append(f"{path.suffix} {target.read_text()}")

        monkeypatch.setattr(os, "fsync", sync)
        with written_aside(target, durable=True) as aside:
            aside.write_text("new")
        assert synced == [".aside old", f"{target.parent.suffix} new"]
