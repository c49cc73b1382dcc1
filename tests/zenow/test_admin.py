"""What the admin's site refuses, for every list in it."""

import pytest
from django.contrib.auth.models import User
from django.test import Client


@pytest.fixture
def client(on_both_databases: str) -> Client:
    client = Client()
    client.force_login(User.objects.create(username="admin", is_staff=True, is_superuser=True))
    return client


class TestNulBytes:
    """PostgreSQL takes none, and Django's filters ask it all the same."""

    @pytest.mark.parametrize(
        "address",
        [
            "learn/course/?level__exact=%00",
            "learn/course/?provider=%00",
            "auth/user/?username=a%00b",
            "autocomplete/?app_label=learn&model_name=course&field_name=field&term=%00",
        ],
    )
    def test_in_an_address_are_a_bad_request(self, client: Client, address: str) -> None:
        assert client.get(f"/admin/{address}").status_code == 400

    def test_in_a_selection_are_a_bad_request(self, client: Client) -> None:
        data = {"action": "publish", "_selected_action": "\0"}
        assert client.post("/admin/learn/course/", data).status_code == 400

    def test_in_a_form_are_said_beside_the_field(self, client: Client) -> None:
        page = client.post("/admin/learn/category/add/", {"title": "a\0b"})
        assert page.status_code == 200
        assert "Null characters are not allowed." in page.content.decode()
