"""Whatever a parameter holds, it is answered or refused, on both databases."""

from urllib.parse import quote

import pytest
from rest_framework.test import APIClient

from learn.models import Course
from tests.learn.conftest import problem

pytestmark = pytest.mark.django_db


@pytest.mark.lenient(reason="spaces around a value are taken off")
@pytest.mark.usefixtures("on_both_databases")
class TestHostileQueries:
    VALUES = (
        "\0", "a\0b", "'", '"', "\\", "%", "_", "*", "-", "--", "(", ")", "a OR b", "NEAR(a b)",
        "$$", "{}", "\t\n", "\x1b", "\u200b", "\ufeff", "\ufffd", "\U0010ffff", "\u0301", "ﷺ" * 50,
        "9" * 400, "-1", "1.5", "NaN", "null", "true", "[]", "../../etc/passwd", "x" * 4000,
        "1;DROP TABLE learn_course", "<script>", "%00", "٣", "title,",
    )  # fmt: skip

    @pytest.mark.parametrize(
        "name",
        [
            "category",
            "field",
            "level",
            "language",
            "search",
            "ordering",
            "page",
            "page_size",
            "nope",
            "a\0b",
            "",
        ],
    )
    def test_are_answered_or_refused_and_never_an_error_of_ours(
        self, api: APIClient, course: Course, name: str
    ) -> None:
        for value in self.VALUES:
            response = api.get("/api/courses", {name: value})
            if response.status_code != 200:
                assert response.status_code in (400, 404), (name, value)
                [error] = problem(response, response.status_code)["errors"]
                assert error["parameter"] == name

    def test_of_a_path_are_not_found(self, api: APIClient, course: Course) -> None:
        for value in self.VALUES:
            problem(api.get("/api/courses/" + quote(value, safe="")), 404)
