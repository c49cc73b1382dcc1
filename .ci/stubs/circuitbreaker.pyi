"""What we use of circuitbreaker 2.1.3, which ships no types."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

STATE_CLOSED: str
STATE_OPEN: str
STATE_HALF_OPEN: str

class CircuitBreaker:
    FAILURE_THRESHOLD: int
    RECOVERY_TIMEOUT: float
    EXPECTED_EXCEPTION: Any
    FALLBACK_FUNCTION: Callable[..., Any] | None
    is_failure: Callable[[type[BaseException], BaseException | None], bool]
    _last_failure: BaseException | None
    _failure_threshold: int
    _recovery_timeout: float
    _fallback_function: Callable[..., Any] | None
    _name: str | None
    _opened: float
    def __init__(
        self,
        failure_threshold: int | None = None,
        recovery_timeout: float | None = None,
        expected_exception: Any = None,
        name: str | None = None,
        fallback_function: Callable[..., Any] | None = None,
    ) -> None: ...
    def __call__(self, wrapped: F) -> F: ...
    def decorate(self, function: F) -> F: ...
    @property
    def state(self) -> str: ...
    @property
    def open_until(self) -> datetime: ...
    @property
    def open_remaining(self) -> int: ...
    @property
    def failure_count(self) -> int: ...
    @property
    def closed(self) -> bool: ...
    @property
    def opened(self) -> bool: ...
    @property
    def name(self) -> str: ...
    @property
    def last_failure(self) -> BaseException | None: ...
    @property
    def fallback_function(self) -> Callable[..., Any] | None: ...

class CircuitBreakerError(Exception):
    _circuit_breaker: CircuitBreaker
    def __init__(self, circuit_breaker: CircuitBreaker, *args: object) -> None: ...

class CircuitBreakerMonitor:
    circuit_breakers: dict[str, CircuitBreaker]
    @classmethod
    def register(cls, circuit_breaker: CircuitBreaker) -> None: ...
    @classmethod
    def all_closed(cls) -> bool: ...
    @classmethod
    def get_circuits(cls) -> Iterable[CircuitBreaker]: ...
    @classmethod
    def get(cls, name: str) -> CircuitBreaker | None: ...
    @classmethod
    def get_open(cls) -> Iterable[CircuitBreaker]: ...
    @classmethod
    def get_closed(cls) -> Iterable[CircuitBreaker]: ...

def circuit(
    failure_threshold: Any = None,
    recovery_timeout: float | None = None,
    expected_exception: Any = None,
    name: str | None = None,
    fallback_function: Callable[..., Any] | None = None,
    cls: type[CircuitBreaker] = ...,
) -> Any: ...
