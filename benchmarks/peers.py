"""Say for each breaker library how one decorates a function with it, as its own documentation shows.

All get the same rule as far as they can express it: three failures open, half-open after `recovery` seconds,
one success closes. Each is imported when it is asked for, so that one that cannot be had costs only its row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

THRESHOLD = 3
WINDOW = 30.0
Function = Callable[[], None]
Decorate = Callable[[Function], Function]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where shared state lives for one measurement, and how long a breaker stays open (seconds)."""

    recovery: float
    folder: Path
    redis_port: int | None


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One row of the table. `build` returns the decorator; `refusal` names what a refused call raises."""

    label: str
    distribution: str | None
    window: str
    build: Callable[[Place], Decorate]
    refusal: Callable[[], type[BaseException]]

    @property
    def title(self) -> str:
        return (
            self.label if self.distribution is None else f"{self.label} {metadata.version(self.distribution)}"
        )


def _config(place: Place) -> Any:
    # The minimum volume keeps the rule of the rate out of it, as with the peers that have one.
    return import_module("resilience.primitives").BreakerConfig(
        failure_threshold=THRESHOLD,
        recovery_timeout=place.recovery,
        window=WINDOW,
        minimum_volume=1_000_000_000,
    )


def _ours_host(place: Place) -> Any:
    module = import_module("resilience.primitives")
    store = module.HostStore(place.folder, "bench", role="server", create=True)
    return module.CircuitBreaker(name="bench", config=_config(place), store=store)


def _ours_calling(place: Place) -> Decorate:
    """Return what decorates as database, cache, sign-in and partners make their calls."""
    breaker = _ours_host(place)

    def decorate(function: Function) -> Function:
        def call() -> None:
            with breaker.calling("query"):
                function()

        return call

    return decorate


def _ours_local(place: Place) -> Decorate:
    decorate: Decorate = import_module("resilience.primitives").CircuitBreaker(
        name="bench", config=_config(place)
    )
    return decorate


def _circuitbreaker(place: Place) -> Decorate:
    module = import_module("circuitbreaker")
    decorate: Decorate = module.circuit(failure_threshold=THRESHOLD, recovery_timeout=place.recovery)
    return decorate


def _pybreaker(place: Place) -> Decorate:
    module = import_module("pybreaker")
    decorate: Decorate = module.CircuitBreaker(fail_max=THRESHOLD, reset_timeout=place.recovery)
    return decorate


def _pybreaker_redis(place: Place) -> Decorate:
    if place.redis_port is None:
        raise RuntimeError("no redis-server on this machine")
    module = import_module("pybreaker")
    client = import_module("redis").Redis(host="127.0.0.1", port=place.redis_port)
    # A name of its own for each measurement: the folder's.
    storage = module.CircuitRedisStorage(module.STATE_CLOSED, client, namespace=place.folder.name)
    decorate: Decorate = module.CircuitBreaker(
        fail_max=THRESHOLD, reset_timeout=place.recovery, state_storage=storage
    )
    return decorate


def _aiobreaker(place: Place) -> Decorate:
    module = import_module("aiobreaker")
    decorate: Decorate = module.CircuitBreaker(
        fail_max=THRESHOLD, timeout_duration=timedelta(seconds=place.recovery)
    )
    return decorate


def _purgatory(place: Place) -> Decorate:
    factory = import_module("purgatory").SyncCircuitBreakerFactory()
    decorate: Decorate = factory("bench", threshold=THRESHOLD, ttl=place.recovery)
    return decorate


def _interlock(place: Place) -> Decorate:
    module = import_module("interlock")
    config = module.Config(
        failure_rate_threshold=1.0,
        minimum_number_of_calls=THRESHOLD,
        permitted_calls_in_half_open=1,
        wait_duration_in_open=place.recovery,
        window_type=module.WindowType.TIME_BASED,
        window_size=int(WINDOW),
    )
    decorate: Decorate = module.CircuitBreaker(name="bench", config=config)
    return decorate


def _resilient_circuit(place: Place) -> Decorate:
    decorate: Decorate = import_module("resilient_circuit").CircuitProtectorPolicy(
        failure_limit=Fraction(THRESHOLD, THRESHOLD + 1),  # "3 of 3" would be reduced to 1 of 1.
        success_limit=Fraction(1, 1),
        cooldown=timedelta(seconds=place.recovery),
    )
    return decorate


def _pyresilience(place: Place) -> Decorate:
    module = import_module("pyresilience")
    config = module.CircuitBreakerConfig(
        failure_threshold=THRESHOLD, recovery_timeout=place.recovery, success_threshold=1
    )
    decorate: Decorate = module.resilient(circuit_breaker=config)
    return decorate


def _error(module: str, name: str) -> Callable[[], type[BaseException]]:
    def find() -> type[BaseException]:
        found: type[BaseException] = getattr(import_module(module), name)
        return found

    return find


CALLING = Peer(
    label="ours, host store, by calling",
    distribution=None,
    window="yes",
    build=_ours_calling,
    refusal=_error("resilience.primitives", "BreakerOpenError"),
)
OURS = (
    CALLING,
    Peer(
        label="ours, host store",
        distribution=None,
        window="yes",
        build=_ours_host,
        refusal=_error("resilience.primitives", "BreakerOpenError"),
    ),
    Peer(
        label="ours, one process",
        distribution=None,
        window="yes",
        build=_ours_local,
        refusal=_error("resilience.primitives", "BreakerOpenError"),
    ),
)

PEERS = (
    Peer(
        label="circuitbreaker",
        distribution="circuitbreaker",
        window="no",
        build=_circuitbreaker,
        refusal=_error("circuitbreaker", "CircuitBreakerError"),
    ),
    Peer(
        label="pybreaker",
        distribution="pybreaker",
        window="no",
        build=_pybreaker,
        refusal=_error("pybreaker", "CircuitBreakerError"),
    ),
    Peer(
        label="aiobreaker",
        distribution="aiobreaker",
        window="no",
        build=_aiobreaker,
        refusal=_error("aiobreaker", "CircuitBreakerError"),
    ),
    Peer(
        label="purgatory",
        distribution="purgatory",
        window="no",
        build=_purgatory,
        refusal=_error("purgatory.domain.model", "OpenedState"),
    ),
    Peer(
        label="interlock-cb",
        distribution="interlock-cb",
        window="yes",
        build=_interlock,
        refusal=_error("interlock", "CircuitOpenError"),
    ),
    Peer(
        label="resilient-circuit",
        distribution="resilient-circuit",
        window="no (by count)",
        build=_resilient_circuit,
        refusal=_error("resilient_circuit.exceptions", "ProtectedCallError"),
    ),
    Peer(
        label="pyresilience",
        distribution="pyresilience",
        window="no (by count)",
        build=_pyresilience,
        refusal=_error("pyresilience", "CircuitOpenError"),
    ),
    Peer(
        label="pybreaker on Redis",
        distribution="pybreaker",
        window="no",
        build=_pybreaker_redis,
        refusal=_error("pybreaker", "CircuitBreakerError"),
    ),
)
