"""Writes of another project's view, which compares no row with the conditions of a request."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import path
from rest_framework import serializers
from rest_framework.viewsets import ModelViewSet

from resilience.answers.writes import ResilientWrites

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class GroupSerializer(serializers.ModelSerializer[Group]):
    class Meta:
        model = Group
        fields = ["name"]


class Groups(ResilientWrites, ModelViewSet[Group]):
    authentication_classes = []
    permission_classes = []
    queryset = Group.objects.all()
    serializer_class = GroupSerializer
    lookup_field = "name"


_all: Any = {"get": "list", "post": "create"}
_one: Any = {"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"}
urlpatterns = [
    path("groups", Groups.as_view(_all)),
    path("groups/<name>", Groups.as_view(_one)),
    path("posted", Groups.as_view({"post": "create"})),
]


@pytest.fixture(autouse=True)
def _group() -> None:
    Group.objects.create(name="a")


def send(method: str, at: str = "/groups/a", **headers: str) -> int:
    said: Any = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = getattr(Client(), method)(at, {"name": "b"}, content_type="application/json", headers=said)
    return int(sent.status_code)


class TestConditions:
    @pytest.mark.parametrize("method", ["put", "patch", "delete"])
    @pytest.mark.parametrize(
        "headers", [{"If_None_Match": "*"}, {"If_Match": '"x"'}, {"If_None_Match": '"x"'}]
    )
    def test_that_nobody_compared_refuse_the_write(self, method: str, headers: dict[str, str]) -> None:
        assert send(method, **headers) == 412
        assert Group.objects.get().name == "a"

    @pytest.mark.parametrize("method", ["put", "patch", "delete"])
    def test_that_something_is_there_hold(self, method: str) -> None:
        assert send(method, If_Match="*") in (200, 204)

    def test_of_a_list_are_about_the_list(self) -> None:
        assert send("post", "/groups", If_None_Match="*") == 412
        assert send("post", "/groups", If_Match='"x"') == 412
        assert send("post", "/groups", If_Match="*") == 201

    def test_of_what_cannot_be_read_are_about_nothing(self) -> None:
        assert send("post", "/posted", If_Match="*") == 412
        assert send("post", "/posted", If_None_Match="*") == 201
