"""Keep the first answer under each Idempotency-Key for a day, stored in the transaction of its write."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.http import HttpResponse
from django.utils import timezone

from resilience.db.batches import delete_in_batches
from resilience.models import IdempotencyKey
from resilience.request.response_headers import REPLAYED

if TYPE_CHECKING:  # the chore `prune` runs without the framework too
    from rest_framework.request import Request

KEPT_FOR = timedelta(hours=24)
LENGTH = 255

# A string of structured fields (RFC 9651 §3.3.3), as the draft of the header spells a key.
_STRING = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_ESCAPED = re.compile(r'\\(["\\])')


class KeyRefusedError(Exception):
    """The request cannot be answered under its key; the text says why."""

    def __init__(self, detail: str, status: int, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Claim:
    """Identify a request: who asked for what, under which key, with which body.

    `former` is the name that earlier releases gave it.
    """

    name: str
    former: str
    fingerprint: str


def claim_of(request: Request, key: str) -> Claim:
    """Return the claim of a request; raise `KeyRefusedError` (400) if the key is malformed.

    `k` and `"k"` are one key, and an address is the same with and without a slash at its end.
    """
    bare = _bare(key)
    if bare is None or not (0 < len(bare) <= LENGTH and bare.isascii() and bare.isprintable()):
        raise KeyRefusedError(
            f"Idempotency-Key takes 1 to {LENGTH} printable ASCII characters, as they are or in quotes.", 400
        )
    body = json.dumps(request.data, sort_keys=True, default=str)
    return Claim(
        _name(request, request.path.rstrip("/"), bare), _name(request, request.path, key), _digest(body)
    )


def first_answer(claim: Claim, using: str) -> HttpResponse | None:
    """Return the first answer under the key, or None; until the transaction ends nobody else can use the key.

    Raises `KeyRefusedError`: 422 for a key of another body, 409 while another transaction holds the key.
    PostgreSQL is asked for that without waiting. SQLite lets one writer in at a time, so the second waits
    for the first, and finds its answer.
    """
    connection: Any = connections[using]
    if connection.vendor == "postgresql":
        number = int.from_bytes(bytes.fromhex(claim.name)[:8], "big", signed=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
            if not cursor.fetchone()[0]:
                raise KeyRefusedError(
                    "A request with this Idempotency-Key is being answered. Try again shortly.",
                    409,
                    retry_after=1.0,
                )
    rows = IdempotencyKey.objects.using(using).filter(pk__in=[claim.name, claim.former])
    kept = rows.order_by("-created").first()
    if kept is None:
        return None
    if kept.created < timezone.now() - KEPT_FOR:
        rows.delete()
        return None
    if kept.fingerprint != claim.fingerprint:
        raise KeyRefusedError("This Idempotency-Key was used for another body. Take a new one.", 422)
    return HttpResponse(kept.body, status=kept.status, headers={**kept.headers, REPLAYED: "true"})


def keep(claim: Claim, status: int, headers: dict[str, str], body: str, using: str) -> None:
    """Store the first answer, in the transaction of its write."""
    IdempotencyKey.objects.using(using).create(
        pk=claim.name, fingerprint=claim.fingerprint, status=status, headers=headers, body=body
    )


def prune(epoch: int = 0) -> None:
    """Delete answers that are older than a day, a few at a time, so that no request waits for it."""
    old = IdempotencyKey.objects.using(DEFAULT_DB_ALIAS).filter(created__lt=timezone.now() - KEPT_FOR)
    delete_in_batches(old)


def _bare(key: str) -> str | None:
    """Return the key without its quotes, if it has any; None if it is half quoted."""
    if not key.startswith('"'):
        return key
    found = _STRING.fullmatch(key)
    return None if found is None else _ESCAPED.sub(r"\1", found[1])


def _name(request: Request, path: str, key: str) -> str:
    return _digest(json.dumps([str(request.user.pk), request.method, path, key]))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
