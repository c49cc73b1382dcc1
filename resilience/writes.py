"""Stop 2 of a write: one transaction, stored once however often it is sent, refused cleanly or unknown."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, transaction
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, set_rollback

from resilience import idempotency
from resilience.outages import is_outage, unavailable
from resilience.scope import is_read
from resilience.tiers import labels

if TYPE_CHECKING:
    _View = APIView
else:
    _View = object


class PreconditionFailedError(APIException):
    """The entry is not, or not surely, what the client has seen."""

    status_code = 412


class ResilientWrites(_View):
    """Mix in before a DRF view: each write is one transaction, and tells what became of it.

    `Idempotency-Key` on a POST gives a repeat the first answer. A view that calls `check_unchanged` on the
    row that it has locked honours `If-Match`. What an outage ended is 503 with `outcome`: "not_stored", or
    "unknown" where nobody saw the end. Answers with an attribute `revision` carry the tag of the entry.
    """

    def write_alias(self) -> str:
        """Return the database that the view writes to."""
        return DEFAULT_DB_ALIAS

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check who asks; then put the transaction around the handler of a write."""
        super().initial(request, *args, **kwargs)
        if request.method is not None and not is_read(request._request):
            name = request.method.lower()
            handler = getattr(self, name, None)
            if handler is not None:
                setattr(self, name, partial(self._write_once, handler))

    def check_unchanged(self, revision: int) -> None:
        """Compare the locked row with `If-Match`; raise `PreconditionFailedError` (412) if it is another."""
        given = self.request.headers.get("If-Match")
        if given is None or given.strip() == "*":
            return
        tags = [tag.strip() for tag in given.split(",")]
        if any(labels.revision_of(tag) == revision for tag in tags):
            return
        if any(labels.is_degraded(tag) for tag in tags):
            raise PreconditionFailedError(
                "The tag is of an answer that stood in for the database. Read it again when that is back."
            )
        raise PreconditionFailedError("It has changed since, or the tag is none of ours. Read it again.")

    def handle_exception(self, exc: Exception) -> Response:
        """Say of an outage in a write what became of the write."""
        request = getattr(self, "request", None)
        if request is not None and not is_read(request) and is_outage(exc):
            set_rollback()
            return unavailable(exc, writes=True)  # type: ignore[return-value]  # DRF takes any response
        return super().handle_exception(exc)

    def _write_once(
        self, handler: Callable[..., Response], request: Request, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        using = self.write_alias()
        key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
        claim = None if key is None else idempotency.claim_of(request, key)
        with transaction.atomic(using=using):
            if claim is not None and (first := idempotency.first_answer(claim, using)) is not None:
                return first
            response = handler(request, *args, **kwargs)
            if response.status_code >= 400:
                transaction.set_rollback(True, using=using)
                return response
            made = self._made(request, response)
            if claim is not None:
                headers = dict(made.items())
                idempotency.keep(claim, made.status_code, headers, made.content.decode(), using)
        return made

    def _made(self, request: Request, response: Response) -> HttpResponse:
        """Make the bytes within the transaction: an answer that cannot be made stores nothing."""
        renderer: Any = request.accepted_renderer
        body = b"" if response.data is None else renderer.render(response.data)
        headers = dict(response.items())
        if body:
            headers["Content-Type"] = renderer.media_type
        if (revision := getattr(response, "revision", None)) is not None:
            headers["ETag"] = labels.tag(body, revision)
        return HttpResponse(body, status=response.status_code, headers=headers)
