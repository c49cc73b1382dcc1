"""Break a dependency on purpose, for a drill: the hooks that adapters call just before the real thing.

A fault lies in the host store, so that all processes of the host have it at once, and it always has an end.
Without `RESILIENCE["DRILLS"]` the hooks do nothing and none can be started.
"""

import random
from collections.abc import Callable
from time import monotonic, sleep

from resilience import conf, registry
from resilience.primitives import current_deadline
from resilience.primitives.store import Fault

KINDS = ("error", "latency", "hang", "flap")
# A drill does these to the server itself, and only notes them here; the hooks let calls pass to it.
REAL = ("kill", "freeze")
# Seconds that a fault may last, so that one that was forgotten ends.
LONGEST = 3_600.0
_WHO = 64
# How often a call that waits looks whether the drill was ended, in seconds.
_STEP = 0.25


def inject(
    name: str,
    *,
    limit: float | None = None,
    error: Callable[[str], Exception] = ConnectionError,
    timeout: Callable[[str], Exception] = TimeoutError,
) -> None:
    """Do to this call of the dependency `name` what the drill of the moment says; usually nothing.

    The adapter says what its client would do: which `error` it would raise for a server that refuses, which
    `timeout` for one that stays silent, and after how many seconds (`limit`, None: never). The current
    deadline ends a wait as well, and so does the fault's end: the call then goes on to the real dependency.
    """
    if not conf.faults_allowed():
        return
    fault = current(name)
    if fault is None or fault.kind in REAL or random.random() >= fault.share:  # noqa: S311 (which calls are hit is no secret)
        return
    if fault.kind == "flap" and int(monotonic() / fault.seconds) % 2:
        return  # Up for `seconds`, down for `seconds`, by the host's clock: all processes together.
    registry.store().counters.add("drilled", name)
    if fault.kind == "latency":
        _wait(name, fault.seconds, limit, timeout)
    elif fault.kind == "hang":
        _wait(name, LONGEST, limit, timeout)
    else:
        raise error(f"a drill lets {name} refuse")


def _wait(name: str, seconds: float, limit: float | None, timeout: Callable[[str], Exception]) -> None:
    """Sleep for `seconds` or until the drill ends; raise a `timeout` when the client would give up first."""
    deadline = current_deadline()
    patience = min(
        limit if limit is not None else LONGEST, deadline.remaining() if deadline is not None else LONGEST
    )
    ends = monotonic() + min(seconds, patience)
    while (left := ends - monotonic()) > 0:
        if current(name) is None:
            return
        sleep(min(left, _STEP))
    if patience <= seconds:
        raise timeout(f"a drill lets {name} wait")


def start(
    name: str,
    kind: str,
    *,
    lasts: float,
    share: float = 1.0,
    seconds: float = 1.0,
    who: str = "",
    ends: float = 0.0,
) -> Fault:
    """Let a share of all calls of the dependency `name` meet a fault, for `lasts` seconds.

    `seconds` is how much later an answer comes (latency), or how long it is down and up in turn (flap);
    operators are shown `who`, and when it `ends` (monotonic) if it is renewed until then. A fault of a kind
    in `REAL` is only made known.
    Raises PermissionError without `RESILIENCE["DRILLS"]`, ValueError for what makes no sense, and
    RuntimeError when the store cannot be had.
    """
    if not conf.faults_allowed():
        raise PermissionError('drills are off: RESILIENCE["DRILLS"] is not true')
    if kind not in KINDS + REAL:
        raise ValueError(f"kind must be one of {', '.join(KINDS + REAL)}, not {kind!r}")
    for field, value, most in (
        ("lasts", lasts, LONGEST),
        ("share", share, 1.0),
        ("seconds", seconds, LONGEST),
    ):
        if not 0 < value <= most:
            raise ValueError(f"{field} must be above 0 and at most {most:g}, not {value!r}")
    now = monotonic()
    fault = Fault(kind=kind, until=now + lasts, share=share, seconds=seconds, who=who[:_WHO], ends=ends)
    if not registry.store().faults.put(name, fault, now):
        raise RuntimeError("the host store is busy: try again")
    return fault


def stop(name: str | None = None) -> None:
    """End the fault of one dependency, or of all. Raises RuntimeError when the store cannot be had."""
    if not registry.store().faults.end(name):
        raise RuntimeError("the host store is busy: try again")


def current(name: str) -> Fault | None:
    """Return the fault of a dependency, if there is one that has not ended."""
    return registry.store().faults.get(name, monotonic())


def hits(name: str) -> int:
    """Return how many calls of a dependency drills have hit on this host, ever."""
    return registry.store().counters.totals().get(("drilled", name), 0)


def active() -> dict[str, Fault]:
    """Return the faults of the moment by dependency; none where drills are off."""
    return registry.store().faults.active(monotonic()) if conf.faults_allowed() else {}
