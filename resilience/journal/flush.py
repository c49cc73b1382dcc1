"""Copy the journal into the database while that is up. No line is lost, and none is stored twice."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import DataError, IntegrityError, transaction
from django.utils import timezone

from resilience import registry
from resilience.db.batches import delete_in_batches
from resilience.journal.files import LONGEST, ROTATED_AT, Journal, journal, parsed
from resilience.journal.minutes import KIND as MINUTE
from resilience.models import Event, Minute

logger = logging.getLogger("resilience.events")

# Days for which rows are kept.
EVENT_DAYS = 90
MINUTE_DAYS = 35
# The most rows of one INSERT: SQLite limits the variables of a statement.
_ROWS = 500


class Copier:
    """Copies the new lines of the journal. It remembers how far it came only to save work.

    Note [What is copied twice is stored once]
    A file of the journal is renamed only after its lines are stored. So lines may be copied again: by a
    steward that was killed before the rename, by one that was stopped and continued, or by two at the same
    time. Their ids are in the database already, so nothing is stored twice.
    """

    def __init__(self) -> None:
        # The file is kept open so that no other file gets its inode while `_copied` belongs to it.
        self._file: int | None = None
        self._copied = 0  # bytes

    def run(self, book: Journal) -> None:
        """Copy all new lines. Raises the database's errors; the lines then stay in the journal."""
        for path in book.pending():
            if self._copy(path):
                book.keep(path)
        if self._copy(book.current) and self._copied >= ROTATED_AT:
            book.rotate()

    def _copy(self, path: Path) -> bool:
        """Copy the part of a file that is not yet copied; return False if the file is gone."""
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        if self._file is not None and os.path.sameopenfile(self._file, file):
            os.close(file)
        else:
            self.close()
            self._file, self._copied = file, 0
        while chunk := os.pread(self._file, LONGEST, self._copied):
            end = chunk.rfind(b"\n") + 1
            if not end and len(chunk) < LONGEST:
                break  # the last line is still being written
            end = end or len(chunk)
            store(parsed(chunk[:end]), path)
            self._copied += end
        return True

    def close(self) -> None:
        """Close the file, and forget how far it was copied."""
        if self._file is not None:
            os.close(self._file)
        self._file, self._copied = None, 0


_copier = Copier()
# Guards _copier: a chore that an earlier term started may still be running.
_lock = threading.Lock()


def run(_epoch: int) -> None:
    """Copy new lines of the journal into the database, unless its breaker refuses or another run copies."""
    if registry.breaker("database").refuses() or not _lock.acquire(blocking=False):
        return
    try:
        _copier.run(journal())
    finally:
        _lock.release()


def prune(_epoch: int) -> None:
    """Delete events older than 90 days and minutes of counters older than 35, in batches."""
    now = timezone.now()
    delete_in_batches(Event.objects.filter(at__lt=now - timedelta(days=EVENT_DAYS)))
    delete_in_batches(Minute.objects.filter(at__lt=now - timedelta(days=MINUTE_DAYS)))


def store(entries: Iterable[dict[str, Any]], source: Path) -> None:
    """Store entries in one transaction; an entry that is already stored stays as it is."""
    happened: list[Event] = []
    counted: list[Minute] = []
    for entry in entries:
        try:
            if entry["kind"] == MINUTE:
                counted += _minutes(entry)
            else:
                happened.append(_event(entry))
        except (KeyError, TypeError, ValueError, OverflowError):
            _refuse(source, 1)
    try:
        _insert(happened, counted)
    except (DataError, IntegrityError):
        # Insert one by one, so that a row which the database never accepts does not hold up the others.
        for row in (*happened, *counted):
            try:
                _insert([row] if isinstance(row, Event) else [], [row] if isinstance(row, Minute) else [])
            except (DataError, IntegrityError):
                _refuse(source, 1)


def _insert(happened: list[Event], counted: list[Minute]) -> None:
    if not happened and not counted:
        return
    with transaction.atomic():
        Event.objects.bulk_create(happened, batch_size=_ROWS, ignore_conflicts=True)
        Minute.objects.bulk_create(counted, batch_size=_ROWS, ignore_conflicts=True)


def _refuse(source: Path, count: int) -> None:
    registry.store().counters.add("dropped", "lines", amount=count)
    logger.error("a line of %s is no event, and is not copied; it stays in the file", source)


def _event(entry: dict[str, Any]) -> Event:
    return Event(
        id=UUID(entry["id"]),
        at=datetime.fromtimestamp(entry["at"], UTC),
        host=str(entry["host"])[:64],
        kind=str(entry["kind"])[:32],
        breaker=str(entry["breaker"])[:64],
        who=str(entry["who"])[:64],
        why=str(entry["why"])[:200],
        data=dict(entry["data"]),
    )


def _minutes(entry: dict[str, Any]) -> list[Minute]:
    at = datetime.fromtimestamp(entry["at"], UTC)
    host, store = str(entry["host"])[:64], str(entry["store"])[:16]
    counters = [(str(name)[:120], int(before), int(total)) for name, before, total in entry["counters"]]
    if not all(0 <= before <= total < 2**63 for _, before, total in counters):
        raise ValueError("no counts")
    return [
        Minute(at=at, host=host, store=store, name=name, before=before, total=total)
        for name, before, total in counters
    ]
