"""The exported catalogue answers as the live one does, and holds nothing that is not public."""

from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import Settings
from rest_framework.test import APIClient

from learn.models import Category, Course, Field
from resilience.tiers.static_copy import building, opened
from tests.learn.test_same_everywhere import build_catalogue, questions

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = [str(ROOT / "fixtures" / f"{name}.json") for name in ("categories", "fields", "courses")]
ASKED = [
    f"/api/courses?ordering={order}&page_size=100&page={page}"
    for order in ("title", "-code")
    for page in (1, 9)
] + [f"/api/courses?search={word}" for word in ("chemistry", "ab", "the art", "Ökonomie")]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Settings) -> None:
    settings.RESILIENCE = {**settings.RESILIENCE, "STATIC_DIR": str(tmp_path)}


def answers(asked: list[str]) -> dict[str, tuple[int, bytes]]:
    api = APIClient()
    found = {url: api.get(url) for url in asked}
    return {url: (response.status_code, response.content) for url, response in found.items()}


@pytest.mark.django_db
class TestSameAnswers:
    @pytest.mark.usefixtures("on_both_databases")
    def test_of_a_catalogue_in_many_scripts(self) -> None:
        build_catalogue()
        live = answers(questions())
        building.from_live()
        Course.objects.all().delete()
        with opened():
            assert answers(questions()) == live

    def test_of_the_fixtures_without_any_database(self) -> None:
        building.from_fixtures()
        with opened():
            static = answers(ASKED)
        call_command("loaddata", *FIXTURES, verbosity=0)
        assert static == answers(ASKED)
        assert {status for status, _ in static.values()} == {200}


@pytest.mark.django_db
class TestPublic:
    def test_drafts_and_what_lies_below_them_are_not_in_the_file(self) -> None:
        build_catalogue()
        public = Course.objects.public().count()
        assert 0 < public < Course.objects.count()
        building.from_live()
        with opened() as info:
            for model in (Category, Field, Course):
                assert model.objects.count() == model.objects.public().count()
            assert info.rows["courses"] == public


@pytest.mark.django_db
class TestChanged:
    def test_is_any_change_of_what_is_public(self) -> None:
        build_catalogue()
        assert building.changed()
        building.from_live()
        assert not building.changed()
        Course.objects.public()[0].save()
        assert building.changed()
        building.from_live()
        Category.objects.filter(slug="künste").unpublish()
        assert building.changed()

    @pytest.mark.django_db(transaction=True)
    def test_is_a_write_too_that_was_stored_after_the_export_with_an_older_time(self) -> None:
        """It began before others that the export has seen, and was committed after them."""
        build_catalogue()
        building.from_live()
        last = Course.objects.public().order_by("-updated")[0]
        Course.objects.filter(pk=last.pk).update(title="Late", updated=last.updated)
        assert building.changed()
        building.from_live()
        assert not building.changed()

    def test_an_empty_database_does_not_replace_the_fixtures(self) -> None:
        building.from_fixtures()
        assert not building.changed()
