"""A handler of a DRF view is called by `handle`, whatever kind of view it is and whatever lies in between."""

from typing import Any

import pytest
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from resilience.answers.handling import Handler, HandlingView


class Counted(HandlingView):
    """Count, in the answer, how often `handle` was called."""

    def handle(self, handler: Handler, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().handle(handler, request, *args, **kwargs)
        response["X-Handled"] = response.get("X-Handled", "") + "1"
        return response


class Between(APIView):
    """A project's own base, whose `dispatch` does something too."""

    authentication_classes = ()
    permission_classes = ()

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().dispatch(request, *args, **kwargs)
        response["X-Between"] = "yes"
        return response


class View(Counted, Between):
    def get(self, request: Request) -> Response:
        return Response({"method": request.method})


class Set(Counted, Between, ViewSet):
    def list(self, request: Request) -> Response:
        return Response({"method": request.method})


VIEWS = {"APIView": View.as_view(), "ViewSet": Set.as_view({"get": "list"})}


@pytest.mark.parametrize("kind", VIEWS)
class TestHandle:
    @pytest.mark.parametrize("method", ["get", "head"])
    def test_is_called_once_and_so_is_each_dispatch(self, kind: str, method: str) -> None:
        response = VIEWS[kind](getattr(APIRequestFactory(), method)("/"))
        assert (response.status_code, response["X-Handled"], response["X-Between"]) == (200, "1", "yes")

    @pytest.mark.parametrize("method", ["POST", "DISPATCH", "HANDLE"])
    def test_is_not_called_for_a_method_without_handler(self, kind: str, method: str) -> None:
        response = VIEWS[kind](APIRequestFactory().generic(method, "/"))
        assert (response.status_code, response.get("X-Handled")) == (405, None)


def test_leaves_the_view_as_it_was() -> None:
    view = View()
    for _ in range(2):
        view.setup(request := APIRequestFactory().get("/"))
        assert view.dispatch(request)["X-Handled"] == "1"
        assert "get" not in vars(view)
