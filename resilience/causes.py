"""Why a call of a dependency failed, in the driver's own words, without secrets: for log, board, events."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import django.db
from django.conf import settings

from resilience import conf
from resilience.primitives import ResilienceError
from resilience.primitives.noting import describe as class_and_code
from resilience.primitives.own import within

LONGEST = 400
"""Characters of a description; the store keeps the first 200 bytes."""

# Errors whose text comes from a driver or from the system. The text of any other may hold anything, a
# customer's data for example, so only its class is told. (OSError: requests, ssl and smtplib raise it too.)
_DRIVERS = (OSError, sqlite3.Error, django.db.Error, ResilienceError)
# The packages whose errors are told likewise. A project need not have them.
_CLIENTS = ("psycopg", "redis")

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"<>]+", re.IGNORECASE)
_USERINFO = re.compile(r"(?<=//)[^/@\s]*@")
_PIPELINED = re.compile(r"^Command # \d+ \(.*\) of pipeline caused error: ", re.DOTALL)
# What Redis, or a proxy before it, repeats of a command that it does not know: key and values.
_REPEATED = re.compile(r",? with args beginning with: .*", re.DOTALL)
_TARGET = re.compile(r"with url: \S+")
_NAMED = re.compile(
    r"\b(password|passwd|pwd|secret|token|api[_-]?key|authorization)(\s*[=:]\s*)(?:(?:bearer|basic)\s+)?\S+",
    re.IGNORECASE,
)
# libpq gives the text of a system error without its number.
_SYSTEM = {
    os.strerror(number): number
    for number in (
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.ENOENT,
        errno.ETIMEDOUT,
    )
}
_HIDDEN = "hidden"


def describe(error: BaseException) -> str:
    """Describe an error in one line: class, SQLSTATE or errno, and the driver's sentence without secrets."""
    named = class_and_code(error)
    if not (isinstance(error, _DRIVERS) or any(is_of(error, client) for client in _CLIENTS)):
        return named
    said = without_secrets(_sentence(error)).rstrip(".")
    if named.rpartition(" ")[0] == "" and (code := _code(error, said)):
        named = f"{named} {code}"
    return f"{named}: {said}"[:LONGEST] if said else named


def is_of(error: BaseException, package: str, name: str = "") -> bool:
    """Tell whether `package` defines the class of an error, or a class that it derives from.

    With `name` only a class of this name counts. The package is not imported, and need not be installed.
    """
    return any(
        kind.__module__.partition(".")[0] == package and name in ("", kind.__name__)
        for kind in type(error).__mro__
    )


def without_secrets(text: str) -> str:
    """Return the text without passwords and tokens, and with no more of an address than its host and port."""
    text = _NAMED.sub(rf"\1\2{_HIDDEN}", _ADDRESS.sub(_bare, _TARGET.sub(f"with url: {_HIDDEN}", text)))
    for secret in _secrets():
        text = text.replace(secret, _HIDDEN)
    return " ".join(text.split())


def without_userinfo(text: str, instead: str = _HIDDEN) -> str:
    """Put `instead` in the place of user and password in each address of a text."""
    return _USERINFO.sub(f"{instead}@", text)


def _sentence(error: BaseException) -> str:
    """Return the driver's sentence; for an error that only wraps its cause, the sentence of the cause."""
    for inner in within(error):
        if isinstance(reason := getattr(inner, "reason", None), Exception):
            return str(reason)
    lines = [line for line in str(error).splitlines() if not line.startswith("\t")]  # libpq's hints
    # redis-py begins what fails in a pipeline with the command, values included.
    said = _REPEATED.sub("", _PIPELINED.sub("", " ".join(lines)))
    return said.removeprefix("connection failed: ")


def _code(error: BaseException, said: str) -> str:
    """Return the code of the cause, for an error that has no code of its own."""
    if isinstance(error, sqlite3.Error):
        return str(getattr(error, "sqlite_errorname", ""))
    for inner in within(error):
        if isinstance(code := getattr(inner, "smtp_code", None) or getattr(inner, "errno", None), int):
            return str(code)
    return next((str(number) for words, number in _SYSTEM.items() if words in said), "")


def _bare(match: re.Match[str]) -> str:
    try:
        parts = urlsplit(match[0])
        place = parts.hostname or ""
        return f"{parts.scheme}://{place}" + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return _HIDDEN


def _secrets() -> list[str]:
    """Return the secrets of the settings in the forms that an error's text may show; the longest first."""
    databases: Mapping[str, Mapping[str, Any]] = settings.DATABASES
    found = [str(one.get("PASSWORD") or "") for one in databases.values()]
    caches: Mapping[str, Mapping[str, Any]] = settings.CACHES
    for one in caches.values():
        places = one.get("LOCATION", "")
        for place in [places] if isinstance(places, str) else places:
            written = str(place).rpartition("@")[0].partition("://")[2].partition(":")[2]
            found += [written, unquote(written)]
        found.append(str((one.get("OPTIONS") or {}).get("PASSWORD") or ""))
    found += [
        str(getattr(settings, name, None) or "")
        for name in ("SECRET_KEY", "EMAIL_HOST_PASSWORD", "OPS_TOKEN")
    ]
    found.append(urlsplit(str(conf.get("ALERTS").get("webhook_url", ""))).path)
    # A shorter secret would hide parts of ordinary words.
    return sorted({one for one in found if len(one) > 3}, key=len, reverse=True)
