"""Stores a batch of rows: new courses, changed ones, and those that need nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import DataError, IntegrityError, transaction
from django.utils import timezone

from learn.importing.errors import Rejection
from learn.models import Course
from learn.normalise import numbered, slugify
from learn.validators import SLUG_LENGTH


class Wanted(NamedTuple):
    """What a row asks for: the course that `identity` stands for, with these values."""

    line: int
    identity: str
    values: dict[str, Any]


@dataclass
class Outcome:
    """Count what became of the rows of a file."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0

    def __iadd__(self, other: Outcome) -> Outcome:
        self.created += other.created
        self.updated += other.updated
        self.unchanged += other.unchanged
        return self


def store(rows: Sequence[Wanted]) -> tuple[Outcome, list[Rejection]]:
    """Store all rows in one transaction; no two of them may have one identity.

    What the database refuses is narrowed down to the rows that it refuses, so that the others go in. A row
    that somebody else stores meanwhile is found at the second try.
    """
    try:
        with transaction.atomic():
            return _stored(rows), []
    except (IntegrityError, DataError) as error:
        if len(rows) == 1:
            return _again(rows[0], error)
    middle = len(rows) // 2
    outcome, rejections = store(rows[:middle])
    other, more = store(rows[middle:])
    outcome += other
    return outcome, rejections + more


def _again(row: Wanted, error: Exception) -> tuple[Outcome, list[Rejection]]:
    try:
        with transaction.atomic():
            return _stored([row]), []
    except (IntegrityError, DataError):
        return Outcome(), [Rejection(row.line, "", f"the database refuses it: {_first_line(error)}")]


def _stored(rows: Sequence[Wanted]) -> Outcome:
    # Locked (SQLite's transactions are, from their begin), because what is stored decides what is written.
    found = Course.objects.select_for_update().filter(identity__in=[row.identity for row in rows])
    courses: dict[str, Course] = {course.identity: course for course in found}
    new: list[Course] = []
    changed: list[Course] = []
    columns: set[str] = set()
    for row in rows:
        course = courses.get(row.identity)
        if course is None:
            new.append(Course(**row.values))
            continue
        # An address stays what it is.
        differing = {
            name: value
            for name, value in row.values.items()
            if name != "slug" and getattr(course, name) != value
        }
        if differing:
            for name, value in differing.items():
                setattr(course, name, value)
            columns |= {"field" if name == "field_id" else name for name in differing}
            changed.append(course)
    _create(new)
    _update(changed, columns)
    return Outcome(len(new), len(changed), len(rows) - len(new) - len(changed))


def _create(courses: list[Course]) -> None:
    bases = [course.slug or slugify(course.title, max_length=SLUG_LENGTH) or "course" for course in courses]
    for course, slug in zip(courses, free_slugs(bases), strict=True):
        course.slug = slug
        course.prepare()
    Course.objects.bulk_create(courses)


def _update(courses: list[Course], columns: Iterable[str]) -> None:
    """Write the columns of locked courses that are known by their key."""
    if not courses:
        return
    now = timezone.now()
    for course in courses:
        course.prepare()
        course.updated = now
        course.revision += 1
    # As an insert that meets its own key: bulk_update() builds a branch for each value, several times slower.
    Course.objects.bulk_create(
        courses,
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=sorted({*columns, *Course._kept_columns()}),
    )


def free_slugs(bases: Iterable[str]) -> Iterator[str]:
    """Yield for each base itself or, where that is taken, the base with the lowest number that is free."""
    bases = list(bases)
    taken = set(Course.objects.filter(slug__in=bases).values_list("slug", flat=True))
    numbers: dict[str, Iterator[str]] = {}
    for base in bases:
        slug = base
        if base in taken:
            if base not in numbers:
                numbers[base] = _numbered(base)
            slug = next(slug for slug in numbers[base] if slug not in taken)
        taken.add(slug)
        yield slug


def _numbered(base: str) -> Iterator[str]:
    # Longer numbers cut the base, so ask for less than all of it; by a range, which the index answers.
    start = base[: SLUG_LENGTH - 20]
    similar = Course.objects.filter(slug__gte=start, slug__lt=start + "\U0010ffff")
    taken = set(similar.values_list("slug", flat=True))
    return (slug for slug in numbered(base, max_length=SLUG_LENGTH) if slug not in taken)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
