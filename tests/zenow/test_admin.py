"""What the admin's site refuses, for every list in it."""

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.test import Client, RequestFactory

from resilience.answers.admin_actions import AtomicActions


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


class TestActions:
    """Django's own deletion writes into the log first, and deletes in a transaction of its own."""

    @pytest.mark.parametrize("model", [User, Group])
    def test_that_fail_in_the_middle_leave_no_trace(
        self, client: Client, model: type[User] | type[Group], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> None:
            raise RuntimeError("the database went away")

        row = User.objects.create(username="linus") if model is User else Group.objects.create(name="editors")
        monkeypatch.setattr(type(admin.site.get_model_admin(model)), "delete_queryset", broken)
        data = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
        with pytest.raises(RuntimeError):
            client.post(f"/admin/auth/{model._meta.model_name}/", data)
        assert not LogEntry.objects.exists()

    def test_are_one_transaction_in_every_list_that_may_delete(self, rf: RequestFactory) -> None:
        request = rf.get("/admin/")
        request.user = User(is_staff=True, is_superuser=True)
        able = [one for one in admin.site._registry.values() if one.has_delete_permission(request)]
        assert len(able) >= 7
        assert [f"{one}" for one in able if not isinstance(one, AtomicActions)] == []
