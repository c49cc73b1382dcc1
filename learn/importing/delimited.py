"""Reads rows as spreadsheets write them: separated by commas, semicolons, tabs or bars."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TextIO

from learn.importing.errors import Rejection, UnreadableError
from learn.importing.layout import Layout, Row, normalised
from learn.importing.source import MAX_RECORD

_DELIMITERS = (",", ";", "\t", "|")
# A first line by which spreadsheets tell each other the delimiter.
_HINT = re.compile(r"\"?sep=(.)\"?[\r\n]*", re.IGNORECASE)
_MAX_REWINDS = 200


class _TooLongError(Exception):
    """The row is longer than MAX_RECORD."""


class _Lines(Iterator[str]):
    """Yield the lines of a file, remember those of the current row, and take them back on demand.

    Note [Why an unclosed quote gives its lines back]
    After a quote that is not closed, all that follows is one value, and a parser would lose all rows up to
    the end of the file. So the length of a row is bounded, and of a broken row only the first line is
    rejected: reading goes on with its second line. Since up to MAX_RECORD characters are then read twice,
    this is done at most _MAX_REWINDS times in a file. Later broken rows are rejected with all their lines.
    """

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._returned: deque[str] = deque()
        self._taken: list[str] = []
        self._size = 0
        self._rewinds = 0
        self.start = 1

    def begin(self) -> None:
        """Start a new row at the next line."""
        self.start += len(self._taken)
        self._taken = []
        self._size = 0

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else self._text.readline(MAX_RECORD + 1)
        if not line:
            raise StopIteration
        self._taken.append(line)
        self._size += len(line)
        if self._size > MAX_RECORD:
            self._skip_rest_of(line)
            raise _TooLongError
        return line

    def _skip_rest_of(self, line: str) -> None:
        if line.endswith(("\n", "\r")):
            return
        self._taken[-1] += "\n"  # if it is read again, it is a whole line, and still too long
        while line and not line.endswith(("\n", "\r")):
            line = self._text.readline(MAX_RECORD)

    def take_back(self, keep: int) -> bool:
        """Take back all lines of the row but the first `keep`; return False if _MAX_REWINDS is reached."""
        if len(self._taken) <= keep:
            return True
        if self._rewinds >= _MAX_REWINDS:
            return False
        self._rewinds += keep
        self._returned.extendleft(reversed(self._taken[keep:]))
        del self._taken[keep:]
        return True

    @property
    def end(self) -> int:
        """The last line of the current row."""
        return self.start + max(len(self._taken), 1) - 1


def rows(text: TextIO, layout: Layout, ignored: list[str]) -> Iterator[Row | Rejection]:
    """Yield the rows of a file, and a rejection for each that cannot be parsed.

    Names of columns that are not used are appended to `ignored`. Memory is bounded by MAX_RECORD.
    Raises UnreadableError if the header lacks a required column.
    """
    lines = _Lines(text)
    delimiter, names = _first_row(lines, layout)
    if layout.columns is not None:
        names = list(layout.columns)
    places, unused = layout.bind(names)
    ignored.extend(unused)
    for start, record in _records(lines, delimiter):
        if isinstance(record, Rejection):
            yield record
        elif (fitted := _fitted(record, len(names))) is None:
            yield Rejection(start, "", f"holds {len(record)} values where {len(names)} columns are named")
        else:
            yield Row(start, {name: fitted[place] for name, place in places.items()})


def _fitted(record: list[str], width: int) -> list[str] | None:
    """Return a row with as many values as there are columns, or None if it has more.

    Spreadsheets leave out empty values at the end of a row, or write some too many.
    """
    if len(record) <= width:
        return record + [""] * (width - len(record))
    return None if any(map(str.strip, record[width:])) else record


def _records(lines: _Lines, delimiter: str) -> Iterator[tuple[int, list[str] | Rejection]]:
    reader = _reader(lines, delimiter)
    while True:
        lines.begin()
        try:
            record = next(reader)
        except StopIteration:
            return
        except (csv.Error, _TooLongError) as error:
            yield lines.start, _broken(lines, error)
        else:
            if any(value.strip() for value in record):
                yield lines.start, record


def _broken(lines: _Lines, error: Exception) -> Rejection:
    start, end = lines.start, lines.end
    if isinstance(error, _TooLongError) or "field limit" in str(error):
        reason = (
            f"is longer than {MAX_RECORD if isinstance(error, _TooLongError) else csv.field_size_limit()} "
        )
        reason += "characters" if start == end else "characters: a quote that is opened here is not closed"
    elif "end of data" in str(error):
        reason = "a quote that is opened here is not closed before the end of the file"
    elif start == end:
        reason = "text follows a closing quote (a quote inside a value is written twice)"
    else:
        reason = f"a quote that is opened here is not closed properly (text follows a quote in line {end})"
    # See Note [Why an unclosed quote gives its lines back].
    if not lines.take_back(1):
        reason += f"; lines {start} to {end} were not read"
    return Rejection(start, "", reason)


def _reader(lines: Iterator[str], delimiter: str) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)


def _first_row(lines: _Lines, layout: Layout) -> tuple[str, list[str]]:
    """Return the delimiter that a hint names or that fits the first row best, and that row.

    A header is then consumed; a first row of values will be read again.
    """
    delimiters = _hinted(lines) or _DELIMITERS
    readings: list[tuple[int, str, list[str]]] = []
    problem = ""
    while not readings:
        lines.begin()
        for delimiter in delimiters:
            try:
                record = next(_reader(lines, delimiter))
            except StopIteration:
                raise UnreadableError("The file holds no row.") from None
            except csv.Error as error:
                problem = str(error)
            except _TooLongError:
                problem = f"it is longer than {MAX_RECORD} characters"
            else:
                if record:
                    readings.append((_sense(record, layout), delimiter, record))
            lines.take_back(0)
        if problem and not readings:
            raise UnreadableError(f"The first row cannot be parsed: {problem}.")
        if not readings:  # an empty line
            next(lines)
    _, delimiter, record = max(readings, key=lambda reading: reading[0])
    if any("\udc80" <= character <= "\udcff" for name in record for character in name):
        raise UnreadableError(
            "The first row holds bytes that the file's encoding does not have: name another with --encoding."
        )
    if layout.columns is None:
        next(_reader(lines, delimiter))
    return delimiter, record


def _hinted(lines: _Lines) -> str:
    """Return the delimiter of a line such as `sep=;`, which is then consumed, or an empty text."""
    lines.begin()
    try:
        line = next(lines, "")
    except _TooLongError:
        line = ""
    if (hint := _HINT.fullmatch(line)) is not None:
        return hint[1]
    lines.take_back(0)
    return ""


def _sense(record: Sequence[str], layout: Layout) -> int:
    """Return a number that is greater, the better a reading of the first row fits the layout."""
    if layout.columns is not None:
        return -abs(len(record) - len(layout.columns))
    wanted = {layout.source(name) for name in (*layout.renamed, "title", "field")}
    names = {normalised(name) for name in record}
    return 1000 * len(wanted & names) + len(names)
