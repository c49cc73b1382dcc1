"""The settings of `RESILIENCE`, typed. They are read at each call; a project names only what differs."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS
from django.utils.module_loading import import_string

from resilience.conf import databases, usual
from resilience.conf.project import base_dir
from resilience.defaults import CACHE_WRITES, DEADLINES, SETTINGS, cache_writes
from resilience.primitives import BreakerConfig, BulkheadConfig, Classify
from resilience.primitives.store.folder import own

# The keys that a breaker's entry may have beside the fields of `BreakerConfig`.
BESIDE: Mapping[str, str] = {
    "endpoint": "address of what it guards, as host:port/name; by default that in Django's settings, if it "
    "is there. Processes share the breaker's state only if it is the same in each",
    "classify": "dotted path of a function that says how an exception counts; without it each is a failure",
    "ping": "dotted path of a function that asks the dependency once; the steward calls it all the time",
    "probe": "the same for an expensive question: the steward calls it only when the open time is over",
    "shadow": "whether it refuses nothing, and only counts what it would have refused",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ChoreConfig:
    """One chore of the steward: `run` is called with the epoch every `every` seconds, for `limit` at most.

    Raises `ValueError` naming field, rule, value and consequence.
    """

    name: str
    run: str
    """dotted path of a function, which gets the steward's epoch"""
    every: float
    """seconds from the start of one run to that of the next"""
    limit: float = 5.0
    """seconds that one run may take"""

    def __post_init__(self) -> None:
        for name, value in (("every", self.every), ("limit", self.limit)):
            if not value > 0:
                raise ValueError(f"{name} must be above 0, not {value!r}: it would never end or never pause")

    def load(self) -> Callable[[int], None]:
        """Import the function."""
        found: Callable[[int], None] = import_string(self.run)
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertConfig:
    """Where alerts go, and when there is one.

    Raises `ValueError` naming field, rule, value and consequence.
    """

    webhook_url: str = field(default="", repr=False)
    """address to which alerts are posted, in Slack's form; never logged, since it lets anyone post"""
    mail: bool = True
    """whether alerts also go to `ADMINS` by e-mail"""
    open_for: float = 300.0
    """seconds after which a breaker that is still open causes a second alert"""
    flapping: int = 3
    """number of openings within `flapping_within` that cause an alert"""
    flapping_within: float = 300.0
    """seconds in which these openings are counted"""
    override_for: float = 3600.0
    """seconds after which an order causes an alert, since it may be forgotten"""
    quiet: float = 300.0
    """seconds without a thing after which it causes an alert again"""
    queue: int = 100
    """alerts that may wait for one channel; one more, and the oldest is dropped and counted"""
    retry_for: float = 300.0
    """seconds for which an alert that a channel fails to send is tried again; then it is counted as lost"""

    def __post_init__(self) -> None:
        for name in ("open_for", "flapping", "flapping_within", "override_for", "quiet", "queue"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)!r}: alerts would not end")
        if self.retry_for < 0:
            raise ValueError(f"retry_for must be 0 or more, not {self.retry_for!r}: 0 means one try")
        if self.webhook_url and not self.webhook_url.startswith(("https://", "http://")):
            raise ValueError("webhook_url must begin with https:// or http://: alerts would go nowhere")


def get(key: str) -> Any:
    """Return one setting. Raises `KeyError` for an unknown one."""
    given = getattr(settings, "RESILIENCE", {})
    if key == "BREAKERS" and key not in given:
        return usual.breakers()
    return given.get(key, SETTINGS[key].default)


def namespace() -> str:
    """Return the name of this project's store. Raises `ImproperlyConfigured` without one."""
    name = get("NAMESPACE")
    if not name:
        raise ImproperlyConfigured(
            "RESILIENCE['NAMESPACE'] is missing: give this project a short name of its own, "
            "or two projects on one host would share their breakers"
        )
    return str(name)


def directory() -> Path:
    """Return the folder of the host store.

    In a folder that others may write to, this and the two below return a folder of this user inside it.
    """
    chosen = get("DIR") or os.environ.get("RESILIENCE_DIR")
    if chosen:
        return own(Path(chosen))
    memory = Path("/dev/shm")  # noqa: S108 - the folder below it is checked to be our own
    if memory.is_dir() and os.access(memory, os.W_OK):
        return memory / f"resilience-{os.geteuid()}-{namespace()}"
    return _var() / "resilience"


def static_dir(*, inside: bool = True) -> Path:
    """Return the folder of the static copy; with `inside=False` as the settings name it."""
    named = Path(get("STATIC_DIR") or _var() / "static-tier")
    return own(named) if inside else named


def events_dir() -> Path:
    """Return the folder of the host's journal of events."""
    return own(Path(get("EVENTS_DIR") or os.environ.get("RESILIENCE_EVENTS_DIR") or _var() / "events"))


def shadow() -> bool:
    """Tell whether the site is in shadow: nothing is refused, cut or stood in for, only counted."""
    return bool(get("SHADOW"))


def in_shadow(name: str) -> bool:
    """Tell whether a breaker is in shadow, by itself or with the whole site."""
    return shadow() or bool(_beside(name, "shadow"))


def faults_allowed() -> bool:
    """Tell whether drills may break calls on purpose."""
    return bool(get("DRILLS"))


