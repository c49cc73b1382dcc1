"""The extras of the distribution: what each one brings, and which settings of a project need one.

The app alone needs Django and circuitbreaker. What needs more is imported only where the settings ask
for it. A project whose settings ask for an extra that is not installed is told so at its start, in one
message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from resilience.conf import caches
from resilience.conf.databases import ENGINES

# The packages, by the name under which they are imported.
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "postgres": ("psycopg",),
    "redis": ("redis", "django_redis"),
    "drf": ("rest_framework",),
    "http": ("requests",),
    "metrics": ("prometheus_client",),
    "copies": ("storages",),
}


@cache
def is_absent(extra: str) -> bool:
    """Tell whether a package of an extra is not installed."""
    return any(find_spec(package) is None for package in EXTRAS[extra])


def refuse_settings_without_their_extra() -> None:
    """Raise `ImproperlyConfigured` if settings ask for extras that are not installed, naming all of them."""
    lacking = [(extra, what) for extra, what in _asked_for() if is_absent(extra)]
    if not lacking:
        return
    names = ",".join(dict.fromkeys(extra for extra, _ in lacking))
    said = "; ".join(f"{what} needs the extra {extra!r}" for extra, what in lacking)
    raise ImproperlyConfigured(f"{said}: pip install 'django-resilience[{names}]'")


def modules() -> list[str]:
    """Return the modules that this project's settings ask for, and that import packages of an extra.

    A server imports them at its start: in an outage it may have run out of descriptors, and could not.
    """
    given = _resilience()
    inner = [path.rpartition(".")[0] for _, path in _inner_on_redis()]
    return [
        module
        for module, asked in (
            ("resilience.cache", inner),
            ("resilience.cache.redis.factories", inner),
            *((module, True) for module in dict.fromkeys(inner)),
            ("resilience.http", any(_classified_by_http())),
            ("resilience.observe.metrics", given.get("METRICS_PATH")),
            ("resilience.alerts.webhook", given.get("ALERTS", {}).get("webhook_url")),
        )
        if asked
    ]


def _asked_for() -> Iterator[tuple[str, str]]:
    """Yield each extra that a setting asks for, and the setting."""
    for alias, database in settings.DATABASES.items():
        if database.get("ENGINE") == ENGINES[0]:
            yield "postgres", f"DATABASES['{alias}']['ENGINE'], {ENGINES[0]},"
    for alias, inner in _inner_on_redis():
        if not inner.startswith("django.") or find_spec("redis") is None:  # Django's own needs redis-py alone
            yield "redis", f"CACHES['{alias}']['OPTIONS']['INNER'], {inner},"
    given = _resilience()
    for name, path in _classified_by_http():
        yield "http", f"RESILIENCE['BREAKERS']['{name}']['classify'], {path},"
    if given.get("ALERTS", {}).get("webhook_url"):
        yield "http", "RESILIENCE['ALERTS']['webhook_url']"
    if given.get("METRICS_PATH"):
        yield "metrics", "RESILIENCE['METRICS_PATH']"
    storage = str(getattr(settings, "STORAGES", {}).get("resilience", {}).get("BACKEND", ""))
    if storage.startswith("storages."):
        yield "copies", f"STORAGES['resilience']['BACKEND'], {storage},"


def _inner_on_redis() -> Iterator[tuple[str, str]]:
    """Yield the alias and the backend of each guarded cache on Redis."""
    for alias, entry in settings.CACHES.items():
        inner = str(entry.get("OPTIONS", {}).get("INNER", ""))
        if entry.get("BACKEND") in caches.GUARDED_CACHES and inner.startswith(caches.ON_REDIS):
            yield alias, inner


def _classified_by_http() -> Iterator[tuple[str, str]]:
    """Yield each breaker whose failures `resilience.http` tells, and the path of what tells them."""
    for name, breaker in _resilience().get("BREAKERS", {}).items():
        path = str(breaker.get("classify", ""))
        if path.startswith("resilience.http."):
            yield name, path


def _resilience() -> Mapping[str, Any]:
    given: Mapping[str, Any] = getattr(settings, "RESILIENCE", {})
    return given
