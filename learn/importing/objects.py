"""Reads rows that are JSON objects, one on each line or all in one array."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TextIO

from learn.importing.errors import Rejection, UnreadableError
from learn.importing.layout import KNOWN, Layout, Row, Value, normalised
from learn.importing.source import MAX_RECORD

_CHUNK = 64 * 1024
_BETWEEN = re.compile(r"[^\s,]")
_NEXT_ROW = re.compile(r"(?:\n[ \t]*|\}\s*,\s*)\{")
# The characters of it that may lie before the end of a chunk.
_LONGEST_GAP = 64
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
# Where a word is cut, the decoder's error points at its first letter; "-Infinity" is the longest word.
_LONGEST_WORD = 8
# What is nested too deeply has more braces and brackets than this.
_DEEP = 256


class _Objects:
    """Cut text into JSON objects, and hold no more of it than one of them may have.

    What is not an object is rejected, and reading goes on at the next brace that begins a line, or follows
    another object and a comma.
    """

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._buffer = ""
        self._place = 0
        self._line = 1
        self._array_open = False

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]] | Rejection]:
        """Yield the members of each object with the line where it begins.

        Raises UnreadableError if the text begins with neither an object nor an array.
        """
        begun = array = False
        while mark := self._mark():
            if mark == "{":
                yield self._object()
            elif mark == "[" and not begun:
                array = self._array_open = True
                self._go(self._place + 1)
            elif mark == "]" and array:
                self._array_open = False
                self._go(self._place + 1)
            elif begun:
                yield self._give_up(f"an object was expected here, not {mark!r}", self._place + 1)
            else:
                raise UnreadableError(
                    "The file is not JSON: it begins with neither an object nor an array of them."
                )
            begun = True
        if self._array_open:
            reason = "the file ends before its array is closed: the rest may be cut off"
            yield Rejection(self._line, "", reason)

    def _mark(self) -> str:
        """Skip what lies between objects; return the next character, or an empty text at the end."""
        while (match := _BETWEEN.search(self._buffer, self._place)) is None:
            self._go(len(self._buffer))
            if not self._read_on():
                return ""
        self._go(match.start())
        return match[0]

    def _object(self) -> tuple[int, dict[str, Any]] | Rejection:
        while True:
            try:
                members, end = _DECODER.raw_decode(self._buffer, self._place)
            except RecursionError:
                return self._give_up("is nested too deeply", self._place + _DEEP)
            except json.JSONDecodeError as error:
                held, place = len(self._buffer), error.pos
                unclosed = error.msg.startswith("Unterminated string")
                too_long = held - self._place > MAX_RECORD
                if unclosed or place >= held - _LONGEST_WORD:
                    if not too_long and self._read_on():
                        continue
                    if too_long or unclosed or place >= held:
                        reason = f"is longer than {MAX_RECORD} characters"
                        return self._give_up(reason if too_long else "the file ends inside this object", held)
                line = self._line + self._buffer.count("\n", self._place, place)
                column = place - self._buffer.rfind("\n", 0, place)
                newline = self._buffer.rfind("\n", self._place, place)
                reason = f"is not a JSON object: {error.msg}: line {line}, column {column}"
                return self._give_up(reason, newline if newline >= 0 else place)
            begin = self._line
            self._go(end)
            return begin, members

    def _give_up(self, reason: str, place: int) -> Rejection:
        """Reject what begins here, and go on with the next row behind `place`."""
        rejection = Rejection(self._line, "", reason)
        self._array_open = False  # its end may be in the text that is skipped
        self._go(min(place, len(self._buffer)))
        while (row := _NEXT_ROW.search(self._buffer, self._place)) is None:
            self._go(max(self._place, len(self._buffer) - _LONGEST_GAP))
            if not self._read_on():
                self._go(len(self._buffer))
                return rejection
        self._go(row.end() - 1)
        return rejection

    def _go(self, place: int) -> None:
        self._line += self._buffer.count("\n", self._place, place)
        self._place = place

    def _read_on(self) -> bool:
        """Read one more chunk and drop the text before the place; return False at the end of the file."""
        chunk = self._text.read(_CHUNK)
        self._buffer = self._buffer[self._place :] + chunk
        self._place = 0
        return bool(chunk)


def rows(text: TextIO, layout: Layout) -> Iterator[Row | Rejection]:
    """Yield the objects of a file as rows, and a rejection for each broken one.

    A record of `loaddata` for a course is read, too. Memory is bounded by MAX_RECORD.
    Raises UnreadableError if the file is not JSON.
    """
    for found in _Objects(text):
        yield found if isinstance(found, Rejection) else _row(*found, layout)


def _row(line: int, members: dict[str, Any], layout: Layout) -> Row | Rejection:
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
