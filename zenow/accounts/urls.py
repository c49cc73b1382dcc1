"""The addresses of sign-in, with or without a trailing slash."""

from django.urls import re_path

from zenow.accounts.views import MeView, RefreshView, SignOutView, TokenView

urlpatterns = [
    re_path(r"^token/?$", TokenView.as_view(), name="token"),
    re_path(r"^token/refresh/?$", RefreshView.as_view(), name="token-refresh"),
    re_path(r"^logout/?$", SignOutView.as_view(), name="logout"),
    re_path(r"^me/?$", MeView.as_view(), name="me"),
]
