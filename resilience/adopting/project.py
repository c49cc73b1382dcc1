"""Find a project from its folder, as its manage.py does, and the files in which its settings stand."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from resilience.adopting.source import NoPlaceError, Source

VARIABLE = "DJANGO_SETTINGS_MODULE"
# Names of a project's top package that many projects have.
_USUAL = {"config", "core", "project", "settings", "site", "conf", "django"}


class NotFoundError(Exception):
    """There is no project here, or its settings cannot be read; the message says why."""


@dataclass(frozen=True)
class Project:
    """A project whose settings can be imported, and its files."""

    folder: Path
    module: str
    """the dotted path of its settings"""
    settings: tuple[Source, ...]
    """the files of its settings, from the one that is imported first to the module itself"""

    @property
    def name(self) -> str:
        """A short name for it: that of its package, or of its folder if the package is called like many."""
        package = self.module.partition(".")[0]
        name = self.folder.name if package in _USUAL else package
        return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "site"

    def file_of(self, module: str) -> Source | None:
        """Return the file of a module of the project, which is not imported; None if there is none."""
        path = path_of(module)
        return None if path is None else _read(path)

    @property
    def others(self) -> list[str]:
        """The names of further files beside the settings, if these are a package: perhaps other settings."""
        folder = self.settings[-1].path.parent
        if not any(source.path.parent == folder for source in self.settings[:-1]):
            return []
        known = {source.path.name for source in self.settings} | {
            "__init__.py",
            "wsgi.py",
            "asgi.py",
            "urls.py",
        }
        return sorted(path.name for path in folder.glob("*.py") if path.name not in known)

    def setting(self, name: str, *, last: bool = False) -> Source:
        """Return the first file that sets `name`, or the `last`; the module itself if none does."""
        found = self._that_set(name)
        return (found[-1] if last else found[0]) if found else self.settings[-1]

    def the_only(self, name: str) -> Source:
        """Return the one file that sets `name`, as `setting` does.

        Raises `NoPlaceError` if several do: what is added to one may be replaced in another.
        """
        found = self._that_set(name)
        if len(found) > 1:
            names = ", ".join(source.path.name for source in found)
            raise NoPlaceError(f"{name} is set in more than one file: {names}")
        return self.setting(name)

    def _that_set(self, name: str) -> list[Source]:
        return [source for source in self.settings if source.sets(name)]


def find(folder: Path) -> Project:
    """Return the project of this folder; its settings are imported. Raises `NotFoundError`."""
    module = os.environ.get(VARIABLE) or _of_manage(folder / "manage.py")
    os.environ[VARIABLE] = module
    sys.path.insert(0, str(folder))
    try:
        settings.INSTALLED_APPS  # noqa: B018 - the first look imports them
    except (Exception, SystemExit) as error:
        raise NotFoundError(f"The settings {module} cannot be imported: {_told(error)}") from error
    path = path_of(module)
    if path is None:
        raise NotFoundError(f"The settings {module} lie in no file of Python code.")
    return Project(folder, module, tuple(_with_imported(module, _read(path))))


def path_of(module: str) -> Path | None:
    """Return the path of a module's code; None if it has none."""
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    origin = None if found is None else found.origin
    return Path(origin) if origin is not None and origin.endswith(".py") else None


def _of_manage(path: Path) -> str:
    """Return the settings that manage.py names, if nothing in the environment does."""
    if not path.is_file():
        raise NotFoundError(f"There is no manage.py here. Go to its folder, or set {VARIABLE}.")
    module = named_in(_read(path))
    if module is None:
        raise NotFoundError(f"manage.py computes the name of its settings. Set {VARIABLE}.")
    return module


def named_in(source: Source) -> str | None:
    """Return the settings that a file such as manage.py or wsgi.py names; None if it computes the name."""
    for node in ast.walk(source.tree):
        match node:
            case ast.Call(func=function, args=[ast.Constant(value=name), ast.Constant(value=str(module))]):
                if name == VARIABLE and ast.unparse(function) == "os.environ.setdefault":
                    return module
            case ast.Assign(targets=[ast.Subscript() as target], value=ast.Constant(value=str(module))):
                if ast.unparse(target) == f"os.environ[{VARIABLE!r}]":
                    return module
    return None


def _with_imported(module: str, source: Source) -> Iterator[Source]:
    """Yield the files from which settings come by `from … import *`, then the one that imports them."""
    is_package = source.path.name == "__init__.py"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            parts = module.split(".")
            outer = parts[: len(parts) - node.level + is_package] if node.level else []
            name = ".".join([*outer, *filter(None, [node.module])])
            path = path_of(name)
            if path is not None and _is_own(path):
                yield from _with_imported(name, _read(path))
    yield source


def _is_own(path: Path) -> bool:
    """Tell whether a file is the project's own, and not one of an installed package."""
    return "site-packages" not in path.parts and "dist-packages" not in path.parts


def _read(path: Path) -> Source:
    try:
        source = Source.read(path)
        source.tree  # noqa: B018 - made at the first look
    except (OSError, UnicodeError, SyntaxError) as error:
        raise NotFoundError(f"{path.name} cannot be read: {_told(error)}") from error
    return source


def _told(error: BaseException) -> str:
    if isinstance(error, ImproperlyConfigured):
        return str(error)
    return f"{type(error).__name__}: {error}"
