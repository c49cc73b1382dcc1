"""Turns the texts of a row into values that a course can hold, or says why that is impossible."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db.models import DecimalField, Field

from learn.importing.errors import Rejection
from learn.importing.layout import EXPORTED_ONLY, OPTIONAL, REQUIRED, Layout, Row, Value
from learn.importing.terms import separated
from learn.models import Course

_PARENTS = ("category", "field")
_EXACT = frozenset({"summary", "description"})
# As spreadsheets write them in English, German, French, Spanish, Italian, Portuguese and Dutch.
_TRUE = frozenset(
    {"true", "yes", "1", "wahr", "ja", "vrai", "oui", "verdadero", "vero", "verdadeiro", "waar"}
)
_FALSE = frozenset({"false", "no", "0", "falsch", "nein", "faux", "non", "falso", "onwaar", "nee"})
# Marks between three digits, which are told from a decimal mark only where both stand or a blank is one.
_GROUPED = re.compile(
    r"[-+]?\d{1,3}(?:(?P<mark>[ \u00a0\u202f\u2019'.,])\d{3})(?:(?P=mark)\d{3})*(?P<rest>[.,]\d+)?"
)
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d{1,2}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNDECODED = re.compile("[\udc80-\udcff]+")
# Characters of the slug or title by which a row names its category or field.
_LONGEST_NAME = 300


class Cleaned(NamedTuple):
    """A row that fits a course, as far as that can be told without the database.

    `values` has an entry for each column of the file that could be read, by attribute of the course; an empty
    cell is None. `unread` are the values that could not be read.
    """

    line: int
    category: str
    field: str
    values: dict[str, Any]
    unread: tuple[Rejection, ...] = ()


class _Refused(Exception):  # noqa: N818 (never leaves this module)
    def __init__(self, column: str, reason: str) -> None:
        super().__init__(column, reason)
        self.column, self.reason = column, reason


def cleaned(row: Row, layout: Layout, *, strict: bool = False) -> Cleaned | Rejection:
    """Check and convert each value of a row. Blanks around a value are removed, except in running text.

    A value of an optional column that cannot be read is left out. With `strict`, and where the user gave it
    for all rows, it rejects the row, as any other does.
    """
    cells = {**row.values, **layout.constants}
    parents = dict.fromkeys(_PARENTS, "")
    values: dict[str, Any] = {}
    unread: list[Rejection] = []
    try:
        _check_required(cells)
        for name in cells:
            try:
                value = _checked(name, cells[name])
                if name in _PARENTS:
                    parents[name] = _name(name, str(value))
                elif value or name not in EXPORTED_ONLY:  # an empty slug or `published` says nothing
                    values[name] = _converted(name, value)
            except _Refused as refused:
                if strict or name not in OPTIONAL or name in layout.constants:
                    raise
                unread.append(Rejection(row.line, name, refused.reason, "value"))
    except _Refused as refused:
        return Rejection(row.line, refused.column, refused.reason)
    return Cleaned(row.line, parents["category"], parents["field"], values, tuple(unread))


def _check_required(cells: Mapping[str, Value]) -> None:
    for name in REQUIRED:
        if name not in cells:
            raise _Refused(name, "is missing")


def _checked(name: str, cell: Value) -> str | list[str]:
    if cell is None:
        raise _Refused(name, "is neither a text nor a number nor a list of texts")
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
    if text.isascii() or _SURROGATE.search(text) is None:
        return
    if (undecoded := _UNDECODED.search(text)) is not None:
        shown = " ".join(f"0x{ord(character) - 0xDC00:02X}" for character in undecoded[0][:4])
        raise _Refused(
            name, f"holds bytes that the file's encoding does not have ({shown}): name it with --encoding"
        )
    raise _Refused(name, "holds half of a surrogate pair, which is not a character")


def _name(name: str, text: str) -> str:
    if len(text) > _LONGEST_NAME:
        raise _Refused(name, f"is {len(text)} characters long; at most {_LONGEST_NAME} are allowed")
    if not text and name in REQUIRED:
        raise _Refused(name, "is empty")
    return text


def _converted(name: str, value: str | list[str]) -> Any:
    column = _column(name)
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
        return _number(column, text)
    # Lower case, as the course stores it, so that a second run finds no difference.
    return _clean(column, text.lower() if name == "language" else text)


def _number(column: DecimalField[Any, Any], text: str) -> Decimal:
    value: Decimal = _clean(column, text, _as_python_writes(text))
    return value.quantize(Decimal(1).scaleb(-column.decimal_places))


def _as_python_writes(number: str) -> str:
    """Return a number with a decimal point alone. What could mean two (1.234 or 1,234) stays as it is."""
    if (grouped := _GROUPED.fullmatch(number)) is not None:
        mark, rest = grouped["mark"], grouped["rest"] or ""
        if (rest and rest[0] != mark) or mark not in ".,":
            whole = number.removesuffix(rest).replace(mark, "")
            return whole + rest.replace(",", ".")
    return number.replace(",", ".") if _DECIMAL_COMMA.fullmatch(number) else number


def _truth(name: str, text: str) -> bool:
    if text not in _TRUE | _FALSE:
        raise _Refused(name, "is neither true nor false")
    return text in _TRUE


def _clean(column: Field[Any, Any], value: Any, written: str | None = None) -> Any:
    try:
        return column.clean(value if written is None else written, None)
    except ValidationError as error:
        shown = f"{value!s:.40}{'…' if len(str(value)) > 40 else ''}"
        raise _Refused(column.name, f"{' '.join(error.messages)} (found: {shown})") from None


@cache
def _column(name: str) -> Field[Any, Any]:
    column = Course._meta.get_field(name)
    assert isinstance(column, Field)  # noqa: S101 (for the type checker: none of these names is a relation)
    return column
