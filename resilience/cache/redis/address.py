"""Check the address of a Redis server without connecting; errors name the option and hold no secret."""

import ssl
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import redis
from django.utils.module_loading import import_string
from redis.connection import ConnectionPool, parse_url

# The options that an address may have after its `?`. Others would break what we rely on: a single try, RESP2
# (over RESP3 a server can make the client wait), bytes that are not decoded.
_TLS = {
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_ciphers",
    "ssl_keyfile",
    "ssl_min_version",
    "ssl_password",
}
_OPTIONS = {
    "client_name",
    "db",
    "health_check_interval",
    "max_connections",
    "password",
    "socket_connect_timeout",
    "socket_keepalive",
    "socket_timeout",
    "username",
}
_FILES = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
_CERT_REQS = ("none", "optional", "required")


def wrong_in(
    url: str,
    options: Mapping[str, Any] | None = None,
    *,
    pool: str | type[ConnectionPool] | None = None,
    sentinel: bool = False,
) -> str | None:
    """Say what is wrong with an address and the `options` for redis-py; None if nothing is.

    `pool` is the class of the pool, by default redis-py's usual one. The host of a `sentinel` address is the
    name of a service. The sentence names the option, and never holds its value, which may be secret.
    """
    try:
        parsed, given = urlsplit(url), dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
        if sentinel:
            given.pop("is_master", None)
        for name in given:
            if wrong := _wrong_option(name, given[name], in_tls=parsed.scheme == "rediss"):
                return wrong
        _parsed(url)
    except ValueError:
        return "it is no address of a Redis server"
    path = parsed.path.strip("/")
    if parsed.scheme != "unix" and "db" not in given and path and not _is_database(path):
        return "its path is not the number of a database"
    if sentinel:
        return None  # its pool needs sentinels to be asked
    try:
        _pool(pool).from_url(url, **dict(options or {})).make_connection()
    except (redis.RedisError, TypeError, ValueError) as error:
        # redis-py names an unknown option. Any other text of its may hold a value.
        unknown = str(error).rpartition("unexpected keyword argument ")[2]
        named = isinstance(error, TypeError) and unknown != str(error)
        return f"redis-py has no option {unknown}" if named else "redis-py does not take its options"
    return None


def _pool(given: str | type[ConnectionPool] | None) -> type[ConnectionPool]:
    """Return the class of the pool that a project names; it was imported before."""
    loaded: type[ConnectionPool] = import_string(given) if isinstance(given, str) else given or ConnectionPool
    return loaded


def _wrong_option(name: str, value: str, *, in_tls: bool) -> str | None:
    if name not in _OPTIONS | _TLS:
        known = ", ".join(sorted(_OPTIONS | _TLS if in_tls else _OPTIONS))
        return f"the option {name[:40]!r} is not one of {known}"
    if name in _TLS and not in_tls:
        return f"the option {name} needs an address that begins with rediss:"
    if name == "ssl_cert_reqs" and value not in _CERT_REQS:
        return f"the option {name} must be {', '.join(_CERT_REQS[:-1])} or {_CERT_REQS[-1]}"
    if name in _FILES and not Path(value).exists():
        return f"the option {name} names a file that does not exist"
    try:
        _read(name, value)
    except (OSError, ValueError):
        return f"the option {name} has an impossible value"
    return None


def _read(name: str, value: str) -> None:
    """Raise `ValueError` or `OSError` for a value that redis-py, Redis or OpenSSL would not take."""
    read: Any = _parsed(f"redis://localhost?{urlencode({name: value})}").get(name)
    match name:
        case "db" if value and not _is_database(value):
            raise ValueError(name)
        case "socket_timeout" | "socket_connect_timeout" if read is not None and not 0 < read < inf:
            raise ValueError(name)
        case "client_name" if not all("!" <= letter <= "~" for letter in value):
            raise ValueError(name)
        case "ssl_min_version":
            ssl.TLSVersion(read)
        case "ssl_ciphers":
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).set_ciphers(value)
        case "ssl_ca_certs":
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=value)


def _is_database(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) < 10


def _parsed(url: str) -> dict[str, Any]:
    found: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    return found
