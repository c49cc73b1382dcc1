"""The catalogue version that the host knows: what each row of the database's table says of it."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from .layout import MARKS_COPY
from .versioned import Versioned

if TYPE_CHECKING:
    from .store import Store

# Note [The name of a version]
# The database counts writes in several rows, so that writers do not wait for each other. A version's name is
# the sum of all rows that the host knows, each with a weight of its own. Without weights, a host that knows
# of one more write in one row and a host that knows of one more in another would call two versions by one
# name, if both writes have raised their rows by the same. The first row has the weight 1: a database with one
# row gives the name itself.

# Note [A name does not come back]
# A failover may lose commits. Then the database has lower numbers, and the name of the time before them would
# be in force again. But an answer stored under it may show what was lost: its reader noted the name, the
# commit came, the reader asked, and only then was the host told of the commit. And where the new primary's
# clock is behind, a writer tells a lower number than the host knows: the name would stay, and answers of
# before this write with it. So from either on the name has a part that no name had before, for longer than an
# answer is fresh. Meanwhile a host shares no stored answers with others. It happens without a failover, too,
# if two writers of one row tell the host in another order than they have stored: that costs no more.

_MODULUS = 2**61 - 1  # A prime, so that no weight is a multiple of another by a small number.
_ROWS = 32  # As many as the database has, and as fit into `MARKS_COPY`.
# Computed once: a name is made under the host's lock.
_WEIGHTS = {row: pow(0x9E3779B97F4A7C15, row - 1, _MODULUS) for row in range(1, _ROWS + 1)}
_WEIGHT_OF_DOUBT = pow(0x9E3779B97F4A7C15, _ROWS, _MODULUS)

DOUBTED_FOR = 60.0
"""Seconds for which a name is marked. See Note [A name does not come back]."""


class Mark(NamedTuple):
    """The catalogue version and, likewise, that of what was removed or hidden; 0 for what is not known.

    Of the host they are names, which are equal or not; of one row they are numbers that rise.
    """

    version: int = 0
    removals: int = 0


Rows = Mapping[int, Mark]
"""What is known of each row, by its number; a row that is not there has 0."""


class _Known(NamedTuple):
    rows: Rows
    doubted: int  # since when, in microseconds of the monotonic clock; 0 for not at all
    mark: Mark


def _known(rows: Rows, doubted: int = 0) -> _Known:
    doubted = doubted if rows else 0
    version = _name({row: mark.version for row, mark in rows.items()}) + doubted * _WEIGHT_OF_DOUBT
    removals = _name({row: mark.removals for row, mark in rows.items()})
    return _Known(rows, doubted, Mark(version % _MODULUS, removals))


def _name(values: Mapping[int, int]) -> int:
    """See Note [The name of a version]."""
    return sum(value * _WEIGHTS[row] for row, value in values.items()) % _MODULUS


class Marks:
    """The host's copy of the rows in which the database counts writes and removals."""

    def __init__(self, store: "Store", at: int) -> None:
        self._value = Versioned(
            store,
            at,
            MARKS_COPY,
            _known({}),
            encode=lambda known: [known.doubted, *([row, *mark] for row, mark in known.rows.items())],
            decode=lambda value: _known({row: Mark(*mark) for row, *mark in value[1:]}, value[0]),
        )

    def read(self) -> Mark:
        """Return the names of what is known. See Note [The name of a version]."""
        return self._value.read().mark

    def rows(self) -> Rows:
        """Return what is known of each row."""
        return self._value.read().rows

    def rise(self, row: int = 1, *, version: int = 0, removals: int = 0) -> bool:
        """Raise what is lower in one row; False when the lock could not be had, so that it is tried again.

        A version that is lower than what is known changes the name all the same: see Note [A name does not
        come back].
        """
        told = Mark(version, removals)

        def risen(last: _Known) -> _Known:
            known = _of(last.rows, row)
            doubted = _doubt(last) if 0 < told.version < known.version else last.doubted
            higher = _higher(known, told)
            return _known(last.rows if higher == known else {**last.rows, row: higher}, doubted)

        last = self._value.read()
        return risen(last) == last or self._value.update(risen) is not None

    def correct(self, noted: Rows, told: Rows) -> bool:
        """Take the word of the database, which was asked for all rows after `noted` was read (`rows`).

        It counts also where it says less: a failover may have lost commits. But a row that somebody raised
        meanwhile may only rise: the database was perhaps asked before. False as for `rise`.
        """

        def corrected(last: _Known) -> _Known:
            found = {
                row: _of(told, row)
                if _of(last.rows, row) == _of(noted, row)
                else _higher(_of(last.rows, row), _of(told, row))
                for row in sorted({*last.rows, *told})
            }
            left = {row: mark for row, mark in found.items() if mark != Mark()}
            fell = any(_of(left, row).version < mark.version for row, mark in last.rows.items())
            return _known(left, _doubt(last) if fell else _still_doubted(last))

        last = self._value.read()
        return corrected(last) == last or self._value.update(corrected) is not None


def _doubt(last: _Known) -> int:
    return max(last.doubted + 1, int(time.monotonic() * 1e6))


def _still_doubted(last: _Known) -> int:
    return last.doubted if 0 <= time.monotonic() - last.doubted / 1e6 < DOUBTED_FOR else 0


def _of(rows: Rows, row: int) -> Mark:
    return rows.get(row, Mark())


def _higher(one: Mark, other: Mark) -> Mark:
    return Mark(max(one.version, other.version), max(one.removals, other.removals))
