"""Turn cached values into JSON and back, so that nothing read from a cache server is ever executed.

Values that JSON has are written as they are. Each other allowed value becomes an object with one member,
whose name starts with `$` and is the type: `{"$tuple": [...]}`. A caller's dict that could be taken for such
a tag, or that has keys other than strings, is written as pairs: `{"$dict": [[key, value], ...]}`.
"""

import base64
import math
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils.safestring import SafeString

from resilience.primitives import jsons

# The limit for both ways: a list that holds itself, or hostile bytes, would reach Python's recursion limit.
MAX_DEPTH = 100

_AS_THEY_ARE = frozenset({str, bool, type(None)})
_TEXT = frozenset({str})
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1  # JSON numbers beyond these are read back as floats


class Stored(bytes):
    """A value as a cache server has it: encoded already, or not decoded yet."""


class UndecodableError(ValueError):
    """The stored bytes were not written by `encode`. The reader treats the entry as missing."""


def encode(value: Any) -> bytes | int:
    """Return the stored form of `value`. An integer stays one, so that the server can count with it.

    Raises TypeError, naming the type, for a value that would come back changed.
    """
    if type(value) is int:
        return value
    try:
        return jsons.dumps(_plain(value, 0))
    except (
        TypeError,
        ValueError,
    ) as error:  # orjson's own error is a TypeError: a lone surrogate in a string
        # Without the key: it may be what a session is known by, and errors are logged.
        raise TypeError(f"The cache cannot store this {type(value).__qualname__}: {error}") from error


def decode(stored: Any) -> Any:
    """Return the value that `encode` stored.

    Raises UndecodableError for anything else.
    """
    if type(stored) is int:
        return stored
    if not isinstance(stored, bytes):
        raise UndecodableError(f"Expected bytes, found {type(stored).__qualname__}")
    try:
        value = jsons.loads(stored)
        # Most values hold no tag, and need no second look.
        return _value(value, 0) if b'"$' in stored else value
    except UndecodableError:
        raise
    # A forged entry can make a constructor raise other errors, such as decimal.InvalidOperation.
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise UndecodableError(f"Not written by this codec: {type(error).__qualname__}") from error


def _plain(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise TypeError(f"nested more than {MAX_DEPTH} deep")
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is dict:
        if not _TEXT.issuperset(map(type, value)) or _looks_like_a_tag(value):
            return {"$dict": [[_plain(k, depth + 1), _plain(v, depth + 1)] for k, v in value.items()]}
        return {k: v if type(v) in _AS_THEY_ARE else _plain(v, depth + 1) for k, v in value.items()}
    if kind is list:
        return [v if type(v) in _AS_THEY_ARE else _plain(v, depth + 1) for v in value]
    if kind is int:
        return value if _SMALLEST <= value <= _LARGEST else {"$int": str(value)}
    if kind is float:
        return value if math.isfinite(value) else {"$float": str(value)}
    if kind is tuple:
        return {"$tuple": [_plain(item, depth + 1) for item in value]}
    if kind is SafeString:
        return str(value)  # what `{% cache %}` stores; it comes back as text that templates escape
    if kind not in _WRITERS:
        raise TypeError(f"{kind.__qualname__} is none of {_ALLOWED}")
    return {f"${kind.__name__}": _WRITERS[kind](value)}


def _looks_like_a_tag(value: dict[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith("$")


def _value(stored: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise UndecodableError(f"Nested more than {MAX_DEPTH} deep")
    if type(stored) is list:
        return [_value(item, depth + 1) for item in stored]
    if type(stored) is not dict:
        return stored
    if _looks_like_a_tag(stored):
        ((name, body),) = stored.items()
        return _tagged(name, body, depth)
    return {k: _value(v, depth + 1) for k, v in stored.items()}


def _tagged(name: str, body: Any, depth: int) -> Any:
    if name in ("$tuple", "$dict"):
        if type(body) is not list:
            raise UndecodableError(f"{name} without a list")
        items = _value(body, depth)
        return tuple(items) if name == "$tuple" else dict(items)
    if name not in _READERS or type(body) is not str:
        raise UndecodableError("Unknown tag")
    return _READERS[name](body)


_WRITERS: dict[type, Callable[[Any], str]] = {
    bytes: lambda value: base64.b64encode(value).decode(),
    datetime: datetime.isoformat,
    date: date.isoformat,
    Decimal: str,
    UUID: str,
}
_READERS: dict[str, Callable[[str], Any]] = {
    "$bytes": lambda body: base64.b64decode(body, validate=True),
    "$datetime": datetime.fromisoformat,
    "$date": date.fromisoformat,
    "$Decimal": Decimal,
    "$UUID": UUID,
    "$int": int,
    "$float": float,
}
_ALLOWED = "None bool int float str list dict tuple bytes datetime date Decimal UUID"
