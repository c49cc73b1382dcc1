"""Reads rows that are JSON objects, one on each line or all in one array."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import Any, TextIO

from learn.importing.errors import Rejection, UnreadableError
from learn.importing.layout import KNOWN, Layout, Row, Value, normalised
from learn.importing.source import MAX_RECORD

_CHUNK = 64 * 1024
_BETWEEN = re.compile(r"[^\s,]|\n")
_IN_OBJECT = re.compile(r'(?P<first>^[ \t]*\{)|["{}\n]', re.MULTILINE)
_IN_STRING = re.compile(r'["\n]|\\.?', re.DOTALL)
_NEXT_ROW = re.compile(r"(?P<first>^[ \t]*\{)|\n", re.MULTILINE)


class _State(Enum):
    BETWEEN = auto()
    OBJECT = auto()
    STRING = auto()
    LOST = auto()


class _Scanner:
    """Cut text into JSON objects, one chunk at a time.

    It looks only for braces and quotes, so it needs no more memory than one object. It relies on two rules:
    a string holds no line break, and no object within a row begins a line. A row that breaks a rule is
    rejected, and reading goes on at the next line that begins with a brace.
    """

    def __init__(self) -> None:
        self._state = _State.BETWEEN
        self._line = 1
        self._begin = 1
        self._depth = 0
        self._parts: list[str] = []
        self._size = 0
        self._array_open = False
        self._array = False
        self._begun = False
        self._split_escape = False
        self._at_line_start = True

    def feed(self, chunk: str) -> Iterator[tuple[int, str] | Rejection]:
        """Yield each object that ends in this chunk, with the line where it begins.

        Raises UnreadableError if the text begins with neither an object nor an array.
        """
        step = {
            _State.BETWEEN: self._between,
            _State.OBJECT: self._object,
            _State.STRING: self._string,
            _State.LOST: self._lost,
        }
        place = 0
        while place < len(chunk):
            place, found = step[self._state](chunk, place)
            if found is not None:
                yield found
        self._at_line_start = chunk.endswith("\n")

    def finish(self) -> Rejection | None:
        """Return a rejection if something is missing where the text ends, else None."""
        if self._state in {_State.OBJECT, _State.STRING}:
            return Rejection(self._begin, "", "the file ends inside this object")
        if self._array_open:
            return Rejection(
                self._line, "", "the file ends before its array is closed: the rest may be cut off"
            )
        return None

    def _between(self, chunk: str, place: int) -> tuple[int, Rejection | None]:
        match = _BETWEEN.search(chunk, place)
        if match is None:
            return len(chunk), None
        found, end = match[0], match.end()
        if found == "\n":
            self._line += 1
        elif found == "{":
            self._open()
            return match.start(), None
        elif found == "[" and not self._begun:
            self._array = self._array_open = True
        elif found == "]" and self._array:
            self._array_open = False
        elif not self._begun:
            raise UnreadableError(
                "The file is not JSON: it begins with neither an object nor an array of them."
            )
        else:
            self._state = _State.LOST
            return end, Rejection(self._line, "", f"an object was expected here, not {found!r}")
        self._begun = self._begun or not found.isspace()
        return end, None

    def _open(self) -> None:
        self._state = _State.OBJECT
        self._begun = True
        self._begin, self._depth, self._parts, self._size = self._line, 0, [], 0

    def _object(self, chunk: str, place: int) -> tuple[int, tuple[int, str] | Rejection | None]:
        match = _IN_OBJECT.search(chunk, place)
        if match is None:
            self._keep(chunk[place:])
            return len(chunk), None
        if self._depth and self._begins_line(match):
            return match.start(), self._give_up("it is not closed before the next object begins")
        self._keep(chunk[place : match.end()])
        mark = match[0][-1]
        if mark == '"':
            self._state = _State.STRING
        elif mark == "\n":
            self._line += 1
        else:
            self._depth += 1 if mark == "{" else -1
            if not self._depth:
                self._state = _State.BETWEEN
                return match.end(), self._whole()
        return match.end(), None

    def _string(self, chunk: str, place: int) -> tuple[int, Rejection | None]:
        if self._split_escape:
            self._split_escape = False
            self._keep(chunk[place])
            return place + 1, None
        match = _IN_STRING.search(chunk, place)
        if match is None:
            self._keep(chunk[place:])
            return len(chunk), None
        if match[0].endswith("\n"):
            self._line += 1
            return match.end(), self._give_up(f"a text in line {self._line - 1} is not closed")
        self._keep(chunk[place : match.end()])
        self._split_escape = match[0] == "\\"
        if match[0] == '"':
            self._state = _State.OBJECT
        return match.end(), None

    def _lost(self, chunk: str, place: int) -> tuple[int, None]:
        match = _NEXT_ROW.search(chunk, place)
        if match is None:
            return len(chunk), None
        if match[0] == "\n":
            self._line += 1
        elif self._begins_line(match):
            self._state = _State.BETWEEN
            return match.start(), None
        return match.end(), None

    def _begins_line(self, match: re.Match[str]) -> bool:
        """Tell whether the match begins a line. The pattern takes the start of each chunk for one."""
        return match.lastgroup == "first" and (match.start() > 0 or self._at_line_start)

    def _keep(self, part: str) -> None:
        self._size += len(part)
        if self._size <= MAX_RECORD:
            self._parts.append(part)
        else:
            self._parts.clear()

    def _whole(self) -> tuple[int, str] | Rejection:
        if self._size > MAX_RECORD:
            return Rejection(self._begin, "", f"is longer than {MAX_RECORD} characters")
        return self._begin, "".join(self._parts)

    def _give_up(self, reason: str) -> Rejection:
        self._parts = []
        self._state = _State.LOST
        self._array_open = False  # its end may be in the text that is skipped
        return Rejection(self._begin, "", f"is not a JSON object: {reason}")


def rows(text: TextIO, layout: Layout) -> Iterator[Row | Rejection]:
    """Yield the objects of a file as rows, and a rejection for each broken one.

    A record of `loaddata` for a course is read, too. Memory is bounded by MAX_RECORD.
    Raises UnreadableError if the file is not JSON.
    """
    scanner = _Scanner()
    while chunk := text.read(_CHUNK):
        for found in scanner.feed(chunk):
            yield found if isinstance(found, Rejection) else _row(*found, layout)
    if (missing := scanner.finish()) is not None:
        yield missing


def _row(line: int, text: str, layout: Layout) -> Row | Rejection:
    try:
        members = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except json.JSONDecodeError as error:
        reason = f"is not a JSON object: {error.msg}, column {error.colno}"
        return Rejection(line + error.lineno - 1, "", reason)
    except RecursionError:
        return Rejection(line, "", "is nested too deeply")
    if {"model", "fields"} <= members.keys():
        if members["model"] != "learn.course" or not isinstance(members["fields"], dict):
            reason = f"is a record of {members['model']!r}, not of a course: manage.py loaddata loads it"
            return Rejection(line, "model", reason)
        members = _without_natural_key(members["fields"])
    named = {normalised(name): member for name, member in members.items()}
    values: dict[str, Value] = {}
    for name in sorted(KNOWN):
        source = layout.source(name)
        if source in named:
            value = _value(named[source])
            if value is None:
                return Rejection(line, name, "is neither a text nor a number nor a list of texts")
            values[name] = value
    return Row(line, values)


def _without_natural_key(fields: dict[str, Any]) -> dict[str, Any]:
    """Replace the list by which `loaddata` names the field of study by the slug in it."""
    match fields.get("field"):
        case [str() as slug]:
            return fields | {"field": slug}
    return fields


def _value(member: Any) -> Value | None:
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
