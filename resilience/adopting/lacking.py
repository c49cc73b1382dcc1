"""What a project lacks so that the app works in it: each line with its place and its reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings

from resilience.adopting.project import Project
from resilience.adopting.served import PROBES, addresses, entries, other_settings, refuse_taken
from resilience.adopting.source import Edit, NoPlaceError, entry
from resilience.adopting.step import Step, step

APP = "resilience"
MIDDLEWARE = "resilience.middleware.ResilienceMiddleware"
ROUTER = "resilience.db.router.TierRouter"
CACHE = "resilience.cache.ResilientCache"
ENGINES = {
    "django.db.backends.postgresql": "resilience.db.postgresql",
    "django.db.backends.sqlite3": "resilience.db.sqlite3",
}
OWN_CACHES = (CACHE, "resilience.cache.backend.ResilientCache")
# Caches without a server, which cannot be away.
_WITHOUT_SERVER = (
    "django.core.cache.backends.locmem.LocMemCache",
    "django.core.cache.backends.dummy.DummyCache",
)
_REDIS_OF_DJANGO = "django.core.cache.backends.redis.RedisCache"
_REDIS = "django_redis.cache.RedisCache"
_STATIC = "static"
_NO_ENGINE = "django.db.backends.dummy"


def steps(project: Project) -> list[Step]:
    """Return what the project lacks, in the order of the files: settings, addresses, entries."""
    return [*_settings(project), *addresses(project), *entries(project)]


def remarks(project: Project) -> list[str]:
    """Return what no line can mend."""
    found = [
        f"DATABASES['{alias}'] has the engine {one['ENGINE']}, for which there is no guard: its queries are "
        "neither counted nor refused."
        for alias, one in settings.DATABASES.items()
        if one.get("ENGINE", _NO_ENGINE) not in (*ENGINES, *ENGINES.values(), _NO_ENGINE) and alias != _STATIC
    ]
    if any(one["BACKEND"] == _REDIS_OF_DJANGO for one in settings.CACHES.values()):
        found.append("The cache on Redis needs the package django-redis: Django's own backend reads pickles.")
    found += other_settings(project)
    if project.others:
        found.append(
            f"{', '.join(project.others)} beside these settings: not looked at; run this with "
            "DJANGO_SETTINGS_MODULE for each that a server uses."
        )
    return found


# --- Settings ---


def _settings(project: Project) -> Iterator[Step]:
    if not any(app == APP or app.startswith("resilience.apps.") for app in settings.INSTALLED_APPS):
        yield step(
            project.setting("INSTALLED_APPS", last=True),
            "INSTALLED_APPS, at its end",
            f'"{APP}",',
            "commands, checks, the tables of the history, and the operators' pages",
            lambda: project.the_only("INSTALLED_APPS").in_list("INSTALLED_APPS", [f'"{APP}"']),
            by_hand=f'INSTALLED_APPS = [*INSTALLED_APPS, "{APP}"]',
        )
    if list(settings.MIDDLEWARE[:1]) != [MIDDLEWARE]:
        yield _middleware(project)
    for alias, database in settings.DATABASES.items():
        if database.get("ENGINE") in ENGINES and alias != _STATIC:
            yield _engine(project, alias, database["ENGINE"])
    for alias, cache in settings.CACHES.items():
        if cache["BACKEND"] not in (*OWN_CACHES, *_WITHOUT_SERVER):
            yield _cache(project, alias, cache)
    yield from _copy(project)
    yield from _section(project)


def _middleware(project: Project) -> Step:
    def find() -> list[Edit]:
        if MIDDLEWARE in settings.MIDDLEWARE:
            raise NoPlaceError("it is there, but not the first: move it")
        edits = _first_in(project, "MIDDLEWARE", f'"{MIDDLEWARE}"')
        refuse_taken(PROBES)
        return edits

    return step(
        project.setting("MIDDLEWARE", last=True),
        "MIDDLEWARE, as its first",
        f'"{MIDDLEWARE}",',
        "it answers liveness before hosts are checked, and an outage in any other middleware",
        find,
        by_hand="" if MIDDLEWARE in settings.MIDDLEWARE else f'MIDDLEWARE = ["{MIDDLEWARE}", *MIDDLEWARE]',
    )


def _first_in(project: Project, name: str, element: str) -> list[Edit]:
    """Return edits that put an element first. One file alone may set the list, and none insert into it."""
    source = project.the_only(name)
    if any(each.puts_before(name) for each in project.settings):
        raise NoPlaceError(f"something is put before the first of {name} further down")
    return source.in_list(name, [element], first=True)


def _engine(project: Project, alias: str, engine: str) -> Step:
    source = project.setting("DATABASES", last=True)
    guarded = ENGINES[engine]
    return step(
        source,
        f"DATABASES['{alias}']",
        f'DATABASES["{alias}"]["ENGINE"] = "{guarded}"',
        "Django's own engine, behind a breaker and deadlines",
        lambda: [
            source.instead_of(_written(source.of_entry("DATABASES", alias, "ENGINE"), engine), f'"{guarded}"')
        ],
    )


def _cache(project: Project, alias: str, cache: dict[str, Any]) -> Step:
    source = project.setting("CACHES", last=True)
    of_django = cache["BACKEND"] == _REDIS_OF_DJANGO
    inner = _REDIS if of_django else cache["BACKEND"]

    def find() -> list[Edit]:
        if of_django and cache.get("OPTIONS"):
            raise NoPlaceError("the options of Django's backend are not those of django-redis")
        backend = _written(source.of_entry("CACHES", alias, "BACKEND"), cache["BACKEND"])
        own = source.of_entry("CACHES", alias)
        if (options := entry(own, "OPTIONS")) is not None:
            return [source.instead_of(backend, f'"{CACHE}"'), source.in_dict(options, f'"INNER": "{inner}"')]
        indent = " " * _column_of_keys(own)
        gap = f",\n{indent}" if own.end_lineno != own.lineno else ", "
        return [source.instead_of(backend, f'"{CACHE}"{gap}"OPTIONS": {{"INNER": "{inner}"}}')]

    return step(
        source,
        f"CACHES['{alias}']",
        f'CACHES["{alias}"]["BACKEND"] = "{CACHE}"\n'
        f'CACHES["{alias}"].setdefault("OPTIONS", {{}})["INNER"] = "{inner}"',
        "a cache that is away seems empty, and is neither wrong nor slow",
        find,
    )


def _column_of_keys(value: Any) -> int:
    """Return the column in which the keys of a dict's code begin."""
    return int(value.keys[0].col_offset)


