"""`.ci/leftovers` finds each kind of thing that a run can leave: folders, processes, pipes, shared memory."""

import subprocess
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[1] / ".ci" / "leftovers"


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "sh", "-c", script],
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_is_content_with_what_cleans_up(tmp_path: Path) -> None:
    ran = run('rm -r "$(mktemp -d)"; (sleep 0.2 &)', tmp_path)
    # Other tests that run now have shared memory of their own.
    left = [line for line in ran.stderr.splitlines() if "/shm/" not in line and " memory " not in line]
    assert left == []
    assert ran.returncode == bool(ran.stderr)


def test_passes_the_status_on(tmp_path: Path) -> None:
    assert run("exit 3", tmp_path).returncode == 3


@pytest.mark.parametrize(
    ("script", "named"),
    [
        ("mktemp -d -p $TMPDIR gone-XXXX", "gone-"),
        ("mkfifo $TMPDIR/pipe", "pipe"),
    ],
)
def test_names_what_is_left(script: str, named: str, tmp_path: Path) -> None:
    ran = run(script, tmp_path)
    assert ran.returncode == 1
    assert named in ran.stderr


def test_names_and_ends_processes_that_are_left(tmp_path: Path) -> None:
    ran = run(f"(sleep 61 &); setsid sh -c '(sleep 62 & echo $! > {tmp_path}/pid)'", tmp_path)
    assert "sleep 61" in ran.stderr
    assert "sleep 62" in ran.stderr
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_names_shared_memory(tmp_path: Path) -> None:
    ran = run("ipcmk --shmem 4096", tmp_path)
    number = ran.stdout.split()[-1]
    try:
        assert ran.returncode == 1
        assert f"shared memory {number}" in ran.stderr
    finally:
        subprocess.run(["ipcrm", "--shmem-id", number], check=True)
