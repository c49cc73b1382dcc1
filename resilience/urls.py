"""The addresses for operators below `/api/`; liveness and readiness are the middleware's."""

from django.urls import re_path

from resilience.operate.views import BreakersView, HealthView, HistoryView, ResetView

urlpatterns = [
    re_path(r"^health/?$", HealthView.as_view(), name="health"),
    re_path(r"^admin/circuit-breakers/?$", BreakersView.as_view(), name="circuit-breakers"),
    re_path(r"^admin/history/?$", HistoryView.as_view(), name="history"),
    re_path(r"^admin/reset-circuit-breakers/?$", ResetView.as_view(), name="reset-circuit-breakers"),
]
