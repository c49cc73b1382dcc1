"""The columns of an entry that are folded from its text: for order, search, filters and identity."""

from __future__ import annotations

from typing import Any

from learn.normalise import fingerprint, normalise
from learn.validators import LEVEL_LENGTH, TITLE_LENGTH

# Note [What makes two rows the same course]
# The same provider and code or, without a code, the same field and title, as they are folded. One column
# holds a hash of either, so that an import finds a batch of courses in one query, and the database keeps them
# unique. A new folding may make one identity of two rows. The elder has it then. The other has the beginning
# of it and its own id, and keeps that until its text says that it is another course.

_ENTRY = ("title", "code", "description")
_COURSE = ("title", "code", "provider", "summary", "description")
# Digits of the hash that a row set apart has: with a hyphen and the longest id they fill the column.
_BEGINNING = 12


def folded(entry: Any) -> dict[str, str | None]:
    """Return the folded columns of an entry but its identity. It may be of a migration's model."""
    course = entry._meta.model_name == "course"
    texts = (getattr(entry, name) for name in (_COURSE if course else _ENTRY))
    columns: dict[str, str | None] = {
        "title_sort": normalise(entry.title)[:TITLE_LENGTH],
        "search_text": normalise(" ".join(filter(None, texts))),
    }
    if course:
        columns["level_key"] = normalise(entry.level)[:LEVEL_LENGTH] if entry.level else None
    return columns


def identity_of(*, field_id: int, title: str, provider: str | None, code: str | None) -> str:
    """Return a hash that is the same for two rows of the same course."""
    # See Note [What makes two rows the same course]
    if code:
        return fingerprint("code", provider or "", code)
    return fingerprint("title", str(field_id), title)


def set_apart(identity: str, key: int) -> str:
    """Return the identity of a row of this key, whose own `identity` an elder row has."""
    return f"{identity[:_BEGINNING]}-{key}"


def kept(stored: str, identity: str, *, new: bool) -> str:
    """Return what a row gets for its own `identity`: that, unless it was set apart for the text it still has.

    A row that is `new` with such an identity comes from an export. It stays apart, though a field's key, and
    with it the hash, is another in another database.
    """
    beginning, hyphen, key = stored.partition("-")
    if hyphen and (new or identity.startswith(beginning)):
        return f"{identity[:_BEGINNING]}-{key}"
    return identity
