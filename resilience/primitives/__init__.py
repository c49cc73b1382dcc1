"""Breakers and what stands around a call, in pure Python: no Django in here."""

from .bulkhead import Bulkhead
from .chain import Answer, Chain, NoTierAnsweredError, Tier, TierUnavailableError
from .clock import SYSTEM_CLOCK, Clock, ManualClock
from .config import BreakerConfig, BulkheadConfig
from .deadline import Deadline, budget, current_deadline, deadline_scope
from .errors import (
    BreakerOpenError,
    BulkheadFullError,
    DeadlineExceededError,
    RejectedError,
    ResilienceError,
    StoreUnavailableError,
)
from .retry import Retry

__all__ = [
    "SYSTEM_CLOCK",
    "Answer",
    "BreakerConfig",
    "BreakerOpenError",
    "Bulkhead",
    "BulkheadConfig",
    "BulkheadFullError",
    "Chain",
    "Clock",
    "Deadline",
    "DeadlineExceededError",
    "ManualClock",
    "NoTierAnsweredError",
    "RejectedError",
    "ResilienceError",
    "Retry",
    "StoreUnavailableError",
    "Tier",
    "TierUnavailableError",
    "budget",
    "current_deadline",
    "deadline_scope",
]
