"""The breakers and bulkheads of this process, by name, and their store.

Each is made when it is first asked for, so that no more than needed is opened before a fork.
"""

import hashlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from circuitbreaker import CircuitBreakerMonitor
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from resilience import causes, conf
from resilience.primitives import (
    SYSTEM_CLOCK,
    Bulkhead,
    CircuitBreaker,
    Clock,
    Guard,
    LocalStore,
    Retry,
    Role,
    ShadowBreaker,
    ShadowBulkhead,
    Store,
    StoreUnavailableError,
    Threads,
    Transition,
    in_use,
    open_store,
)
from resilience.primitives.shadow import note_full, note_late


@dataclass
class Registry:
    """The store, breakers and bulkheads of a process. Tests make their own (`resilience.testing`)."""

    clock: Clock = SYSTEM_CLOCK
    store: Store | None = None
    names: list[str] = field(default_factory=list)
    breakers: dict[str, CircuitBreaker] = field(default_factory=dict)
    bulkheads: dict[str, Bulkhead] = field(default_factory=dict)
    threads: Threads | None = None


_registry = Registry()
# Held while an object of `_registry` is made. Looking one up needs no lock.
_lock = threading.RLock()
# These are called for each transition that this process makes, of any breaker.
_listeners: list[Callable[[Transition], None]] = []


def listen(listener: Callable[[Transition], None]) -> None:
    """Call `listener` for each transition that this process makes, of the breakers made from now on."""
    if listener not in _listeners:
        _listeners.append(listener)


def role() -> Role:
    """Return this process's role, by `RESILIENCE_ROLE`: guarded ("server"), or not ("command")."""
    if _registry.store is not None:
        return _registry.store.role
    chosen = os.environ.get("RESILIENCE_ROLE", "command")
    if chosen == "server":
        return "server"
    if chosen == "command":
        return "command"
    raise ImproperlyConfigured(f"RESILIENCE_ROLE must be server or command, not {chosen!r}")


def is_server() -> bool:
    """Tell whether this process is guarded: its calls are counted, may be refused, and have deadlines."""
    return role() == "server"


def enforces() -> bool:
    """Tell whether this process may refuse calls, cut them and answer in their place.

    A server may, unless the site is in shadow: then its calls are counted, and all else is plain Django.
    """
    return is_server() and not conf.shadow()


def store() -> Store:
    """Return the host's store; without one, a store of this process alone, which logs that once."""
    if _registry.store is None:
        with _lock:
            if _registry.store is None:
                _registry.store = _open()
    return _registry.store


def host_store() -> Store:
    """Return the host's store, for a command that needs it. Raises `StoreUnavailableError` without one."""
    found = store()
    if found.kind == "host" or found.role == "server":
        return found
    # The server may have started, and built the store, after this command.
    found = open_store(conf.directory(), conf.namespace(), role="command", create=False)
    use(Registry(clock=_registry.clock, store=found))
    return found


def shared() -> bool:
    """Tell whether processes of the host share all breakers: the store exists and has room for each."""
    return store().kind == "host" and all(breaker(name).shared for name in conf.declared_breakers())


def clock() -> Clock:
    """Return the clock of breakers and lease."""
    return _registry.clock


def breaker(name: str) -> CircuitBreaker:
    """Return a breaker: host-wide if it is declared in `RESILIENCE`, else of this process alone."""
    found = _registry.breakers.get(name)
    return _make_breaker(name) if found is None else found


def bulkhead(name: str) -> Bulkhead:
    """Return a declared bulkhead. Raises `LookupError`, with the declared names, for any other."""
    found = _registry.bulkheads.get(name)
    return _make_bulkhead(name) if found is None else found


def threads() -> Threads:
    """Return the threads of this process that serve requests: as many as `WEB_THREADS` says, if it does."""
    if _registry.threads is None:
        with _lock:
            if _registry.threads is None:
                _registry.threads = Threads(getattr(settings, "WEB_THREADS", None))
    return _registry.threads


