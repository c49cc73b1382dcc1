"""Remove codecs that are no charset from `Content-Type` before Django reads it.

Django decodes the query of an address before any middleware runs. So `charset=hex` would be an error that
no middleware sees: a 500 of the server.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from resilience.request.charset import is_charset
from zenow.server.handover import Wsgi

Asgi = Callable[[dict[str, Any], Any, Any], Awaitable[None]]
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^";]*)"?', re.IGNORECASE)


def known(content_type: str) -> str:
    """Return a `Content-Type` without a charset that is none."""
    return _CHARSET.sub(lambda found: found[0] if is_charset(found[1].strip()) else "", content_type)


def known_to_wsgi(app: Wsgi) -> Wsgi:
    """Return the application behind this filter."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if "CONTENT_TYPE" in environ:
            environ["CONTENT_TYPE"] = known(environ["CONTENT_TYPE"])
        return app(environ, start_response)

    return application


def known_to_asgi(app: Asgi) -> Asgi:
    """Return the application behind this filter."""

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = [
            (name, known(value.decode("latin-1")).encode("latin-1") if name == b"content-type" else value)
            for name, value in scope.get("headers", ())
        ]
        await app({**scope, "headers": headers}, receive, send)

    return application
