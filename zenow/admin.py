"""The admin's site. If no password could be checked, its sign-in is 503 or 429, and its form says why."""

from collections.abc import Callable
from functools import wraps
from itertools import chain
from typing import Any, TypeVar, cast

from django.contrib import admin
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from resilience.operate import passes
from resilience.problems import come_back

View = TypeVar("View", bound=Callable[..., Any])


class AdminSite(admin.AdminSite):
    site_header = site_title = "Zenow Learn"

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        """Refuse NUL bytes that no form checks: filters and actions would pass them to the database."""

        @wraps(view)
        def bounded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            selected = request.POST.getlist("_selected_action")
            if any("\0" in value for value in chain(selected, *dict(request.GET.lists()).values())):
                raise BadRequest("a NUL byte in the address or the selection")
            return view(request, *args, **kwargs)

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