def guard(
    name: str, *, pool: str | None = None, retry: Retry | None = None, limit: float | None = None
) -> Guard:
    """Return a guard, to be put around each call of a dependency: bulkhead, retry, breaker and deadline.

    `pool` names a bulkhead, `limit` is in seconds; `Guard.call` says what they do and raise.
    """
    return Guard(
        name,
        bulkhead=None if pool is None else bulkhead(pool),
        retry=retry,
        breaker=breaker(name),
        limit=limit,
        clock=_registry.clock,
        late=partial(note_overdue, name) if conf.shadow() else None,
    )


def note_overdue(what: str, seconds: float, *, ends: bool = True) -> None:
    """Count in shadow that a call, or a request, went on for so many seconds after its deadline.

    After a cut that `ends` the request no other counts in it.
    """
    if is_server():
        note_late(store(), what, seconds, ends=ends)


def breakers() -> dict[str, CircuitBreaker]:
    """Return all declared breakers, in the order of the settings."""
    return {name: breaker(name) for name in conf.breakers()}


def watched() -> dict[str, CircuitBreaker]:
    """Return the declared breakers and that of the cache's writes, for alerts and metrics."""
    return {name: breaker(name) for name in conf.watched()}


def served() -> list[str]:
    """Return the names of the declared breakers that server processes of this host use.

    If one is missing, the servers do not run, or have other settings.
    """
    return [name for name in conf.declared_breakers() if in_use(store(), _key(name))]


def states() -> dict[str, str]:
    """Return the state of each declared breaker as people see it: `CLOSED`, `OPEN` or `HALF_OPEN`."""
    names = _registry.names
    if not names:  # each response has these as headers, so the names are looked up once
        names[:] = conf.declared_breakers()
    return {name: breaker(name).shown().value for name in names}


def forget() -> None:
    """Forget everything that was made of the settings: they have changed."""
    use(Registry(clock=_registry.clock))


def use(registry: Registry) -> Registry:
    """Replace the registry; return the one before."""
    global _registry
    with _lock:
        before, _registry = _registry, registry
    return before


def _open() -> Store:
    chosen = role()
    try:
        return open_store(conf.directory(), conf.namespace(), role=chosen, create=chosen == "server")
    except StoreUnavailableError:
        # A command is not guarded, so any store will do. One that reads or steers calls `host_store`.
        return LocalStore(role=chosen)


def _key(name: str) -> str:
    """Return the key of a breaker in the store. It holds the endpoint: another one has another breaker."""
    return f"{name}@{hashlib.blake2b(conf.endpoint(name).encode(), digest_size=8).hexdigest()}"


def _make_breaker(name: str) -> CircuitBreaker:
    with _lock:
        made = _registry.breakers.get(name)
        if made is None:
            config = conf.watched().get(name)
            kind: Callable[..., CircuitBreaker] = CircuitBreaker
            if conf.in_shadow(name):
                kind = partial(ShadowBreaker, counted_in=store())
            made = kind(
                name=name,
                config=config,
                # One that is not declared is this process's own.
                store=None if config is None else store(),
                key=_key(name),
                classify=conf.classify(name),
                describe=causes.describe,
                clock=_registry.clock,
                # A test may move the clock; a socket waits for real seconds.
                stopwatch=time.monotonic,
            )
            for listener in _listeners:
                made.on_transition(listener)
            _registry.breakers[name] = made
            CircuitBreakerMonitor.register(made)
        return made


def _make_bulkhead(name: str) -> Bulkhead:
    with _lock:
        made = _registry.bulkheads.get(name)
        if made is None:
            declared = conf.bulkheads()
            if name not in declared:
                raise LookupError(
                    f"no bulkhead {name!r} in RESILIENCE: {', '.join(declared) or 'none at all'}"
                )
            kind: Callable[..., Bulkhead] = Bulkhead
            if conf.shadow():
                kind = partial(ShadowBulkhead, full=partial(_note_full, name))
            made = kind(name, declared[name], threads=threads(), on_change=_show)
            _registry.bulkheads[name] = made
        return made


def _note_full(name: str) -> None:
    note_full(store(), name)


def _show(pool: Bulkhead) -> None:
    store().pools.put(
        pool.name,
        in_use=pool.in_use,
        waiting=pool.waiting,
        limit=pool.config.running,
        rejected=pool.rejected,
    )


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_after_fork_in_child)
