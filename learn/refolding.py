"""Renews the stored columns that are folded from text, after the folding has changed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.models import Model, QuerySet
from tqdm import tqdm

from learn.folding import folded, identity_of, kept, set_apart
from resilience.tiers.catalogue_version import has_table, raise_version

BATCH = 250
"""The most rows in one transaction."""
# Seconds between two lines of progress where nobody watches a terminal.
_LOGGED_EVERY = 10.0


class Twins(NamedTuple):
    """Two courses that are the same as they are folded now: slugs of the elder and of the one set apart."""

    elder: str
    younger: str

    def __str__(self) -> str:
        return f"{self.younger} is the same course as {self.elder}"


def renew(models: Iterable[type[Model]], using: str, say: Callable[[str], object]) -> int:
    """Renew the folded columns of all rows that differ; return how many did. `say` is told of twins.

    Each batch is a transaction, and raises the catalogue version: in lists and searches its rows have other
    places now. So this may be interrupted, and run again: it then changes what is left. The rows' revisions
    and times stay, since nothing of them changes that anybody reads.
    """
    versioned = using == DEFAULT_DB_ALIAS and has_table(using)
    return sum(_renew(model, using, say, versioned=versioned) for model in models)


def _renew(model: type[Model], using: str, say: Callable[[str], object], *, versioned: bool) -> int:
    rows = model._base_manager.using(using).order_by("pk")
    changed, last, total = 0, 0, rows.count()
    name = str(model._meta.verbose_name_plural)
    pause = 0.1 if sys.stderr.isatty() else _LOGGED_EVERY
    with tqdm(total=total, desc=f"Folding {name}", unit=" rows", mininterval=pause, disable=not total) as bar:
        while batch := _batch(rows, last):
            with transaction.atomic(using=using):
                stored = list(rows.select_for_update().filter(pk__in=[row.pk for row in batch]))
                renewed = _renew_batch(model, rows, stored, using, say)
                if renewed and versioned:
                    raise_version(using=using)
            changed += renewed
            last = batch[-1].pk
            bar.update(len(batch))
    return changed


def _batch(rows: QuerySet[Any], last: int) -> Sequence[Any]:
    return list(rows.filter(pk__gt=last).only("pk")[:BATCH])


def _renew_batch(
    model: type[Model], rows: QuerySet[Any], batch: list[Any], using: str, say: Callable[[str], object]
) -> int:
    wanted = {row.pk: folded(row) for row in batch}
    if model._meta.model_name == "course":
        for key, identity in _identities(model, rows, batch, using, say).items():
            wanted[key]["identity"] = identity
    differing = [
        row for row in batch if any(getattr(row, name) != text for name, text in wanted[row.pk].items())
    ]
    if differing:
        _write(model, [(row.pk, wanted[row.pk]) for row in differing], using)
    return len(differing)


def _identities(
    model: type[Model], rows: QuerySet[Any], batch: list[Any], using: str, say: Callable[[str], object]
) -> dict[int, str]:
    """Return the identity of each course; the younger of two that share one is set apart.

    See Note [What makes two rows the same course]. A younger row that has an elder's identity by its old
    folding is set apart at once, since the database allows it to one row only.
    """
    own = {row.pk: _own(row) for row in batch}
    slugs = {row.pk: row.slug for row in batch}
    holders: dict[str, int] = {}
    for key, slug, identity in rows.filter(identity__in=set(own.values())).values_list(
        "pk", "slug", "identity"
    ):
        holders[identity] = key
        slugs[key] = slug
    found: dict[int, str] = {}
    for row in batch:
        identity = own[row.pk]
        holder = holders.get(identity, row.pk)
        if holder < row.pk:
            found[row.pk] = set_apart(identity, row.pk)
            say(str(Twins(slugs[holder], row.slug)))
            continue
        if holder > row.pk:
            _write(model, [(holder, {"identity": set_apart(identity, holder)})], using)
        if holders.get(row.identity) == row.pk:
            del holders[row.identity]
        holders[identity] = row.pk
        found[row.pk] = identity
    return found


def _own(row: Any) -> str:
    return identity_of(field_id=row.field_id, title=row.title, provider=row.provider, code=row.code)


def _write(model: type[Model], rows: list[tuple[int, dict[str, str | None]]], using: str) -> None:
    quote = connections[using].ops.quote_name
    names = list(rows[0][1])
    assignments = ", ".join(f"{quote(name)} = %s" for name in names)
    statement = f"UPDATE {quote(model._meta.db_table)} SET {assignments} WHERE {quote('id')} = %s"  # noqa: S608
    with connections[using].cursor() as cursor:
        cursor.executemany(statement, [(*(texts[name] for name in names), key) for key, texts in rows])


def twins(model: type[Model], using: str, most: int) -> list[Twins]:
    """Return at most so many courses that were set apart, each with its elder if that is still there."""
    rows: QuerySet[Any] = model._base_manager.using(using)
    found = []
    for row in rows.filter(identity__contains="-").order_by("pk")[:most]:
        identity = _own(row)
        elder = rows.filter(identity=identity).values_list("slug", flat=True).first()
        if elder is not None and kept(row.identity, identity, new=False) != identity:
            found.append(Twins(elder, row.slug))
    return found
