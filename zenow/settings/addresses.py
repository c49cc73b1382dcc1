"""Addresses from the environment, which hold passwords: a wrong one is refused without being shown."""

from collections.abc import Callable, Collection
from typing import Any, TypeVar

import environ
from django.core.exceptions import ImproperlyConfigured
from redis.connection import parse_url

from resilience.cache.address import wrong_in

Read = TypeVar("Read")


def read_address(name: str, url: str, schemes: Collection[str], read: Callable[[str], Read]) -> Read:
    """Return what `read` makes of an address, the value of the variable `name`.

    Raises ImproperlyConfigured, whose message holds nothing of the value: a password that was not escaped is
    taken for a port, and a reader's own message would show it.
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


def redis_address(url: str) -> str:
    """Return the address of a Redis, or nothing where there is none.

    Raises ImproperlyConfigured, which names an option that it cannot have.
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
