"""The settings of guards. Values that make no sense raise `ValueError` at once."""

from dataclasses import dataclass
from math import isfinite

# The most permits that a breaker's record has room for.
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

    `resilience.primitives.rules.must_open` has the rule that combines the first fields.
    """

    failure_threshold: int = 5
    """failures without a success since the first of them, after which it opens"""
    recovery_timeout: float = 30.0
    """seconds for which it stays open before a probe"""
    window: float = 60.0
    """seconds for which a call counts"""
    minimum_volume: int = 5
    """the least calls in the window with which a share of failures can open it"""
    failure_rate: float = 0.5
    """share of the calls in the window, up to 1, that opens it if they failed or were slow"""
    slow_after: float | None = None
    """seconds after which a call is slow, so that it is no success; `None`: no call is slow"""
    half_open_max_calls: int = 1
    """the most probes at once, on the whole host"""
    success_threshold: int = 1
    """probes that have to succeed to close it"""
    permit_timeout: float | None = None
    """seconds after which a probe that has not ended is given up; `None`: the open time, at least 5 s"""
    backoff: float = 1.0
    """factor by which each further opening in a row lasts longer, less a jitter of up to a tenth"""
    max_open: float | None = None
    """the most seconds that an opening lasts, with a backoff; `None`: no limit"""
    probed: bool = False
    """whether the steward sends the probes instead of requests; set by a `ping` or `probe`"""

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
        """Seconds that a probe may take before its permit is free again."""
        return max(self.recovery_timeout, 5.0) if self.permit_timeout is None else self.permit_timeout


@dataclass(frozen=True, kw_only=True)
class BulkheadConfig:
    """Say how many calls run at once in a process, how many wait, and for how long (seconds)."""

    running: int
    """the most calls at once, in each process"""
    waiting: int = 0
    """the most calls that wait for a place; further ones are refused at once"""
    max_wait: float = 0.1
    """the most seconds that a call waits"""

    def __post_init__(self) -> None:
        _count("running", self.running, 1, "the bulkhead would let nothing through")
        _count("waiting", self.waiting, 0, "fewer than none cannot wait")
        _seconds("max_wait", self.max_wait, "nobody could wait; use waiting=0 to say so")
