"""Stores a batch of rows: creates new courses, updates changed ones, leaves the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import DataError, IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from learn.importing.errors import Rejection
from learn.models import Course
from learn.normalise import numbered, slugify
from learn.validators import SLUG_LENGTH

# The most ranges of slugs in one query.
_RANGES = 100
# Characters kept free for a hyphen and a number after a slug.
_LONGEST_NUMBER = 20


class Wanted(NamedTuple):
    """What a row wants stored: the course of this `identity`, with these values."""

    line: int
    identity: str
    values: dict[str, Any]


@dataclass
class Outcome:
    """The numbers of courses created, updated and left unchanged."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0

    def __iadd__(self, other: Outcome) -> Outcome:
        self.created += other.created
        self.updated += other.updated
        self.unchanged += other.unchanged
        return self


def store(rows: Sequence[Wanted]) -> tuple[Outcome, list[Rejection]]:
    """Store all rows in one transaction. No two of them may have the same identity.

    If the database refuses a row, the batch is halved until only such rows are left, and all others are
    stored. A row that another client stores meanwhile is found at the second try.
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
        first_line = str(error).partition("\n")[0]
        return Outcome(), [Rejection(row.line, "", f"the database refuses it: {first_line}")]


def _stored(rows: Sequence[Wanted]) -> Outcome:
    # Lock the stored courses, since what is written depends on them. (SQLite locks the whole database.)
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
        # A slug is an address, and never changes.
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
    """Write these columns of courses that are stored and locked."""
    if not courses:
        return
    now = timezone.now()
    for course in courses:
        course.prepare()
        course.updated = now
        course.revision += 1
    # An insert that updates on conflict is several times faster than bulk_update(), which builds a branch for
    # each value.
    Course.objects.bulk_create(
        courses,
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=sorted({*columns, *Course._kept_columns()}),
    )


def free_slugs(bases: Sequence[str]) -> Iterator[str]:
    """Yield each base or, if that is taken, the base with the lowest number that is free."""
    taken = set(Course.objects.filter(slug__in=bases).values_list("slug", flat=True))
    clashing = {base for base, count in Counter(bases).items() if count > 1 or base in taken}
    taken |= _similar(sorted(clashing))
    numbers: dict[str, Iterator[str]] = {}
    for base in bases:
        slug = base
        if base in taken:
            if base not in numbers:
                if base not in clashing:  # another base got a number, and is the same as this one now
                    taken |= _similar([base])
                numbers[base] = numbered(base, max_length=SLUG_LENGTH)
            slug = next(slug for slug in numbers[base] if slug not in taken)
        taken.add(slug)
        yield slug


def _similar(bases: Sequence[str]) -> set[str]:
    """Return the stored slugs that a numbered base could equal."""
    similar: set[str] = set()
    for start in range(0, len(bases), _RANGES):
        ranges = [_range(base) for base in bases[start : start + _RANGES]]
        similar.update(Course.objects.filter(Q(*ranges, _connector=Q.OR)).values_list("slug", flat=True))
    return similar


def _range(base: str) -> Q:
    """Return a condition for a base with a number, as a range that the index can answer."""
    if len(base) <= SLUG_LENGTH - _LONGEST_NUMBER:
        return Q(slug__gte=f"{base}-0", slug__lt=f"{base}-:")  # the colon comes after the digit 9
    # A long base is cut before its number, so ask for all slugs with the same beginning.
    prefix = base[: SLUG_LENGTH - _LONGEST_NUMBER]
    return Q(slug__gte=prefix, slug__lt=prefix + "\U0010ffff")
