"""What a project lacks where it is served: addresses in its urls.py, and a line in wsgi.py and asgi.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import django
from django.conf import settings
from django.urls import Resolver404, resolve

from resilience.adopting.project import Project, named_in
from resilience.adopting.source import Edit, NoPlaceError, Source
from resilience.adopting.step import Step, step

_HEALTH = "resilience.urls"
# What the middleware answers, and what the addresses of `_HEALTH` do below `api/`.
PROBES = ("/api/health/live", "/api/health/ready")
_OF_HEALTH = (
    "/api/health",
    *(f"/api/admin/{name}" for name in ("circuit-breakers", "history", "reset-circuit-breakers")),
)


def addresses(project: Project) -> Iterator[Step]:
    wanted = {
        "resilience.operate.board.urls": (
            'path("admin/resilience/board/", include("resilience.operate.board.urls")),',
            "the operators' page; before the admin, which takes all addresses below its own",
        ),
        _HEALTH: (
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

        def find(module: str = module, line: str = line) -> list[Edit]:
            if module == _HEALTH:
                refuse_taken(_OF_HEALTH)
            imports = [source.imported("django.urls", name) for name in ("include", "path")]
            return [
                *(edit for edit in imports if edit is not None),
                *source.in_list("urlpatterns", [line.rstrip(",")], first=True),
            ]

        element = line.rstrip(",")
        yield step(
            source,
            "urlpatterns, before the others",
            line,
            reason,
            find,
            by_hand=f"from django.urls import include, path\n\nurlpatterns = [{element}, *urlpatterns]",
        )


def refuse_taken(paths: Sequence[str]) -> None:
    """Raise `NoPlaceError` if the project answers one of these itself, or if that cannot be told."""
    try:
        django.setup()  # views import models
        everything = _route("/nothing-has-this-name")  # such as a page that reads the address itself
        taken = [path for path in paths if {_route(path), _route(f"{path}/")} - {None, everything}]
    except (Exception, SystemExit) as error:  # whatever the project's own code raises
        raise NoPlaceError(f"its addresses cannot be told: {type(error).__name__}: {error}") from error
    if taken:
        raise NoPlaceError(
            f"the project answers {', '.join(taken)} itself, and would no more. Choose other paths for the "
            "app: below another than api/, and by RESILIENCE['LIVENESS_PATH'] and ['READINESS_PATH']"
        )


def _route(path: str) -> str | None:
    """Return the pattern by which the project answers a path; None if it does not."""
    try:
        return resolve(path).route
    except Resolver404:
        return None


def entries(project: Project) -> Iterator[Step]:
    line = 'os.environ.setdefault("RESILIENCE_ROLE", "server")'
    for path in entry_files(project):
        source = Source.read(path)
        if source.names("RESILIENCE_ROLE"):
            continue
        yield step(
            source,
            "before Django is loaded",
            line,
            "this process is a server: commands, such as a migration, are neither counted nor refused",
            lambda source=source: [  # type: ignore[misc]  # the file of this round
                source.before_call("os.environ.setdefault", "DJANGO_SETTINGS_MODULE", line)
            ],
        )


def entry_files(project: Project) -> list[Path]:
    """Return wsgi.py and asgi.py, as the settings name them, or as they lie beside the settings."""
    named = [getattr(settings, name, None) for name in ("WSGI_APPLICATION", "ASGI_APPLICATION")]
    found = [project.file_of(path.rpartition(".")[0]) for path in named if path]
    paths = [source.path for source in found if source is not None]
    for folder in {source.path.parent for source in project.settings} | {
        source.path.parent.parent for source in project.settings
    }:
        paths += [folder / name for name in ("wsgi.py", "asgi.py") if (folder / name).is_file()]
    return sorted({path.resolve() for path in paths}, reverse=True)


def other_settings(project: Project) -> list[str]:
    """Return a remark for each of wsgi.py and asgi.py that names other settings than were read."""
    named = [(path.name, named_in(Source.read(path))) for path in entry_files(project)]
    return [
        f"{name} names the settings {module}, and {project.module} was read: run it again with "
        f"DJANGO_SETTINGS_MODULE={module}."
        for name, module in named
        if module not in (None, project.module)
    ]
