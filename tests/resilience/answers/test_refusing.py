"""Views that cannot be answered for nobody are refused when they are made."""

import pytest
from django.contrib.auth.decorators import login_required, permission_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.exceptions import ImproperlyConfigured
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.decorators import method_decorator
from django.views.generic import View
from rest_framework.views import APIView

from resilience.answers.reads import ResilientReads
from resilience.answers.views import resilient

everybodys = resilient(same_for_everybody=True)


class TestRefused:
    def test_is_what_asks_for_an_account(self) -> None:
        def view(request: HttpRequest) -> HttpResponse:
            return HttpResponse()

        class Mixed(LoginRequiredMixin, View):
            pass

        @method_decorator(login_required, name="dispatch")
        class Decorated(View):
            pass

        for made in (login_required(view), permission_required("a.b")(view), Mixed, Decorated):
            with pytest.raises(ImproperlyConfigured, match="signed in"):
                everybodys(made)
        assert hasattr(resilient()(login_required(view)), "resilient")  # live, or 503

    def test_is_what_streams(self) -> None:
        def streaming(request: HttpRequest) -> StreamingHttpResponse:
            raise NotImplementedError

        def of_a_file(request: HttpRequest) -> FileResponse:
            raise NotImplementedError

        for view in (streaming, of_a_file):
            with pytest.raises(ImproperlyConfigured, match="streams"):
                everybodys(view)

    def test_is_what_is_resilient_already(self) -> None:
        def view(request: HttpRequest) -> HttpResponse:
            return HttpResponse()

        class OfRest(ResilientReads, APIView):
            pass

        with pytest.raises(ImproperlyConfigured, match="already"):
            everybodys(everybodys(view))
        with pytest.raises(ImproperlyConfigured, match="REST framework"):
            everybodys(OfRest.as_view())