def _written(value: Any, expected: str) -> Any:
    """Return a value if it is written there as a quoted word, and is the one in force."""
    if getattr(value, "value", None) != expected:
        raise NoPlaceError(f"it is computed, or changed further on (line {value.lineno})")
    return value


def _copy(project: Project) -> Iterator[Step]:
    """What a static copy needs; whether there is one is the project's choice."""
    if not getattr(settings, "RESILIENCE", {}).get("FALLBACK"):
        return
    if _STATIC not in settings.DATABASES:
        source = project.setting("DATABASES", last=True)
        line = '"static": {"ENGINE": "django.db.backends.sqlite3", "TEST": {"MIRROR": "default"}},'
        yield step(
            source,
            "DATABASES",
            line,
            "the alias under which the static copy is read",
            lambda: [source.in_dict(source.of_entry("DATABASES"), line.rstrip(","))],
        )
    if ROUTER not in settings.DATABASE_ROUTERS:
        last = project.setting("DATABASE_ROUTERS", last=True)

        def find() -> list[Edit]:
            if last.sets("DATABASE_ROUTERS"):
                return _first_in(project, "DATABASE_ROUTERS", f'"{ROUTER}"')
            return [last.at_end(f'\nDATABASE_ROUTERS = ["{ROUTER}"]\n')]

        yield step(
            last,
            "DATABASE_ROUTERS, as its first",
            f'"{ROUTER}",',
            "it sends reads to the static copy within the static tier",
            find,
        )


def _section(project: Project) -> Iterator[Step]:
    given = getattr(settings, "RESILIENCE", None)
    item = f'"NAMESPACE": "{project.name}"'
    reason = "the name of this project on its host: two projects would share their breakers without it"
    if given is not None:
        if not given.get("NAMESPACE"):

            def find() -> list[Edit]:
                only = project.the_only("RESILIENCE")
                return [only.in_dict(only.of_entry("RESILIENCE"), item)]

            yield step(project.setting("RESILIENCE", last=True), "RESILIENCE", f"{item},", reason, find)
        return
    # Beside the app: whoever imports the one without the other could answer no request.
    source = project.setting("INSTALLED_APPS")
    line = f"RESILIENCE = {{{item}}}"
    if not hasattr(settings, "BASE_DIR"):
        # It is no setting of Django's, only of the project that startproject makes.
        above = len(source.path.resolve().relative_to(project.folder.resolve()).parents)
        line = f"from pathlib import Path\n\nBASE_DIR = Path(__file__).resolve(){'.parent' * above}\n{line}"
        reason += "; BASE_DIR, because its files lie in the folder var below it"
    yield step(source, "at its end", line, reason, lambda: [source.at_end(f"\n{line}\n")])
