"""One member of staff, and a client that signs them in."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

PASSWORD = "correct horse battery"


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada", password=PASSWORD, is_staff=True)


def sign_in(client: Client, username: str = "ada", password: str = PASSWORD) -> Any:
    return client.post(
        "/api/auth/token", {"username": username, "password": password}, content_type="application/json"
    )


def refresh(client: Client, token: str) -> Any:
    return client.post("/api/auth/token/refresh", {"refresh_token": token}, content_type="application/json")
