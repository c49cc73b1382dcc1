"""Breakers and the other parts of a guard, in pure Python without Django."""

from .breaker import Call, CircuitBreaker, Classify
from .bulkhead import Bulkhead
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
    TierUnavailableError,
)
from .guard import Guard
from .host_state import in_use
from .limits import Decision, Limits
from .own import OwnTroubleError, own_trouble
from .refusing import probing
from .retry import Retry
from .rules import Admission, Outcome, State, cut_short
from .shadow import OverdueError, ShadowBreaker, ShadowBulkhead, as_one, counted_as_cut, measured
from .snapshot import BreakerSnapshot, OverrideInForce
from .store import HostStore, LocalStore, Mark, Role, Store, open_store
from .threads import Threads
from .ticking import TICKS
from .transitions import Transition
from .waiting import Look, wait
