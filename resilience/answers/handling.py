"""An additional step in a DRF view: `handle`, between its checks and its handler."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.views import APIView

if TYPE_CHECKING:
    _View = APIView
else:
    _View = object

Handler = Callable[..., HttpResponseBase]


class HandlingView(_View):
    """Mix in before a DRF view: its handler (`get`, `create`, …) is called by `handle`, after `initial`.

    DRF has no such step. It finds a handler as an attribute of the view, by the name of the method. So during
    `dispatch` that attribute is `handle`. A `dispatch` of our own, with DRF's steps in it, would skip what
    the project's views do in theirs.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """As DRF's, with `handle` around the handler."""
        name = (request.method or "").lower()
        handler = getattr(self, name, None) if name in self.http_method_names else None
        if handler is None:
            return super().dispatch(request, *args, **kwargs)
        of_instance = name in vars(self)  # where a viewset has its handlers
        setattr(self, name, partial(self.handle, handler))
        try:
            return super().dispatch(request, *args, **kwargs)
        finally:
            if of_instance:
                setattr(self, name, handler)
            else:
                delattr(self, name)

    def handle(self, handler: Handler, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Call the handler and return its answer; override it to do something before, after or instead."""
        return handler(request, *args, **kwargs)
