"""Why a call is refused: there is an order, the breaker is open, or others are probing."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .host_state import HostState
from .rules import HALF_OPEN, OPEN, Record

# The reason, and in how many seconds to ask again.
Refused = tuple[str, float]

# While a probe is under way, refused calls are told to try again after this many seconds.
_PROBE_TAKES = 1.0
PROBED: Refused = ("a probe is under way", _PROBE_TAKES)
_STEWARDS: Refused = ("waiting for the steward's probe", _PROBE_TAKES)
_probing: ContextVar[bool] = ContextVar("resilience_probing", default=False)


@contextmanager
def probing() -> Iterator[None]:
    """Mark the calls in the block as a steward's probe: they alone get permits while there is a steward."""
    token = _probing.set(True)
    try:
        yield
    finally:
        _probing.reset(token)


def is_probing() -> bool:
    """Tell whether this is a steward's probe."""
    return _probing.get()


def why_refused(host: HostState, record: Record, now: float) -> Refused | None:
    """Return why a call would be refused now; None if it may be made, perhaps as a probe."""
    if record.admission is not None:
        return None
    override = record.override
    if override is not None:
        rest = host.config.recovery_timeout if override.until is None else override.until - now
        return "isolated by an operator", rest
    if record.state is OPEN and now < record.until:
        return "open", record.until - now
    return _why_no_permit(host, record, now)


def _why_no_permit(host: HostState, record: Record, now: float) -> Refused | None:
    """Return why no probe may be sent, without taking the lock; None if one may."""
    store = host.store
    if host.config.probed and store.layout.whole and not is_probing() and store.lease.holder(now) is not None:
        return _STEWARDS
    if record.state is HALF_OPEN:
        in_force = record.permits_in_force(now, store.alive)
        if len(in_force) >= host.config.half_open_max_calls:
            rest = min(permit.until for permit in in_force) - now
            return PROBED[0], min(rest, _PROBE_TAKES)
    return None
