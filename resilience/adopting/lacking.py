"""What a project lacks so that the app works in it: each line with its place and its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from resilience.adopting.project import Project
from resilience.adopting.source import Edit, NoPlaceError, Source, entry

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

Find = Callable[[], list[Edit]]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to add to a file. `edits` write it; without them it has to be added by hand, and `why_not`
    says why."""

    source: Source
    where: str
    lines: str
    reason: str
    edits: tuple[Edit, ...] = ()
    why_not: str = ""


def steps(project: Project) -> list[Step]:
    """Return what the project lacks, in the order of the files: settings, addresses, entries."""
    return [*_settings(project), *_addresses(project), *_entries(project)]


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
    if project.others:
        found.append(
            f"{', '.join(project.others)} beside these settings: not looked at; run this with "
            "DJANGO_SETTINGS_MODULE for each that a server uses."
        )
    return found


def _step(source: Source, where: str, lines: str, reason: str, find: Find, *, by_hand: str = "") -> Step:
    """Return a step whose edits `find` returns. `by_hand` are the lines for the end of the file instead."""
    try:
        return Step(source=source, where=where, lines=lines, reason=reason, edits=tuple(find()))
    except NoPlaceError as error:
        where, lines = (f"{where}, so at the end of the file", by_hand) if by_hand else (where, lines)
        return Step(source=source, where=where, lines=lines, reason=reason, why_not=str(error))


# --- Settings ---


def _settings(project: Project) -> Iterator[Step]:
    if not any(app == APP or app.startswith("resilience.apps.") for app in settings.INSTALLED_APPS):
        source = project.setting("INSTALLED_APPS")
        yield _step(
            source,
            "INSTALLED_APPS, at its end",
            f'"{APP}",',
            "commands, checks, the tables of the history, and the operators' pages",
            lambda: source.in_list("INSTALLED_APPS", [f'"{APP}"']),
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
    source = project.setting("MIDDLEWARE")

    def find() -> list[Edit]:
        if MIDDLEWARE in settings.MIDDLEWARE:
            raise NoPlaceError("it is there, but not the first: move it")
        return source.in_list("MIDDLEWARE", [f'"{MIDDLEWARE}"'], first=True)

    return _step(
        source,
        "MIDDLEWARE, as its first",
        f'"{MIDDLEWARE}",',
        "it answers liveness before hosts are checked, and an outage in any other middleware",
        find,
        by_hand="" if MIDDLEWARE in settings.MIDDLEWARE else f'MIDDLEWARE = ["{MIDDLEWARE}", *MIDDLEWARE]',
    )


def _engine(project: Project, alias: str, engine: str) -> Step:
    source = project.setting("DATABASES", last=True)
    guarded = ENGINES[engine]
    return _step(
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

    return _step(
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
        yield _step(
            source,
            "DATABASES",
            line,
            "the alias under which the static copy is read",
            lambda: [source.in_dict(source.of_entry("DATABASES"), line.rstrip(","))],
        )
    if ROUTER not in settings.DATABASE_ROUTERS:
        last = project.setting("DATABASE_ROUTERS")

        def find() -> list[Edit]:
            if last.sets("DATABASE_ROUTERS"):
                return last.in_list("DATABASE_ROUTERS", [f'"{ROUTER}"'], first=True)
            return [last.at_end(f'\nDATABASE_ROUTERS = ["{ROUTER}"]\n')]

        yield _step(
            last,
            "DATABASE_ROUTERS, as its first",
            f'"{ROUTER}",',
            "it sends reads to the static copy within the static tier",
            find,
        )


def _section(project: Project) -> Iterator[Step]:
    given = getattr(settings, "RESILIENCE", None)
    source = project.setting("RESILIENCE")
    item = f'"NAMESPACE": "{project.name}"'
    reason = "the name of this project on its host: two projects would share their breakers without it"
    if given is not None:
        if not given.get("NAMESPACE"):
            find = lambda: [source.in_dict(source.of_entry("RESILIENCE"), item)]  # noqa: E731 - a place to look
            yield _step(source, "RESILIENCE", f"{item},", reason, find)
        return
    line = f"RESILIENCE = {{{item}}}"
    if not hasattr(settings, "BASE_DIR"):
        # It is no setting of Django's, only of the project that startproject makes.
        above = len(source.path.resolve().relative_to(project.folder.resolve()).parents)
        line = f"from pathlib import Path\n\nBASE_DIR = Path(__file__).resolve(){'.parent' * above}\n{line}"
        reason += "; BASE_DIR, because its files lie in the folder var below it"
    yield _step(source, "at its end", line, reason, lambda: [source.at_end(f"\n{line}\n")])


# --- Addresses and entries ---


def _addresses(project: Project) -> Iterator[Step]:
    wanted = {
        "resilience.operate.board.urls": (
            'path("admin/resilience/board/", include("resilience.operate.board.urls")),',
            "the operators' page; before the admin, which takes all addresses below its own",
        ),
        "resilience.urls": (
            'path("api/", include("resilience.urls")),',
            "health at /api/health, and what operators steer by",
        ),
    }
    source = project.file_of(settings.ROOT_URLCONF)
    if source is None:
        return
    for module, (line, reason) in wanted.items():
        if source.names(module):
            continue

        def find(line: str = line) -> list[Edit]:
            imports = [source.imported("django.urls", name) for name in ("include", "path")]
            return [
                *(edit for edit in imports if edit is not None),
                *source.in_list("urlpatterns", [line.rstrip(",")], first=True),
            ]

        element = line.rstrip(",")
        yield _step(
            source,
            "urlpatterns, before the others",
            line,
            reason,
            find,
            by_hand=f"from django.urls import include, path\n\nurlpatterns = [{element}, *urlpatterns]",
        )


def _entries(project: Project) -> Iterator[Step]:
    line = 'os.environ.setdefault("RESILIENCE_ROLE", "server")'
    for path in _entry_files(project):
        source = Source.read(path)
        if source.names("RESILIENCE_ROLE"):
            continue
        yield _step(
            source,
            "before Django is loaded",
            line,
            "this process is a server: commands, such as a migration, are neither counted nor refused",
            lambda source=source: [  # type: ignore[misc]  # the file of this round
                source.before_call("os.environ.setdefault", "DJANGO_SETTINGS_MODULE", line)
            ],
        )


def _entry_files(project: Project) -> list[Path]:
    """Return wsgi.py and asgi.py, as the settings name them, or as they lie beside the settings."""
    named = [getattr(settings, name, None) for name in ("WSGI_APPLICATION", "ASGI_APPLICATION")]
    found = [project.file_of(path.rpartition(".")[0]) for path in named if path]
    paths = [source.path for source in found if source is not None]
    for folder in {source.path.parent for source in project.settings} | {
        source.path.parent.parent for source in project.settings
    }:
        paths += [folder / name for name in ("wsgi.py", "asgi.py") if (folder / name).is_file()]
    return sorted({path.resolve() for path in paths}, reverse=True)
