"""Turns the texts of a row into values that a course can hold, or says why that is impossible."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db.models import DecimalField, Field

from learn.importing.errors import Rejection
from learn.importing.layout import COLUMNS, EXPORTED_ONLY, REQUIRED, Layout, Row, Value
from learn.importing.terms import separated
from learn.models import Course

_PARENTS = ("category", "field")
_EXACT = frozenset({"summary", "description"})
_TRUE = frozenset({"true", "yes", "1"})
_FALSE = frozenset({"false", "no", "0"})
_DECIMAL_COMMA = re.compile(r"-?\d+,\d{1,2}")
_UNDECODED = re.compile("[\udc80-\udcff]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
# Characters of the slug or title by which a row names its category or field.
_LONGEST_NAME = 300


class Cleaned(NamedTuple):
    """A row that fits a course, as far as that can be told without the database.

    `values` has an entry for each column of the file, by attribute of the course; an empty cell is None.
    """

    line: int
    category: str
    field: str
    values: dict[str, Any]


class _Refused(Exception):  # noqa: N818 (never leaves this module)
    def __init__(self, column: str, reason: str) -> None:
        super().__init__(column, reason)
        self.column, self.reason = column, reason


def cleaned(row: Row, layout: Layout) -> Cleaned | Rejection:
    """Check and convert each value of a row. Blanks around a value are removed, except in running text."""
    cells = {**row.values, **layout.constants}
    try:
        _check_required(cells)
        texts = {name: _checked(name, cell) for name, cell in cells.items()}
        values = {
            name: _converted(name, texts[name])
            for name in (*COLUMNS, *EXPORTED_ONLY)
            if _is_given(name, texts)
        }
        return Cleaned(row.line, _name("category", texts), _name("field", texts), values)
    except _Refused as refused:
        return Rejection(row.line, refused.column, refused.reason)


def _check_required(cells: Mapping[str, Value]) -> None:
    for name in REQUIRED:
        if name not in cells:
            raise _Refused(name, "is missing")


def _is_given(name: str, texts: dict[str, Value]) -> bool:
    """Tell whether a row sets a column. An empty cell does, except for slug and published, which stay."""
    return name not in _PARENTS and name in texts and (bool(texts[name]) or name not in EXPORTED_ONLY)


def _checked(name: str, cell: Value) -> Value:
    if isinstance(cell, list):
        if name != "terms":
            raise _Refused(name, "is a list where one text is expected")
        for part in cell:
            _check_characters(name, part)
        return cell
    _check_characters(name, cell)
    return cell if name in _EXACT and not cell.isspace() else cell.strip()


def _check_characters(name: str, text: str) -> None:
    if "\0" in text:
        raise _Refused(name, "holds a NUL character")
    if (undecoded := _UNDECODED.search(text)) is not None:
        shown = " ".join(f"0x{ord(character) - 0xDC00:02X}" for character in undecoded[0][:4])
        raise _Refused(name, f"holds bytes that are not UTF-8 ({shown}): save the file as UTF-8")
    if _SURROGATE.search(text) is not None:
        raise _Refused(name, "holds half of a surrogate pair, which is not a character")


def _name(name: str, texts: dict[str, Value]) -> str:
    text = str(texts.get(name, ""))
    if len(text) > _LONGEST_NAME:
        raise _Refused(name, f"is {len(text)} characters long; at most {_LONGEST_NAME} are allowed")
    if not text and name in REQUIRED:
        raise _Refused(name, "is empty")
    return text


def _converted(name: str, value: Value) -> Any:
    column = Course._meta.get_field(name)
    assert isinstance(column, Field)  # noqa: S101 (for the type checker: none of these names is a relation)
    if name == "terms":
        return _clean(column, separated(value) if isinstance(value, str) else value)
    text = str(value)
    if not text:
        if not column.null:
            raise _Refused(name, "is empty")
        return None
    if name == "published":
        return _truth(name, text.casefold())
    if column.max_length is not None and len(text) > column.max_length:
        raise _Refused(name, f"is {len(text)} characters long; at most {column.max_length} are allowed")
    if isinstance(column, DecimalField):
        return _number(column, text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text) else text)
    # Lower case, as the course stores it, so that a second run finds no difference.
    return _clean(column, text.lower() if name == "language" else text)


def _number(column: DecimalField[Any, Any], text: str) -> Decimal:
    value: Decimal = _clean(column, text)
    return value.quantize(Decimal(1).scaleb(-column.decimal_places))


def _truth(name: str, text: str) -> bool:
    if text not in _TRUE | _FALSE:
        raise _Refused(name, "is neither true nor false")
    return text in _TRUE


def _clean(column: Field[Any, Any], value: Any) -> Any:
    try:
        return column.clean(value, None)
    except ValidationError as error:
        shown = f"{value!s:.40}{'…' if len(str(value)) > 40 else ''}"
        raise _Refused(column.name, f"{' '.join(error.messages)} (found: {shown})") from None
