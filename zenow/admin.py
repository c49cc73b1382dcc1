"""The admin's site. Its sign-in says 503 or 429, and why in the form, where no password was looked at."""

import math
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse


class AdminSite(admin.AdminSite):
    site_header = site_title = "Zenow Learn"

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        # Imported late: the site is made before the models are loaded.
        from zenow.accounts.forms import AdminSignInForm

        self.login_form = AdminSignInForm
        response = super().login(request, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data:
            refusal = getattr(response.context_data["form"], "refusal", None)
            if refusal is not None:
                response.status_code = refusal.http_status
                response["Retry-After"] = str(max(1, math.ceil(refusal.retry_after)))
        return response
