"""A write as one transaction: it is stored once, or not stored, or the answer says that this is unknown."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from django.db import DEFAULT_DB_ALIAS, transaction
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import parse_etags
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import set_rollback

from resilience import conf
from resilience.answers import idempotency
from resilience.answers.handling import Handler, HandlingView
from resilience.answers.unavailable import unavailable
from resilience.db.failures import OutcomeUnknownError
from resilience.db.outages import is_outage
from resilience.request.request_headers import IDEMPOTENCY_KEY
from resilience.request.scope import is_read
from resilience.tiers import conditions, labels

_OF_A_STAND_IN = "The tag is that of a degraded answer. Read it again when the database is back."


class PreconditionFailedError(APIException):
    """The entry is not what the client has seen, or it cannot be told whether it is."""

    status_code = 412


class ResilientWrites(HandlingView):
    """Mix in before a DRF view: each write is one transaction, and its answer says whether it was stored.

    A repeat of a POST with the same `Idempotency-Key` gets the first answer. A view that calls
    `check_unchanged` on the row that it has locked honours `If-Match` and `If-None-Match`. In a view that
    does not, a write with such a condition is 412. A write that an outage ended is 503 with the member
    `outcome`:
    "not_stored", or "unknown" if the COMMIT was sent and not answered. An answer with the attribute
    `revision` gets the tag of the entry.
    """

    _compared = False

    def write_alias(self) -> str:
        """Return the database that the view writes to."""
        return DEFAULT_DB_ALIAS

    def handle(self, handler: Handler, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Run the handler of a write in a transaction; a repeat gets the first answer instead."""
        if is_read(request._request):
            return super().handle(handler, request, *args, **kwargs)
        using = self.write_alias()
        key = request.headers.get(IDEMPOTENCY_KEY) if request.method == "POST" else None
        claim = None if key is None else idempotency.claim_of(request, key)
        connection = transaction.get_connection(using)
        outermost = not connection.in_atomic_block
        committed: list[bool] = []
        with transaction.atomic(using=using):
            if outermost:
                transaction.on_commit(partial(committed.append, True), using=using)
            if claim is not None and (first := idempotency.first_answer(claim, using)) is not None:
                return first
            if request.method == "POST":
                self._check_collection()
            response = super().handle(handler, request, *args, **kwargs)
            if response.status_code >= 400:
                transaction.set_rollback(True, using=using)
                return response
            if not self._compared:
                self._check_blindly(created=response.status_code == 201)
            made = self._made(request, cast(Response, response))
            if claim is not None:
                headers = dict(made.items())
                idempotency.keep(claim, made.status_code, headers, made.content.decode(), using)
            # A trial: the view itself asked to roll back. (Django also does so when a connection was closed.)
            trial = connection.get_rollback() and not connection.closed_in_transaction
        if outermost and not committed and not trial:
            raise OutcomeUnknownError(f"the block on {using!r} has ended, and nobody saw its COMMIT")
        return made

    def check_unchanged(self, revision: int) -> None:
        """Compare the locked row with the request's conditions; raise `PreconditionFailedError` (412)."""
        self._compared = True
        meta = self.request.META
        condition = conditions.failed(meta, lambda tag: labels.revision_of(tag) == revision)
        if condition == "If-None-Match":
            raise PreconditionFailedError("`If-None-Match` does not hold: it names the stored entry.")
        if condition is not None:
            seen = parse_etags(meta["HTTP_IF_MATCH"])
            raise PreconditionFailedError(
                _OF_A_STAND_IN if any(map(labels.is_degraded, seen)) else conditions.CHANGED
            )

    def handle_exception(self, exc: Exception) -> Response:
        """Answer an outage in a write with a 503 that says whether it was stored, a refused key with why."""
        request = getattr(self, "request", None)
        if request is not None and not is_read(request) and is_outage(exc) and not conf.shadow():
            set_rollback()
            return unavailable(exc, writes=True)  # type: ignore[return-value]  # DRF takes any response
        if isinstance(exc, idempotency.KeyRefusedError):
            refusal, exc = exc, APIException(str(exc))
            exc.status_code = refusal.status
            exc.wait = refusal.retry_after  # type: ignore[attr-defined]  # the handler of exceptions asks for it
        return super().handle_exception(exc)

    def _check_collection(self) -> None:
        """Check the conditions of a POST by whether its address exists (has a `get`); compare no tags."""
        self._compared = True
        condition = conditions.failed(self.request.META, lambda tag: False, exists=hasattr(self, "get"))
        if condition is not None:
            raise PreconditionFailedError(f"This address does not meet the condition `{condition}`.")

    def _check_blindly(self, *, created: bool) -> None:
        """Refuse a write with a condition that the view has not compared, unless it holds for every tag."""
        meta = self.request.META
        expects = meta.get("HTTP_IF_MATCH")
        if (expects is not None and (created or expects.strip() != "*")) or (
            "HTTP_IF_NONE_MATCH" in meta and not created
        ):
            raise PreconditionFailedError("This address compares no tags.")

    def _made(self, request: Request, response: Response) -> HttpResponse:
        """Render within the transaction, so that nothing is stored if the answer cannot be rendered."""
        renderer: Any = request.accepted_renderer
        body = b"" if response.data is None else renderer.render(response.data)
        headers = dict(response.items())
        if body:
            headers["Content-Type"] = renderer.media_type
        if (revision := getattr(response, "revision", None)) is not None:
            headers["ETag"] = labels.tag(body, revision)
        return HttpResponse(body, status=response.status_code, headers=headers)
