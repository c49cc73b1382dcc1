"""Breakers and what stands around a call, in pure Python: no Django in here."""

from .clock import SYSTEM_CLOCK, Clock, ManualClock
from .config import BreakerConfig, BulkheadConfig
from .errors import (
    BreakerOpenError,
    BulkheadFullError,
    DeadlineExceededError,
    RejectedError,
    ResilienceError,
    StoreUnavailableError,
)

__all__ = [
    "SYSTEM_CLOCK",
    "BreakerConfig",
    "BreakerOpenError",
    "BulkheadConfig",
    "BulkheadFullError",
    "Clock",
    "DeadlineExceededError",
    "ManualClock",
    "RejectedError",
    "ResilienceError",
    "StoreUnavailableError",
]
