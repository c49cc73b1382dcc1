"""The paths of the operators' views, to be included below `/api/`. Liveness and readiness need none."""

from django.urls import re_path

from resilience.operate.views import breakers_view, health_view, history_view, reset_view

urlpatterns = [
    re_path(r"^health/?$", health_view, name="health"),
    re_path(r"^admin/circuit-breakers/?$", breakers_view, name="circuit-breakers"),
    re_path(r"^admin/history/?$", history_view, name="history"),
    re_path(r"^admin/reset-circuit-breakers/?$", reset_view, name="reset-circuit-breakers"),
]