def declared_breakers() -> dict[str, dict[str, Any]]:
    """Return the entry of each breaker: those of `BREAKERS`, and one more for each further database.

    A further database has the entry of `database`, unless `BREAKERS` has one under its own name.
    """
    given: dict[str, dict[str, Any]] = get("BREAKERS")
    first = given.get(databases.BREAKER)
    if first is None:
        return given
    entry = {key: value for key, value in first.items() if key != "endpoint"}
    return given | {name: entry for name in databases.breakers() if name not in given}


def watched_breakers() -> dict[str, dict[str, Any]]:
    """Return the entries of the declared breakers, and that of the breaker of the cache's writes."""
    declared = declared_breakers()
    return declared | ({CACHE_WRITES: cache_writes(declared["cache"])} if "cache" in declared else {})


def breakers() -> dict[str, BreakerConfig]:
    """Return the declared breakers. Raises `ImproperlyConfigured` for an entry that makes no sense."""
    return _breakers(declared_breakers())


def watched() -> dict[str, BreakerConfig]:
    """Return all breakers of the host: see `watched_breakers`."""
    return _breakers(watched_breakers())


def _breakers(entries: dict[str, dict[str, Any]]) -> dict[str, BreakerConfig]:
    return {
        name: _built(
            BreakerConfig,
            "BREAKERS",
            name,
            {"probed": "ping" in values or "probe" in values}
            | {k: v for k, v in values.items() if k not in BESIDE},
        )
        for name, values in entries.items()
    }


def bulkheads() -> dict[str, BulkheadConfig]:
    """Return the declared bulkheads. Raises `ImproperlyConfigured` for an entry that makes no sense."""
    return {
        name: _built(BulkheadConfig, "BULKHEADS", name, values) for name, values in get("BULKHEADS").items()
    }


def chores() -> list[ChoreConfig]:
    """Return the steward's chores. Raises `ImproperlyConfigured` for an entry that makes no sense."""
    return [
        _built(ChoreConfig, "CHORES", name, {"name": name, **values})
        for name, values in get("CHORES").items()
    ]


def alerts() -> AlertConfig:
    """Return the settings of alerts. Raises `ImproperlyConfigured` for a value that makes no sense."""
    try:
        return AlertConfig(**get("ALERTS"))
    except (TypeError, ValueError) as error:
        raise ImproperlyConfigured(f"RESILIENCE['ALERTS']: {error}") from error


def deadline(name: str) -> float:
    """Return a deadline in seconds. Raises `KeyError` for an unknown one."""
    return float(get("DEADLINES").get(name, DEADLINES[name].default))


def deadlines() -> dict[str, float]:
    """Return all deadlines, in seconds."""
    return {name: deadline(name) for name in DEADLINES}


def endpoint(name: str) -> str:
    """Return the address that a breaker guards, without user and password; empty if there is none."""
    declared = _beside(name, "endpoint")
    if declared is not None:
        return _bare(str(declared))
    if name == "auth":
        return databases.endpoint(DEFAULT_DB_ALIAS)
    if (alias := databases.breakers().get(name)) is not None:
        return databases.endpoint(alias)
    if name in ("cache", CACHE_WRITES):
        location = settings.CACHES.get("default", {}).get("LOCATION", "")
        places = [location] if isinstance(location, str) else location
        return ",".join(_bare(str(place)) for place in places)
    return ""


def classify(name: str) -> Classify | None:
    """Return the function that says how an exception counts; None if each one is a failure."""
    path = _beside(name, "classify")
    return None if path is None else import_string(path)


def probes(kind: str) -> dict[str, Callable[[], object]]:
    """Return the functions of one kind, `ping` or `probe`, by breaker. Each asks its dependency once.

    A breaker with neither is probed by the next real call. If a further database uses the entry of
    `database`, its function is called with the alias of that database.
    """
    found = {name: entry.get(kind) for name, entry in watched_breakers().items()}
    aliases = {name: alias for name, alias in databases.breakers().items() if name not in get("BREAKERS")}
    return {
        name: partial(import_string(path), aliases[name]) if name in aliases else import_string(path)
        for name, path in found.items()
        if path is not None
    }


def unknown_keys() -> list[str]:
    """Return the settings that nothing reads, such as misspelt ones, as dotted paths."""
    given = getattr(settings, "RESILIENCE", {})
    unknown = [key for key in given if key not in SETTINGS]
    kinds = (("BREAKERS", BreakerConfig), ("BULKHEADS", BulkheadConfig), ("CHORES", ChoreConfig))
    for section, kind in kinds:
        known = {each.name for each in fields(kind)} | (set(BESIDE) if kind is BreakerConfig else set())
        for name, values in given.get(section, {}).items():
            unknown += [f"{section}.{name}.{key}" for key in values if key not in known]
    unknown += [f"DEADLINES.{key}" for key in given.get("DEADLINES", {}) if key not in DEADLINES]
    known = {each.name for each in fields(AlertConfig)}
    unknown += [f"ALERTS.{key}" for key in given.get("ALERTS", {}) if key not in known]
    return unknown


def _beside(name: str, key: str) -> Any:
    return watched_breakers().get(name, {}).get(key)


def _built(kind: type[Any], section: str, name: str, values: Mapping[str, Any]) -> Any:
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise ImproperlyConfigured(f"RESILIENCE[{section!r}][{name!r}]: {error}") from error


def _bare(place: str) -> str:
    """Return host, port and path of a URL; anything else as it is."""
    parts = urlsplit(place)
    return f"{parts.hostname}:{parts.port}{parts.path}" if parts.hostname else place


def _var() -> Path:
    return base_dir() / "var"
