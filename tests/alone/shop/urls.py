"""The shop's own address, and those of the app."""

from django.contrib import admin
from django.urls import include, path

from .views import products, shelf

urlpatterns = [
    path("products", products),
    path("shelf", shelf),
    path("api/", include("resilience.urls")),
    path("admin/resilience/board/", include("resilience.operate.board.urls")),
    path("admin/", admin.site.urls),
]
