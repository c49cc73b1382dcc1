"""The catalogue version that the host knows: what each row of the database's table says of it."""

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

_MODULUS = 2**61 - 1  # A prime, so that no weight is a multiple of another by a small number.
_ROWS = 32  # As many as the database has, and as fit into `MARKS_COPY`.
# Computed once: a name is made under the host's lock.
_WEIGHTS = {row: pow(0x9E3779B97F4A7C15, row - 1, _MODULUS) for row in range(1, _ROWS + 1)}


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
    mark: Mark


def _known(rows: Rows) -> _Known:
    return _Known(
        rows,
        Mark(
            _name({row: mark.version for row, mark in rows.items()}),
            _name({row: mark.removals for row, mark in rows.items()}),
        ),
    )


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
            encode=lambda known: [[row, *mark] for row, mark in known.rows.items()],
            decode=lambda value: _known({row: Mark(*mark) for row, *mark in value}),
        )

    def read(self) -> Mark:
        """Return the names of what is known. See Note [The name of a version]."""
        return self._value.read().mark

    def rows(self) -> Rows:
        """Return what is known of each row."""
        return self._value.read().rows

    def rise(self, row: int = 1, *, version: int = 0, removals: int = 0) -> bool:
        """Raise what is lower in one row; False when the lock could not be had, so that it is tried again."""

        def risen(last: _Known) -> _Known:
            return _known({**last.rows, row: _higher(_of(last.rows, row), Mark(version, removals))})

        before = _of(self.rows(), row)
        risen_before = _higher(before, Mark(version, removals)) == before
        return risen_before or self._value.update(risen) is not None

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
            return _known({row: mark for row, mark in found.items() if mark != Mark()})

        last = self._value.read()
        return corrected(last) == last or self._value.update(corrected) is not None


def _of(rows: Rows, row: int) -> Mark:
    return rows.get(row, Mark())


def _higher(one: Mark, other: Mark) -> Mark:
    return Mark(max(one.version, other.version), max(one.removals, other.removals))
