"""Keep the static copy up to date, as a chore of the steward; build one if there is none at a start."""

from __future__ import annotations

import logging
import math
import os
import subprocess
import sys
import threading
import time

from resilience import conf, registry
from resilience.primitives import TierUnavailableError
from resilience.tiers.static_copy import files
from resilience.tiers.static_copy.declared import declared
from resilience.tiers.static_copy.files import StaticFile

logger = logging.getLogger("resilience.static")

# The least seconds between two exports, unless something was removed.
EXPORT_EVERY = 600.0
# Seconds until a build is tried again that failed, or found another process building.
_AGAIN = 5.0
# Seconds after which a build is given up.
_LONGEST = 300.0
BUSY = 4
"""Exit status of the command when another process of this host is building."""
# Seconds for which a new process is not ready without a copy, and seconds between two looks for one.
START = 5.0
_LOOK = 0.1


class Keeper:
    """Decide what is due, by the catalogue version that the host knows; `run` is the chore."""

    def __init__(self) -> None:
        self._epoch = -1
        self._forget()

    def _forget(self) -> None:
        """Forget what was done: a new steward does not know what the last one left undone."""
        self._checked: StaticFile | None = None
        self._exported = self._removed = -1  # the version and removals that the file is known to have
        self._due = self._again = -math.inf  # when the next export may begin, and anything after a failure

    def run(self, epoch: int) -> None:
        """Do what is due.

        Raises `RuntimeError` if a child failed; its log says why.
        """
        if conf.get("FALLBACK") is None:
            return
        if epoch != self._epoch:
            self._forget()
            self._epoch = epoch
        if not build_if_missing() or not self._check():
            return
        self._bring_up_to_date()

    def _check(self) -> bool:
        """Read each file once as a whole: a request would find damage only in the parts that it reads.

        Return False while there is no sound file.
        """
        self._checked = _checked(self._checked)
        return self._checked is not None or build_if_missing()

    def _bring_up_to_date(self) -> None:
        now = registry.clock().monotonic()
        if now < self._again or registry.breaker("database").refuses():
            return
        mark = registry.store().marks.read()
        self._again = now + _AGAIN  # unless all goes well
        if mark.removals != self._removed:
            if not _child("remove", "--background"):
                return
            self._removed = mark.removals
        if mark.version != self._exported and now >= self._due:
            if not _child("export", "--if-changed", "--background"):
                return
            self._exported, self._due = mark.version, now + EXPORT_EVERY
        self._again = now


class Start:
    """The first seconds of a process, in which its thread makes sure that there is a sound static copy."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began: float | None = None
        self._done = threading.Event()
        self._given_up = False

    def prepare(self) -> None:
        """Begin, once, in a thread."""
        if not registry.is_server() or conf.get("FALLBACK") is None:
            return
        with self._lock:
            if self._began is None:
                try:
                    threading.Thread(target=self._run, name="resilience-static", daemon=True).start()
                except RuntimeError as error:  # The next look tries again.
                    logger.warning("no thread can look for a static copy at the start: %s", error)
                    return
                self._began = registry.clock().monotonic()

    def goes_on(self) -> bool:
        """Tell whether there is no file yet, but there may soon be one."""
        self.prepare()
        if self._began is None or self._done.is_set() or self._given_up:
            return False
        if registry.clock().monotonic() < self._began + START:
            return True
        self._given_up = True
        logger.warning("no static copy opens %.0f s after the start: this process serves without", START)
        return False

    def wait(self, seconds: float = START) -> None:
        """Return once it is over, or after `seconds`."""
        if self.goes_on():
            self._done.wait(seconds)

    def _run(self) -> None:
        checked: StaticFile | None = None
        until = time.monotonic() + START
        try:
            # Another process may be building. Damage is found only by reading all of a file.
            while not (build_if_missing() and (checked := _checked(checked))):
                if time.monotonic() > until:
                    return  # The steward goes on trying.
                time.sleep(_LOOK)
            self._done.set()
        except Exception:
            logger.exception("no static copy could be built at the start")


def build_if_missing() -> bool:
    """Have a static copy built if none opens; raise `RuntimeError` if that fails.

    Return False if there is none yet: another process is building one, or there is nothing to build it from.
    """
    try:
        files.current()
    except TierUnavailableError:
        # Without fixtures it is built from the live database: an empty copy would hide what exists.
        build = ("build", "--if-missing") if declared().fixtures else ("export",)
        if build == ("export",) and registry.breaker("database").refuses():
            return False
        # All workers start at once. With this lock only one of them starts a child that loads the project.
        with files.locked("start") as mine:
            return mine and _child(*build)
    return True


def _child(*arguments: str) -> bool:
    """Run the command in a process that ends with this one; return False if another process is building."""
    ran = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "django", "fallback", *arguments, f"--parent={os.getpid()}"],
        env={**os.environ, **_environment()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_LONGEST,
        check=False,
    )
    if ran.returncode not in (0, BUSY):
        said = ran.stdout.strip().splitlines()[-1:] or ["it said nothing"]
        raise RuntimeError(f"fallback {arguments[0]} ended with status {ran.returncode}: {said[0]}")
    return ran.returncode == 0


def _environment() -> dict[str, str]:
    return {
        "RESILIENCE_ROLE": "command",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "STATIC_DIR": str(conf.static_dir()),
    }


def _checked(known: StaticFile | None) -> StaticFile | None:
    """Return the file that counts now if it is sound, else set it aside. A `known` file is not read again."""
    file = files.current()
    if file == known or files.sound(file):
        return file
    files.set_aside(file, "some of it cannot be read")
    return None


_keeper = Keeper()
run = _keeper.run

start = Start()  # A server calls its `prepare` where it loads the project.


def _forget_after_fork() -> None:
    global start
    start = Start()  # The thread is the parent's.


os.register_at_fork(after_in_child=_forget_after_fork)
