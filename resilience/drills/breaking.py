"""Break the dependencies of a drill, and repair them at its end, also if it is interrupted."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from resilience import faults
from resilience.drills.plan import Plan
from resilience.drills.server import LocalServer
from resilience.journal import events
from resilience.net.pings import ask_all

RESTART_WITHIN = 300.0
"""The seconds within which a killed server has to be started again."""

# Seconds after which a fault ends unless the drill renews it, since a drill may be killed or stopped.
_LEASE = 5.0
# Seconds between two renewals.
_RENEW = 1.0
# How many times the end of a fault is tried while the store is busy.
_ATTEMPTS = 20
# Seconds for which each look waits for a restarted server.
_LOOK = 0.5


@dataclass(frozen=True, kw_only=True)
class Target:
    """A real server to kill or freeze; `restart` is a command that starts it again, or ""."""

    server: LocalServer
    restart: str = ""


@contextmanager
def broken(
    plan: Plan, *, who: str, target: Target | None = None, say: Callable[[str], None] = lambda _: None
) -> Iterator[Callable[[], bool]]:
    """Keep the plan's dependencies broken during the block; record beginning and end in the journal.

    Yields a function to call when the time of the fault is over. It tells whether the block may end: a killed
    server has to be started again first. Raises the errors of `faults.start`, and RuntimeError if a server
    cannot be broken or does not start.
    """
    notice = _Notice(plan, who)
    try:
        notice.put()
        for name in plan.names:
            _record(plan, name, who, "begins")
        with notice.renewed():
            if plan.kind == "freeze" and target is not None:
                with target.server.frozen(at_most=plan.seconds + _LEASE):
                    yield lambda: True
            elif plan.kind == "kill" and target is not None:
                with _killed(plan, target, notice, say) as repaired:
                    yield repaired
            else:
                yield lambda: True
    finally:
        for name in notice.begun:
            _stop(name)
            _record(plan, name, who, "ends")


class _Notice:
    """The fault's entry in the host's store, which hooks and operators see."""

    def __init__(self, plan: Plan, who: str) -> None:
        self._plan = plan
        self._who = who
        self._ends = time.monotonic() + plan.seconds
        self.begun: list[str] = []

    def put(self) -> None:
        """Write it for the time of a lease. Raises the errors of `faults.start`."""
        for name in self._plan.names:
            faults.start(
                name,
                self._plan.kind,
                lasts=_LEASE,
                share=self._plan.share,
                seconds=self._plan.delay,
                who=self._who,
                ends=self._ends,
            )
            if name not in self.begun:
                self.begun.append(name)

    def prolong(self, seconds: float) -> None:
        """Prolong it to `seconds` from now."""
        self._ends = time.monotonic() + seconds

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Keep renewing it during the block."""
        over = threading.Event()

        def renew() -> None:
            while not over.wait(_RENEW):
                with suppress(RuntimeError):  # the store is busy: there is time to try again
                    self.put()

        thread = threading.Thread(target=renew, name="drill-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@contextmanager
def _killed(
    plan: Plan, target: Target, notice: _Notice, say: Callable[[str], None]
) -> Iterator[Callable[[], bool]]:
    (name,) = plan.names
    restart = _Restart(target.restart)
    waited_for = False

    def repaired() -> bool:
        nonlocal waited_for
        if not waited_for:
            waited_for = True
            notice.prolong(RESTART_WITHIN)
            restart.begin()
            if not target.restart:
                say(f"start the server of {name} again: it is waited for, {RESTART_WITHIN:g} s at most")
        restart.check()
        return not ask_all(_LOOK, names=[name])[name].error

    try:
        target.server.kill()
    except ProcessLookupError as error:
        raise RuntimeError(f"the server of {name} ended before the drill broke it") from error
    try:
        yield repaired
    finally:
        restart.begin()


class _Restart:
    """The operator's command that starts a killed server again, run once; it may be empty."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        if not self._command or self._process is not None:
            return
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (the server may write to it as long as it lives)
        self._process = subprocess.Popen(  # noqa: S603 (without a shell)
            shlex.split(self._command),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,  # a server in the foreground outlives the drill
        )

    def check(self) -> None:
        """Raise RuntimeError if the command has failed."""
        status = self._process.poll() if self._process is not None else None
        if status:
            self._output.seek(0)
            said = self._output.read(2_000).decode(errors="replace").strip()
            raise RuntimeError(f"the server is dead: {self._command!r} ended with {status}: {said}")


def _stop(name: str) -> None:
    for _ in range(_ATTEMPTS - 1):
        with suppress(RuntimeError):
            faults.stop(name)
            return
    faults.stop(name)


def _record(plan: Plan, name: str, who: str, phase: str) -> None:
    events.record(
        "drill",
        breaker=name,
        who=who,
        why=f"a drill {phase}: {plan.kind}",
        phase=phase,
        fault=plan.kind,
        share=plan.share,
        delay=plan.delay,
        lasts=plan.seconds,
    )
