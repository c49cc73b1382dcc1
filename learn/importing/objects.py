"""Reads rows that are JSON objects: one on each line, all in one array, or in a list within an object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TextIO

from learn.importing import layout as layouts
from learn.importing.errors import Rejection, UnreadableError
from learn.importing.layout import KNOWN, REQUIRED, Layout, Row, Value
from learn.importing.scanning import BrokenError, Scanner

# The columns of a file are few, and their names come again in each row.
_normalised = lru_cache(maxsize=1024)(layouts.normalised)
# How deep the list of rows is looked for, to name it in a message.
_LOOKED_INTO = 3


def rows(text: TextIO, layout: Layout, inside: str = "") -> Iterator[Row | Rejection]:
    """Yield the objects of a file as rows, and a rejection for each broken one.

    With `inside`, names that are joined by dots, rows are the objects of the list that lies there. A record
    of `loaddata` for a course is read, too. Memory is bounded by MAX_RECORD.
    Raises UnreadableError if the file is not JSON, or its rows lie elsewhere.
    """
    sources = {name: layout.source(name) for name in KNOWN}
    scanner = Scanner(text)
    if inside:
        _enter(scanner, inside)
    first = True
    for found in _objects(scanner, inside):
        row = found if isinstance(found, Rejection) else _row(*found, sources)
        if first and not inside and not isinstance(found, Rejection):
            _check_place(found[1], row, layout)
        first = False
        yield row


def _objects(scanner: Scanner, inside: str) -> Iterator[tuple[int, dict[str, Any]] | Rejection]:
    """Yield the members of each object with the line where it begins.

    Raises UnreadableError if the text begins with neither an object nor an array.
    """
    begun = array = array_open = False
    while mark := scanner.mark():
        if mark == "[" and not begun:
            array = array_open = True
            scanner.step()
        elif mark == "]" and array:
            array_open = False
            scanner.step()
            if inside:  # what follows belongs to the objects around the list
                return
        elif mark == "{" or begun:
            found = _object(scanner, mark)
            # The array's end may be in the text that is skipped.
            array_open = array_open and not isinstance(found, Rejection)
            yield found
        else:
            raise UnreadableError(
                "The file is not JSON: it begins with neither an object nor an array of them."
            )
        begun = True
    if array_open:
        reason = "the file ends before its array is closed: the rest may be cut off"
        yield Rejection(scanner.line, "", reason)


def _object(scanner: Scanner, mark: str) -> tuple[int, dict[str, Any]] | Rejection:
    line = scanner.line
    try:
        if mark == "{":
            return line, scanner.value()
        reason = f"an object was expected here, not {mark!r}"
    except BrokenError as error:
        reason = str(error)
    if not scanner.go_on_behind(mark):
        more = scanner.line > line
        reason += f"; lines {line} to {scanner.line}" if more else f"; what follows in line {line}"
        reason += " could not be read"
    return Rejection(line, "", reason)


def _enter(scanner: Scanner, path: str) -> None:
    """Go to the list that lies at `path`. Raises UnreadableError if there is none."""
    try:
        for name in path.split("."):
            _enter_member(scanner, layouts.normalised(name), path)
    except BrokenError as error:
        raise UnreadableError(f"--rows {path}: line {scanner.line} {error}.") from error
    if scanner.mark() != "[":
        raise UnreadableError(f"--rows {path}: there is no list of that name.")


def _enter_member(scanner: Scanner, name: str, path: str) -> None:
    if scanner.mark() != "{":
        raise UnreadableError(f"--rows {path}: there is no object with '{name}'.")
    scanner.step()
    met = []
    while scanner.mark() == '"':
        member = str(scanner.value())
        met.append(member)
        if scanner.mark() == ":":
            scanner.step()
        if layouts.normalised(member) == name:
            return
        scanner.skip()
    raise UnreadableError(f"--rows {path}: there is no '{name}'. There is: {layouts.listed(met)}.")


def _check_place(members: dict[str, Any], row: Row | Rejection, layout: Layout) -> None:
    """Raise UnreadableError if the first object holds nothing of a course, but a list of objects."""
    if isinstance(row, Row) and any(name in row.values for name in REQUIRED if name not in layout.constants):
        return
    if path := _list_in(members, _LOOKED_INTO):
        raise UnreadableError(f"The rows seem to lie in '{path}': read them with --rows {path}.")


def _list_in(members: Mapping[str, Any], depth: int) -> str:
    for name, member in members.items():
        match member:
            case [{**_first}, *_]:
                return name
            case dict() if depth > 1 and (path := _list_in(member, depth - 1)):
                return f"{name}.{path}"
    return ""


def _row(line: int, members: dict[str, Any], sources: Mapping[str, str]) -> Row | Rejection:
    if {"model", "fields"} <= members.keys():
        if members["model"] != "learn.course" or not isinstance(members["fields"], dict):
            reason = f"is a record of {members['model']!r}, not of a course: manage.py loaddata loads it"
            return Rejection(line, "model", reason)
        members = _without_natural_key(members["fields"])
    named = {_normalised(name): member for name, member in members.items()}
    values: dict[str, Value] = {}
    for name, source in sources.items():
        if source in named:
            values[name] = _value(named[source])
        elif "." in source and (found := _within(named, source.split("."))) is not None:
            values[name] = _value(found)
    return Row(line, values)


def _within(value: Any, names: Sequence[str]) -> Any:
    """Return what lies at a path of names; in a list a number is a place, and a name means each object's."""
    if not names:
        return value
    if isinstance(value, dict):
        found = next((member for name, member in value.items() if _normalised(name) == names[0]), None)
        return None if found is None else _within(found, names[1:])
    if isinstance(value, list):
        if names[0].isdecimal():
            place = int(names[0][:9])
            return _within(value[place], names[1:]) if place < len(value) else None
        found = [_within(each, names) for each in value]
        return [each for each in found if each is not None]
    return None


def _without_natural_key(fields: dict[str, Any]) -> dict[str, Any]:
    """Replace the list by which `loaddata` names the field of study by the slug in it."""
    match fields.get("field"):
        case [str() as slug]:
            return fields | {"field": slug}
    return fields


def _value(member: Any) -> Value:
    match member:
        case None:
            return ""
        case bool():
            return str(member).lower()
        case str():
            return member
        case list() if all(isinstance(part, str) for part in member):
            return member
    return None
