"""JSON as bytes: by orjson where it is installed, else by Python's own module."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any


def plain_dumps(value: Any) -> bytes:
    """Return a value as JSON. Raises `TypeError` or `ValueError` for what JSON cannot hold."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def plain_loads(data: bytes) -> Any:
    """Return the value of a JSON text in UTF-8. Raises `ValueError` for anything else."""
    text = data.decode()
    try:
        value = json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()  # raises for half of a surrogate pair
    return value


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


dumps: Callable[[Any], bytes] = plain_dumps
loads: Callable[[bytes], Any] = plain_loads
if find_spec("orjson"):
    import orjson

    dumps, loads = orjson.dumps, orjson.loads
