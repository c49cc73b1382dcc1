"""The admin's site. If no password could be checked, its sign-in is 503 or 429, and its form says why."""

from collections.abc import Callable
from functools import wraps
from itertools import chain
from typing import Any, TypeVar, cast

from django.contrib import admin
from django.core.exceptions import BadRequest
from django.db import DataError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from resilience.operate import passes
from resilience.problems import come_back

View = TypeVar("View", bound=Callable[..., Any])

# What Python and the databases raise for a value that a column cannot hold, or a lookup cannot compare with.
_UNFIT = (ArithmeticError, DataError, IndexError, ValueError)
# Lookups by a pattern. No page asks for one, and on SQLite it is Python that would search, maybe without end.
_PATTERNS = ("__regex", "__iregex")


class AdminSite(admin.AdminSite):
    site_header = site_title = "Zenow Learn"

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        """Answer 400 to a value in the address, or in a selection, that the database could not hold.

        Django takes any lookup of a list from the address, and passes many values on as they are. Only when
        the page is made does it show that one is no value of its column. So the page is made here.
        """

        @wraps(view)
        def bounded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            selected = request.POST.getlist("_selected_action")
            if any("\0" in value for value in chain(selected, *dict(request.GET.lists()).values())):
                raise BadRequest("a NUL byte in the address or the selection")
            if any(name.endswith(_PATTERNS) for name in request.GET):
                raise BadRequest("the admin searches by no pattern")
            try:
                response = view(request, *args, **kwargs)
                return response.render() if isinstance(response, TemplateResponse) else response
            except _UNFIT as error:
                says_nothing = not (selected or kwargs or request.GET)
                if says_nothing or (request.method == "POST" and not selected):
                    raise  # It is an error of ours: a form has checked the values that it stores.
                raise BadRequest(f"a value that cannot be compared: {type(error).__name__}") from error

        return super().admin_view(cast("View", bounded), cacheable)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        # Imported late: the site is made before the models are loaded.
        from zenow.accounts.forms import AdminSignInForm

        self.login_form = AdminSignInForm
        response = super().login(request, extra_context)
        passes.give_to_staff(request, response)
        if isinstance(response, TemplateResponse) and response.context_data:
            refusal = getattr(response.context_data["form"], "refusal", None)
            if refusal is not None:
                response.status_code = refusal.http_status
                come_back(response, refusal.retry_after)
        return response

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        response = super().logout(request, extra_context)
        passes.remove(response)
        return response
