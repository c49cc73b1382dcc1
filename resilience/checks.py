"""System checks: they refuse a configuration that would fail in an outage, before there is one."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS
from django.utils.module_loading import import_string

from resilience import conf
from resilience.answers.checks import check_marks
from resilience.conf import capacity
from resilience.conf.caches import GUARDED_CACHES, WITHOUT_SERVER, is_any_guarded
from resilience.conf.checks import cannot_import, check_base_dir, check_settings
from resilience.conf.databases import ENGINES, STATIC_ALIAS
from resilience.db.checks import check_pings
from resilience.db.postgresql.checks import DATABASE_CHECKS, check_pool_options
from resilience.observe.checks import check_log_handlers, look_at_folders, write_into_folders

MIDDLEWARE = "resilience.middleware.ResilienceMiddleware"
CACHE = "resilience.cache.ResilientCache"
# `Connection.wait` takes a time-out since 3.3.6; the next minor version may change it.
PSYCOPG = ((3, 3, 6), (3, 4))

# Pairs of time-outs. The first must end before the second: its error says more, and leaves time for the rest.
ORDER = (
    ("lock", "statement"),
    ("statement", "read"),
    ("statement", "write"),
    ("connect", "read"),
    ("health_check", "read"),
    ("cache", "read"),
    ("http_connect", "http_total"),
    ("http_total", "read"),
)


def check_databases(**_: Any) -> Iterator[CheckMessage]:
    """E010 to W013: each database is guarded, and its driver fits."""
    for alias, database in settings.DATABASES.items():
        if alias == STATIC_ALIAS:
            continue
        engine = database["ENGINE"]
        if engine not in ENGINES:
            # A site may need another engine for a further database, so that is only a warning.
            lives = alias == DEFAULT_DB_ALIAS
            yield (Error if lives else Warning)(
                f"DATABASES['{alias}'] is not guarded: its engine is {engine}.",
                hint=f"Use {' or '.join(ENGINES)}: Django's own engine behind a breaker and deadlines.",
                id="resilience.E010" if lives else "resilience.W013",
            )
        if engine == ENGINES[0] and not PSYCOPG[0] <= _version(driver := _psycopg()) < PSYCOPG[1]:
            yield Error(
                f"The engine cannot bound the waits of psycopg {driver}.",
                hint="Install psycopg>=3.3.6,<3.4.",
                id="resilience.E012",
            )


def check_cache(**_: Any) -> Iterator[CheckMessage]:
    """E020 to E022: each cache is guarded and can be made, and its breaker sees every failure."""
    for alias, cache in settings.CACHES.items():
        if cache["BACKEND"] in WITHOUT_SERVER:
            continue
        if cache["BACKEND"] not in GUARDED_CACHES:
            yield Error(
                f"CACHES['{alias}'] is not guarded: its backend is {cache['BACKEND']}.",
                hint=f"Use {CACHE}, with the present backend as OPTIONS['INNER'].",
                id="resilience.E020",
            )
        elif wrong := _wrong_with_cache(alias):
            yield Error(
                f"CACHES['{alias}'] cannot work: {wrong}.",
                hint="Correct it: nothing would ever be read from this cache, and its breaker would open.",
                id="resilience.E022",
            )
    if getattr(settings, "DJANGO_REDIS_IGNORE_EXCEPTIONS", False):
        yield Error(
            "DJANGO_REDIS_IGNORE_EXCEPTIONS hides every failure from the cache's breaker.",
            hint=f"Remove it: {CACHE} swallows them after it has counted them.",
            id="resilience.E021",
        )


def check_what_is_kept(**_: Any) -> Iterator[CheckMessage]:
    """E023 and W024: the guarded caches can hold what is kept there, and sessions are not there alone."""
    if is_any_guarded():
        from resilience.cache.checks import (
            check_sessions,
            check_what_is_cached,
        )  # only such a cache needs them

        yield from check_what_is_cached()
        yield from check_sessions()


def check_middleware(**_: Any) -> Iterator[CheckMessage]:
    """E030: our middleware is the first."""
    if MIDDLEWARE not in settings.MIDDLEWARE or settings.MIDDLEWARE[0] != MIDDLEWARE:
        yield Error(
            f"{MIDDLEWARE} is not the first middleware.",
            hint="Put it first: liveness must answer before hosts are checked, and an outage in any other "
            "middleware would be a 500.",
            id="resilience.E030",
        )


def check_deadlines(**_: Any) -> Iterator[CheckMessage]:
    """E040: no time-out outlasts the one around it."""
    deadlines = conf.deadlines()
    for inner, outer in ORDER:
        if deadlines[inner] >= deadlines[outer]:
            yield Error(
                f"RESILIENCE['DEADLINES']: {inner} ({deadlines[inner]} s) does not end before "
                f"{outer} ({deadlines[outer]} s).",
                hint=f"Lower {inner}, or raise {outer}: the error of {inner} says more than that of {outer}.",
                id="resilience.E040",
            )


def check_pools(**_: Any) -> Iterator[CheckMessage]:
    """W050: all who may run and wait find a thread, and one stays free for liveness and readiness.

    With fewer threads the site works: whoever would take the last one is turned away, before pools are full.
    """
    threads = getattr(settings, "WEB_THREADS", None)
    try:
        pools = conf.bulkheads()
    except ImproperlyConfigured:
        return  # reported as E003
    needed = capacity.threads(pools)
    if threads is not None and needed > threads:
        fitting = capacity.in_words(capacity.within_threads(pools, threads))
        yield Warning(
            f"The pools need {needed} threads, one for each place and each who waits for one, and one that "
            f"stays free; but WEB_THREADS is {threads}: calls beyond {max(1, threads - 1)} are turned away, "
            "though their pool has room.",
            hint=f"Raise WEB_THREADS to {needed}"
            + (f", or lower BULKHEADS (running + waiting) to {fitting}." if fitting else "."),
            id="resilience.W050",
        )


def check_system(**_: Any) -> Iterator[CheckMessage]:
    """I060: the host store needs Linux."""
    if platform.system() != "Linux":
        yield Info(
            "Breakers are not shared between processes on this system.",
            hint="The host store needs Linux. On other systems each process has breakers of its own.",
            id="resilience.I060",
        )


def check_static_tier(**_: Any) -> Iterator[CheckMessage]:
    """E070 to E072: the export of the static copy can be imported and dated, and has a database alias."""
    path = conf.get("FALLBACK")
    if path is None:
        return
    if why := cannot_import(path):
        yield Error(
            f"RESILIENCE['FALLBACK']: {why}",
            hint="Name a resilience.tiers.static_copy.Export by its dotted path, or None for no static tier.",
            id="resilience.E070",
        )
        return
    for resource in import_string(path).resources:
        columns = [each.name for each in resource.model._meta.concrete_fields]
        if resource.changed not in columns:
            yield Error(
                f"RESILIENCE['FALLBACK']: {resource.name} have no column {resource.changed!r}.",
                hint="Name the column that holds when a row was last changed: Resource(changed=…).",
                id="resilience.E072",
            )
    found = settings.DATABASES.get(STATIC_ALIAS, {}).get("ENGINE")
    if found != "django.db.backends.sqlite3":
        yield Error(
            f"The static tier has no database: DATABASES['{STATIC_ALIAS}'] has the engine {found!r}.",
            hint=f"Add the alias {STATIC_ALIAS!r} with Django's own engine, django.db.backends.sqlite3.",
            id="resilience.E071",
        )


CHECKS: tuple[Callable[..., Iterator[CheckMessage]], ...] = (
    check_settings,
    check_base_dir,
    check_databases,
    check_pings,
    check_pool_options,
    check_cache,
    check_what_is_kept,
    check_middleware,
    check_log_handlers,
    check_deadlines,
    check_pools,
    check_static_tier,
    check_marks,
    check_system,
)


def register_all() -> None:
    """Register all checks. Those that ask a database run only if `check --database` names it."""
    for check in CHECKS:
        register(_listed(check), "resilience")
    for check in DATABASE_CHECKS:
        register(_listed(check), Tags.database)
    register(_listed(look_at_folders), "resilience", "folders")
    register(_listed(write_into_folders), "folders", deploy=True)


def _listed(check: Callable[..., Iterator[CheckMessage]]) -> Callable[..., list[CheckMessage]]:
    def run(**kwargs: Any) -> list[CheckMessage]:
        return list(check(**kwargs))

    return run


def _wrong_with_cache(alias: str) -> str | None:
    from resilience.cache.proving import wrong_with  # only a guarded cache needs its client

    return wrong_with(alias)


def _psycopg() -> str:
    import psycopg  # only a project with its engine has it

    return psycopg.__version__


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:3] if part.isdecimal())
