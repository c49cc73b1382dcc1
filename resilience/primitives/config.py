"""What a guard may be told: frozen, keyword-only, and refused at once where it makes no sense."""

from dataclasses import dataclass
from math import isfinite

# A permit is an entry of a breaker's record, which has room for so many.
MAX_PERMITS = 16


def _refuse(field: str, value: object, rule: str, consequence: str) -> None:
    raise ValueError(f"{field} must be {rule}, not {value!r}: {consequence}")


def _seconds(field: str, value: float, consequence: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value <= 0:
        _refuse(field, value, "a number of seconds above 0", consequence)


def _count(field: str, value: int, least: int, consequence: str, most: int | None = None) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        _refuse(field, value, f"a whole number of at least {least}", consequence)
    if most is not None and value > most:
        _refuse(field, value, f"at most {most}", consequence)


@dataclass(frozen=True, kw_only=True)
class BreakerConfig:
    """Say when a breaker opens, for how long, and what closes it. Durations are seconds.

    The rule that joins the first fields is written at `resilience.primitives.rules.must_open`.
    """

    failure_threshold: int = 5
    """failures that open it, when no call has succeeded since the first of them"""
    recovery_timeout: float = 30.0
    """seconds that it stays open, until a probe"""
    window: float = 60.0
    """seconds for which a call counts"""
    minimum_volume: int = 5
    """calls in the window, below which no share of failures opens it"""
    failure_rate: float = 0.5
    """share of the calls in the window, up to 1: when as many have failed or were slow, it opens"""
    slow_after: float | None = None
    """seconds after which a call is slow, which is no success; `None`: no call is slow"""
    half_open_max_calls: int = 1
    """probes at once, on the whole host"""
    success_threshold: int = 1
    """probes that have to succeed to close it"""
    permit_timeout: float | None = None
    """seconds after which a probe that has not ended is given up; `None`: the open time, at least 5 s"""
    backoff: float = 1.0
    """how many times longer each further opening in a row lasts, less up to a tenth of jitter"""
    max_open: float | None = None
    """seconds that an opening lasts at most, with a backoff; `None`: no limit"""
    probed: bool = False
    """whether a steward sends the probes, so that no request has to; set by a `ping` or `probe`"""

    def __post_init__(self) -> None:
        _count("failure_threshold", self.failure_threshold, 1, "the breaker would open without a failure")
        _seconds("recovery_timeout", self.recovery_timeout, "an open breaker would refuse nothing")
        _seconds("window", self.window, "no failure would ever be remembered")
        _count("minimum_volume", self.minimum_volume, 1, "a rate needs calls")
        if not 0 < self.failure_rate <= 1:
            _refuse("failure_rate", self.failure_rate, "above 0 and at most 1", "it is a share of the calls")
        if self.slow_after is not None:
            _seconds("slow_after", self.slow_after, "every call would be slow")
        _count(
            "half_open_max_calls",
            self.half_open_max_calls,
            1,
            "the breaker would never close, or flood a dependency that is barely up",
            most=MAX_PERMITS,
        )
        _count("success_threshold", self.success_threshold, 1, "the breaker would close without a success")
        if self.permit_timeout is not None:
            _seconds("permit_timeout", self.permit_timeout, "a permit would lapse before its probe began")
        if not isfinite(self.backoff) or self.backoff < 1:
            _refuse("backoff", self.backoff, "at least 1", "the open time would shrink in an outage")
        if self.max_open is not None and not self.recovery_timeout <= self.max_open < float("inf"):
            _refuse("max_open", self.max_open, "at least recovery_timeout", "no opening could be that short")

    @property
    def permit_lasts(self) -> float:
        """How long a probe may take before its permit is free again, in seconds."""
        return max(self.recovery_timeout, 5.0) if self.permit_timeout is None else self.permit_timeout


@dataclass(frozen=True, kw_only=True)
class BulkheadConfig:
    """Say how many calls run at once in a process, how many wait, and for how long (seconds)."""

    running: int
    """calls at once, in each process"""
    waiting: int = 0
    """calls that may wait for a place; further ones are refused at once"""
    max_wait: float = 0.1
    """seconds that they wait"""

    def __post_init__(self) -> None:
        _count("running", self.running, 1, "the bulkhead would let nothing through")
        _count("waiting", self.waiting, 0, "fewer than none cannot wait")
        _seconds("max_wait", self.max_wait, "nobody could wait; use waiting=0 to say so")
