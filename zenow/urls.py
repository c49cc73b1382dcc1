"""The site's addresses."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from zenow.openapi import OneSchema
from zenow.views import home

urlpatterns = [
    path("", home, name="home"),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/resilience/board/", include("resilience.operate.board.urls")),
    path("admin/", admin.site.urls),
    re_path(r"^api/schema/?$", SpectacularAPIView.as_view(generator_class=OneSchema), name="schema"),
    re_path(r"^api/docs/?$", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("api/auth/", include("zenow.accounts.urls")),
    path("api/", include("resilience.urls")),
    path("api/", include("learn.urls")),
]
