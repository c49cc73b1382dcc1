"""A small catalogue of several languages and scripts, and clients that read and write it."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from rest_framework.test import APIClient

from learn.models import Category, Course, Field


@pytest.fixture
def category(db: None) -> Category:
    category: Category = Category.objects.create(title="Information Technology", code="06")
    return category


@pytest.fixture
def field(category: Category) -> Field:
    field: Field = Field.objects.create(title="Programming", code="0613", category=category)
    return field


@pytest.fixture
def course(field: Field) -> Course:
    course: Course = Course.objects.create(
        title="Compilers",
        code="CS-301",
        field=field,
        summary="From text to machine code.",
        level="Advanced",
        language="en",
        duration_hours=Decimal("40.5"),
        credits=Decimal(6),
        provider="Example College",
        url="https://example.org/cs-301",
        terms=["2025-autumn"],
    )
    return course


@pytest.fixture
def api() -> APIClient:
    """A client that nobody has signed in."""
    return APIClient()


@pytest.fixture
def signed_in(db: None) -> Callable[..., APIClient]:
    """Return a client for a new user with these permissions for the catalogue."""

    def sign_in(*permissions: str, is_staff: bool = True) -> APIClient:
        user = User.objects.create(username="-".join(permissions) or "nobody", is_staff=is_staff)
        user.user_permissions.set(
            Permission.objects.filter(content_type__app_label="learn", codename__in=permissions)
        )
        client = APIClient()
        client.force_authenticate(user)
        return client

    return sign_in


@pytest.fixture
def staff(db: None) -> APIClient:
    """A client of somebody who may write everything."""
    user = User.objects.create(username="editor", is_staff=True, is_superuser=True)
    client = APIClient()
    client.force_authenticate(user)
    return client


def problem(response: Any, status: int) -> dict[str, Any]:
    """Return the body of a response that has to be a problem of this status."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["title"]
    return body
