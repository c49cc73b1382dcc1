"""Faults on purpose, for drills: adapters call `inject` just before the real call.

A fault is kept in the host store, so that all processes of the host meet it at once. It always has an end.
Without `RESILIENCE["DRILLS"]` no fault can be started, and `inject` does nothing.
"""

import random
from collections.abc import Callable
from time import monotonic, sleep

from resilience import conf, registry
from resilience.primitives import current_deadline
from resilience.primitives.store import Fault

KINDS = ("error", "latency", "hang", "flap")
# A drill does these to the dependency's server itself. Here they are only noted: `inject` lets calls pass.
REAL = ("kill", "freeze")
# Seconds that a fault may last, so that one that was forgotten ends.
LONGEST = 3_600.0
# The most characters of a name.
_WHO = 64
# Seconds between two looks of a waiting call whether the drill has ended.
_STEP = 0.25


def inject(
    name: str,
    *,
    limit: float | None = None,
    error: Callable[[str], Exception] = ConnectionError,
    timeout: Callable[[str], Exception] = TimeoutError,
) -> None:
    """Apply the current fault of the dependency `name` to this call; usually there is none.

    The adapter passes what its client would raise: `error` for a server that refuses, `timeout` for one that
    is silent for `limit` seconds (None: the client would wait for ever). A wait also ends with the current
    deadline, by `timeout`, and with the fault: the call then goes on to the real dependency.
    """
    if not conf.faults_allowed():
        return
    fault = current(name)
    if fault is None or fault.kind in REAL or random.random() >= fault.share:  # noqa: S311 (which calls are hit is no secret)
        return
    if fault.kind == "flap" and int(monotonic() / fault.seconds) % 2:
        return  # up for `seconds`, down for `seconds`, by the host's clock and so in all processes at once
    registry.store().counters.add("drilled", name)
    if fault.kind == "latency":
        _wait(name, fault.seconds, limit, timeout)
    elif fault.kind == "hang":
        _wait(name, LONGEST, limit, timeout)
    else:
        raise error(f"a drill lets {name} refuse")


def _wait(name: str, seconds: float, limit: float | None, timeout: Callable[[str], Exception]) -> None:
    """Sleep for `seconds` or until the drill ends; raise `timeout` if the client would give up before."""
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

    `seconds` is the delay of an answer (latency), or how long the dependency is down and up in turn (flap).
    Operators are shown `who` and, for a drill that renews its fault, when the drill `ends` (monotonic
    seconds). A fault of a kind in `REAL` is only shown.

    Raises PermissionError without `RESILIENCE["DRILLS"]`, ValueError for a value that makes no sense, and
    RuntimeError if the store is busy.
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
    """End the fault of one dependency, or of all. Raises RuntimeError if the store is busy."""
    if not registry.store().faults.end(name):
        raise RuntimeError("the host store is busy: try again")


def current(name: str) -> Fault | None:
    """Return the current fault of a dependency; None without one."""
    return registry.store().faults.get(name, monotonic())


def hits(name: str) -> int:
    """Return how many calls of a dependency met a fault on this host, since its store was built."""
    return registry.store().counters.totals().get(("drilled", name), 0)


def active() -> dict[str, Fault]:
    """Return the current faults by dependency; none without `RESILIENCE["DRILLS"]`."""
    return registry.store().faults.active(monotonic()) if conf.faults_allowed() else {}
