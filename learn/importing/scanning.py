"""Reads JSON values one after the other from a text of any length, and goes on behind a broken one."""

from __future__ import annotations

import json
import re
from typing import Any, TextIO

from learn.importing.source import MAX_RECORD

_CHUNK = 64 * 1024
_BETWEEN = re.compile(r"[^\s,]")
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
# Where a word is cut, the decoder's error points at its first letter; "-Infinity" is the longest word.
_LONGEST_WORD = 8
# An escape, a mark of JSON's structure or of a line's end, or a run of anything else.
_TOKEN = re.compile(r'\\.|["{}\[\]:,\n]|[^\s"{}\[\]:,\\]+', re.DOTALL)
# An escape may lie across the end of a chunk.
_LONGEST_TOKEN = 2


class BrokenError(Exception):
    """No JSON value could be read; the message says why."""


class Scanner:
    """Reads JSON values with `json`'s own decoder, and holds no more text than one of them may have."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._buffer = ""
        self._place = 0
        self.line = 1

    def mark(self) -> str:
        """Skip blanks and commas; return the next character, or an empty text at the end."""
        while (match := _BETWEEN.search(self._buffer, self._place)) is None:
            self._go(len(self._buffer))
            if not self._read_on():
                return ""
        self._go(match.start())
        return match[0]

    def step(self) -> None:
        """Go past the character that mark() has returned."""
        self._go(self._place + 1)

    def value(self) -> Any:
        """Return the value that begins here, its numbers as they are written.

        Raises BrokenError if it is no JSON or too long; the place stays where it is.
        """
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self._place)
            except RecursionError:
                raise BrokenError("is nested too deeply") from None
            except json.JSONDecodeError as error:
                held, place = len(self._buffer), error.pos
                unclosed = error.msg.startswith("Unterminated string")
                too_long = held - self._place > MAX_RECORD
                if unclosed or place >= held - _LONGEST_WORD:
                    if not too_long and self._read_on():
                        continue
                    if too_long:
                        raise BrokenError(f"is longer than {MAX_RECORD} characters") from None
                    if unclosed or place >= held:
                        raise BrokenError("the file ends inside this object") from None
                line = self.line + self._buffer.count("\n", self._place, place)
                column = place - self._buffer.rfind("\n", 0, place)
                reason = f"is not a JSON object: {error.msg}: line {line}, column {column}"
                raise BrokenError(reason) from None
            self._go(end)
            return value

    def skip(self) -> None:
        """Go past the value that begins here, however long it is. Raises BrokenError as value() does."""
        if self.mark() in {"{", "["}:
            self._follow(_Trail(), to_row=False)
        else:
            self.value()

    def go_on_behind(self, mark: str) -> bool:
        """Go to the next row behind a broken one that begins here with `mark`, or to the end of the text.

        Returns False at the end of a text in which no row was looked for behind it, since it never closes.
        """
        trail = _Trail()
        trail.begins_row(mark)
        self.step()
        return self._follow(trail, to_row=True) or trail.closed

    def _follow(self, trail: _Trail, *, to_row: bool) -> bool:
        """Go to the next row, or else past what is open; return False if the text ends before."""
        while True:
            more = self._read_on()
            place = sure = len(self._buffer) - (_LONGEST_TOKEN if more else 0)
            for token in _TOKEN.finditer(self._buffer):
                if token.start() >= sure:
                    break
                place = token.end()
                if trail.begins_row(token[0]) and to_row:
                    self._go(token.start())
                    return True
                if trail.closed and not to_row:
                    self._go(token.start() + 1)
                    return True
            self._go(max(place, sure, 0))
            if not more:
                return False

    def _go(self, place: int) -> None:
        self.line += self._buffer.count("\n", self._place, place)
        self._place = place

    def _read_on(self) -> bool:
        """Read one more chunk and drop the text before the place; return False at the end of the file."""
        chunk = self._text.read(_CHUNK)
        self._buffer = self._buffer[self._place :] + chunk
        self._place = 0
        return bool(chunk)


class _Trail:
    """Follows braces, brackets and strings of a text that need not be JSON.

    Note [Where the next row begins]
    Behind a broken row, not each brace begins a row: a row may hold objects. A brace begins one if none is
    open around it. It also does where JSON allows no object: behind a member of an object instead of a name.
    Then the row before it was not closed. To say that, it must follow a comma or another object, or begin a
    line. A string ends with its line at the latest.
    """

    def __init__(self) -> None:
        self._open: list[str] = []
        self._in_string = False
        self._line_begins = False
        self._before = ""

    @property
    def closed(self) -> bool:
        """Whether nothing is open here."""
        return not self._open and not self._in_string

    def begins_row(self, token: str) -> bool:
        """Take the next token of the text; tell whether it is a brace that begins a row."""
        mark = token[0]
        if self._in_string:
            self._in_string = mark not in '"\n'
            if self._in_string or mark == '"':
                return False
        if mark == "\n":
            self._line_begins = True
            return False
        begins = mark == "{" and self._may_begin_row()
        self._note(mark)
        self._line_begins = False
        self._before = token[-1]
        return begins

    def _may_begin_row(self) -> bool:
        # See Note [Where the next row begins]
        if not self._open:
            return True
        inside = self._open[-1] == "{" and self._before not in {"{", ":"}
        return inside and (self._line_begins or self._before in {",", "}"})

    def _note(self, mark: str) -> None:
        if mark == '"':
            self._in_string = True
        elif mark in "{[" and len(self._open) < MAX_RECORD:
            self._open.append(mark)
        elif mark == "]" and self._open[-1:] == ["["]:
            self._open.pop()
        elif mark == "}":  # brackets that were not closed inside end here
            while self._open and self._open.pop() != "{":
                pass
