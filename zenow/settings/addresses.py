"""Read addresses from the environment. They hold passwords, so a wrong one is refused without showing it."""

import ipaddress
import re
from collections.abc import Callable, Collection
from typing import Any, TypeVar

import environ
from django.core.exceptions import ImproperlyConfigured
from redis.connection import parse_url

from resilience.cache.redis.address import wrong_in

Read = TypeVar("Read")

_DATABASES = ("postgres", "postgresql", "sqlite")


def read_address(name: str, url: str, schemes: Collection[str], read: Callable[[str], Read]) -> Read:
    """Return `read(url)`, for the address in the variable `name`.

    Raises ImproperlyConfigured with a message that holds nothing of the value. If a password is not escaped,
    a part of it is taken for a port, which the reader's own message would show.
    """
    if url.partition(":")[0] in schemes:
        try:
            return read(url)
        except ValueError:
            pass
    begins = " or ".join(f"{one}:" for one in schemes)
    raise ImproperlyConfigured(
        f"{name}: it is no address that can be read. It begins with {begins}, and what "
        "is special in a password is escaped: %2F for /, %3F for ?, %23 for #."
    )


def database_settings(url: str) -> dict[str, Any]:
    """Return Django's settings for the database at this address, with a guarded engine."""
    database: dict[str, Any] = read_address("DATABASE_URL", url, _DATABASES, environ.Env.db_url_config)
    database |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    database["ENGINE"] = database["ENGINE"].replace("django.db.backends", "resilience.db")
    if database["ENGINE"] == "resilience.db.sqlite3":
        database["OPTIONS"] = {
            "timeout": 1.5,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL",
        }
    return database


def redis_address(url: str) -> str:
    """Return the address of a Redis; "" if there is none.

    Raises ImproperlyConfigured, which names an option that is not allowed.
    """
    if url:
        read_address("REDIS_URL", url, ("redis", "rediss", "unix"), parse_url)
        if wrong := wrong_in(url):
            raise ImproperlyConfigured(f"REDIS_URL: {wrong}.")
    return url


def mail_settings(url: str) -> dict[str, Any]:
    """Return EMAIL_HOST, EMAIL_PORT and the like from smtp+tls://user:password@host:587."""
    schemes = environ.Env.EMAIL_SCHEMES
    found: dict[str, Any] = read_address("EMAIL_URL", url, schemes, environ.Env.email_url_config)
    return found


def url_prefix(value: str, problems: list[str]) -> str | None:
    """Return the path with a slash before it and none behind, or None; note a value that is no path."""
    bare = value.strip("/")
    if not re.fullmatch(r"[\w.~/-]*", bare, re.ASCII) or "//" in bare:
        problems.append(f"URL_PREFIX: {value!r} is no path of letters, digits, `-`, `.`, `_`, `~` and `/`")
        return None
    return f"/{bare}" if bare else None


def networks(values: list[str], problems: list[str]) -> list[str]:
    """Return addresses and networks in canonical form; note each value that is neither."""
    found = []
    for value in values:
        try:
            found.append(str(ipaddress.ip_network(value, strict=False)))
        except ValueError:
            problems.append(f"TRUSTED_PROXIES: {value!r} is no IP address or network (10.0.0.0/8, say)")
    return found
