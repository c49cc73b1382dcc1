import time
from typing import Any

import pytest
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from pytest_django import DjangoAssertNumQueries
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import DjangoModelPermissionsOrAnonReadOnly, IsAdminUser
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from zenow.accounts.access import mint
from zenow.accounts.authentication import BearerAuthentication, TokenUser


def request(method: str, authorization: str | None) -> Request:
    headers: dict[str, Any] = {} if authorization is None else {"HTTP_AUTHORIZATION": authorization}
    plain = APIRequestFactory().generic(method, "/", **headers)
    return Request(plain, authenticators=[BearerAuthentication()])


class TestReads:
    def test_ask_no_database(self, ada: User, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        asked = request("GET", f"Bearer {mint(ada)}")
        with django_assert_num_queries(0):
            assert isinstance(asked.user, TokenUser)
            assert IsAdminUser().has_permission(asked, APIView())

    def test_go_on_after_deactivation_until_the_token_ends(self, ada: User) -> None:
        token = mint(ada)
        User.objects.update(is_active=False)
        assert request("GET", f"Bearer {token}").user.get_username() == "ada"
        late = mint(ada, now=time.time() - 601)
        with pytest.raises(AuthenticationFailed):
            _ = request("GET", f"Bearer {late}").user

    def test_grant_no_permission(self, ada: User) -> None:
        user = request("GET", f"Bearer {mint(ada)}").user
        assert user.has_perms([])
        assert not user.has_perm("learn.view_course")
        assert not user.has_module_perms("learn")
        assert not user.is_superuser

    @pytest.mark.parametrize("authorization", [None, "", "Basic YTpi", "Token abc", "Bearerish x"])
    def test_without_a_bearer_token_are_anonymous(self, authorization: str | None) -> None:
        assert isinstance(request("GET", authorization).user, AnonymousUser)


class TestWrites:
    def test_use_the_account_as_it_is_now(self, ada: User) -> None:
        token = mint(ada)
        User.objects.update(is_staff=False)
        user = request("POST", f"Bearer {token}").user
        assert isinstance(user, AbstractBaseUser)
        assert not IsAdminUser().has_permission(request("POST", f"Bearer {token}"), APIView())

    def test_are_refused_at_once_after_deactivation(self, ada: User) -> None:
        token = mint(ada)
        User.objects.update(is_active=False)
        with pytest.raises(AuthenticationFailed):
            _ = request("POST", f"Bearer {token}").user

    def test_are_refused_at_once_after_a_new_password(self, ada: User) -> None:
        token = mint(ada)
        ada.set_password("another one entirely")
        ada.save()
        with pytest.raises(AuthenticationFailed):
            _ = request("DELETE", f"Bearer {token}").user

    def test_are_refused_when_the_account_is_gone(self, ada: User) -> None:
        token = mint(ada)
        ada.delete()
        with pytest.raises(AuthenticationFailed):
            _ = request("PUT", f"Bearer {token}").user


class TestInvalidTokens:
    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PATCH"])
    @pytest.mark.parametrize(
        "authorization", ["Bearer", "Bearer ", "bearer a b", "Bearer a b c d", "Bearer \xff", "Bearer x.y.z"]
    )
    def test_are_401_in_every_case(self, method: str, authorization: str) -> None:
        asked = request(method, authorization)
        with pytest.raises(AuthenticationFailed):
            _ = asked.user
        challenge = BearerAuthentication().authenticate_header(asked)
        assert challenge == 'Bearer realm="zenow", error="invalid_token"'


class TestModelPermissions:
    def test_let_a_token_read_and_leave_writes_to_the_account(self, ada: User) -> None:
        class View(APIView):
            queryset = User.objects.none()

        permission = DjangoModelPermissionsOrAnonReadOnly()
        assert permission.has_permission(request("GET", f"Bearer {mint(ada)}"), View())
        assert not permission.has_permission(request("POST", f"Bearer {mint(ada)}"), View())
