"""The breakers of a project that names none: those of `resilience.defaults` for what it has."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from resilience.conf import caches, extras
from resilience.defaults import BREAKERS


def breakers() -> dict[str, dict[str, Any]]:
    """Return the usual entry of each dependency that can be called through its guard in this project.

    There is always a database. A partner over HTTP has no setting that names it; it can be asked where the
    extra `http` is installed.
    """
    there = {
        "database": True,
        "cache": caches.is_any_guarded(),
        "auth": _is_sign_in_guarded(),
        "external_api": not extras.is_absent("http"),
    }
    return {name: entry for name, entry in BREAKERS.items() if there[name]}


def _is_sign_in_guarded() -> bool:
    """Tell whether a backend of AUTHENTICATION_BACKENDS derives from `resilience.auth.GuardedBackend`."""
    return any(_is_guarded(path) for path in settings.AUTHENTICATION_BACKENDS)


def _is_guarded(path: str) -> bool:
    if path.startswith("django."):
        return False
    try:
        backend = import_string(path)
    except ImportError:
        return False  # Django itself says so when somebody signs in
    return any(kind.__module__ == "resilience.auth" for kind in backend.__mro__)
