"""A body that is nested deeper than anything of ours is refused before anything walks it, on every address.

Of the same kind, tried here or in `test_hostile_input.py`: levels of arrays, of objects and of both, in a
member, in an unknown one and as the whole; a key that has its body compared; numbers beyond a double, NaN,
lone surrogates, NUL; forms with many fields, many parts, odd names.
"""

import base64
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from learn.models import Category
from tests.learn.conftest import problem
from zenow.accounts import access

pytestmark = pytest.mark.django_db
OPS_TOKEN = "0123456789abcdef" * 2
DEPTHS = (33, 200, 950, 990, 1_000, 1_023, 1_024, 5_000)


def nested(depth: int, opens: bytes, closes: bytes, inner: bytes = b"1") -> bytes:
    return opens * depth + inner + closes * depth


SHAPES = {
    "arrays": lambda depth: nested(depth, b"[", b"]"),
    "objects": lambda depth: nested(depth, b'{"a":', b"}"),
    "both": lambda depth: nested(depth // 2 + 1, b'[{"a":', b"}]"),
    "in a member": lambda depth: b'{"username":' + nested(depth, b"[", b"]") + b',"password":"x"}',
    "in an unknown one": lambda depth: b'{"title":"x","x":' + nested(depth, b'{"a":', b"}") + b"}",
}


@pytest.fixture
def quiet() -> Client:
    return Client(raise_request_exception=False)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("shape", SHAPES)
class TestNestedBodies:
    def test_are_refused_before_anybody_has_signed_in(self, quiet: Client, depth: int, shape: str) -> None:
        body = SHAPES[shape](depth)
        for path in ("/api/auth/token", "/api/auth/token/refresh", "/api/auth/logout"):
            said = problem(quiet.post(path, body, content_type="application/json"), 400)
            assert "nested" in said["detail"] or "depth" in said["detail"]

    def test_are_refused_to_those_who_may_write(self, depth: int, shape: str, settings: Any) -> None:
        settings.OPS_TOKEN = OPS_TOKEN
        staff = APIClient(raise_request_exception=False)
        staff.force_authenticate(User.objects.create(username="editor", is_staff=True, is_superuser=True))
        Category.objects.create(title="Kept")
        body: Any = SHAPES[shape](depth)
        for method, path in (
            ("post", "/api/categories"),
            ("put", "/api/categories/kept"),
            ("patch", "/api/categories/kept"),
        ):
            said = getattr(staff, method)(
                path, body, content_type="application/json", headers={"Idempotency-Key": "1"}
            )
            problem(said, 400)
        said = staff.post(
            "/api/admin/reset-circuit-breakers",
            body,
            content_type="application/json",
            headers={"Authorization": f"Bearer {OPS_TOKEN}"},
        )
        problem(said, 400)
        assert Category.objects.count() == 1


class TestTokens:
    @pytest.mark.parametrize("depth", [200, 600, 700, 740, 2_000])
    @pytest.mark.parametrize("part", [0, 1])
    @pytest.mark.parametrize("name", ["alg", "kid"])
    def test_that_hold_nested_objects_are_refused(
        self, quiet: Client, depth: int, part: int, name: str
    ) -> None:
        """The head of a token is read before anybody knows who has made it."""
        head, claims, signature = access.mint(User(pk=1, username="ada")).split(".")
        parts = [head, claims]
        parts[part] = (
            base64.urlsafe_b64encode(f'{{"{name}":'.encode() + nested(depth, b"[", b"]") + b"}")
            .decode()
            .rstrip("=")
        )
        bearer = {"Authorization": f"Bearer {'.'.join(parts)}.{signature}"}
        for path in ("/api/auth/me", "/api/categories", "/api/admin/circuit-breakers"):
            problem(quiet.get(path, headers=bearer), 401)


class TestForms:
    @pytest.mark.parametrize(
        "body",
        [
            b"&".join(b"f%d=1" % number for number in range(1_001)),
            b"username=%ED%A0%80&password=%00",
            b"%00=%00&=&&=&username=a&username=b",
            b"a[b][c][d]=1&a.b.c=1&__proto__=1",
        ],
    )
    def test_with_odd_fields_are_refused(self, quiet: Client, body: bytes) -> None:
        for path in ("/admin/login/", "/admin/resilience/board/enter"):
            said = quiet.post(path, body, content_type="application/x-www-form-urlencoded")
            assert said.status_code in (200, 400, 403)

    @pytest.mark.parametrize("parts", [101, 3_000])
    @pytest.mark.parametrize("name", ['name="f"', 'name="f"; filename="f"'])
    def test_with_thousands_of_parts_are_refused(
        self, quiet: Client, settings: Any, parts: int, name: str
    ) -> None:
        settings.OPS_TOKEN = OPS_TOKEN
        part = f"--x\r\nContent-Disposition: form-data; {name}\r\n\r\n1\r\n"
        for path in ("/admin/login/", "/api/admin/reset-circuit-breakers"):
            said = quiet.post(
                path,
                f"{part * parts}--x--\r\n".encode(),
                content_type="multipart/form-data; boundary=x",
                headers={"Authorization": f"Bearer {OPS_TOKEN}"},
            )
            assert said.status_code in (200, 400, 413)


class TestNumbersAndTexts:
    @pytest.mark.parametrize(
        "value",
        [b"1e999999", b"-1e999", b"1" * 5_000, b"NaN", b"Infinity", b'"\\ud800"', b'"a\\u0000"'],
    )
    def test_that_nothing_could_hold_are_refused(self, quiet: Client, value: bytes) -> None:
        body = b'{"username": %s, "password": %s}' % (value, value)
        problem(quiet.post("/api/auth/token", body, content_type="application/json"), 400)

    def test_as_the_name_of_a_member_are_refused(self, quiet: Client) -> None:
        for name in (b"\\ud800", b"\\u0000", b"x" * 500_000):
            said = quiet.post("/api/auth/token", b'{"%s": 1}' % name, content_type="application/json")
            problem(said, 400)
            assert len(said.content) < 10_000
