"""Why a call is refused: by an order, because the breaker is open, or because others are probing."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .host_state import HostState
from .rules import HALF_OPEN, OPEN, Record

# The reason, and in how many seconds to ask again.
Refused = tuple[str, float]

# While a probe is under way, others are told to ask again after so many seconds.
_PROBE_TAKES = 1.0
PROBED: Refused = ("a probe is under way", _PROBE_TAKES)
_STEWARDS: Refused = ("waiting for the steward's probe", _PROBE_TAKES)
_probing: ContextVar[bool] = ContextVar("resilience_probing", default=False)


@contextmanager
def probing() -> Iterator[None]:
    """Mark what runs within as a steward's probe: it alone gets permits while a steward lives."""
    token = _probing.set(True)
    try:
        yield
    finally:
        _probing.reset(token)


def why_refused(host: HostState, record: Record, now: float) -> Refused | None:
    """Say why a call may not be made now; None if it may, perhaps as a probe."""
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
    """Say why no probe may be sent, without asking for the lock."""
    store = host.store
    if (
        host.config.probed
        and store.layout.whole
        and not _probing.get()
        and store.lease.holder(now) is not None
    ):
        return _STEWARDS
    if record.state is HALF_OPEN:
        in_force = record.permits_in_force(now, store.alive)
        if len(in_force) >= host.config.half_open_max_calls:
            rest = min(permit.until for permit in in_force) - now
            return PROBED[0], min(rest, _PROBE_TAKES)
    return None
