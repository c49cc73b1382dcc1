"""The schema shows each address once, without the trailing slash that is also taken."""

from typing import Any


def without_trailing_slash(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Return the (path, regex, method, view) of each endpoint with its path shortened."""
    return [(path.rstrip("/"), regex, method, view) for path, regex, method, view in endpoints]
