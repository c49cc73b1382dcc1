"""The first catalogue loads, says what it should, and comes back as it went in."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command

from learn.exporting import export
from learn.models import Category, Course, Field

FIXTURES = Path(settings.BASE_DIR) / "fixtures"
NAMES = ("categories", "fields", "courses")


def load() -> None:
    call_command("loaddata", *(FIXTURES / f"{name}.json" for name in NAMES), verbosity=0)


def records(name: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((FIXTURES / f"{name}.json").read_text())
    return [entry["fields"] for entry in entries]


def everything() -> list[list[tuple[Any, ...]]]:
    return [list(model.objects.order_by("slug").values_list()) for model in (Category, Field, Course)]


class TestFirstCatalogue:
    def test_loads_on_a_fresh_database_and_twice_changes_nothing(self, on_both_databases: str) -> None:
        load()
        once = everything()
        load()
        assert everything() == once
        assert [len(rows) for rows in once] == [33, 75, 1372]

    def test_is_exported_again_byte_for_byte(self, on_both_databases: str, tmp_path: Path) -> None:
        load()
        export(tmp_path)
        for name in NAMES:
            assert (tmp_path / f"{name}.json").read_bytes() == (FIXTURES / f"{name}.json").read_bytes()

    def test_every_department_has_courses_and_a_category(self) -> None:
        categories = {record["slug"] for record in records("categories")}
        fields = {record["slug"]: record["category"][0] for record in records("fields")}
        assert set(fields.values()) <= categories
        assert {record["field"][0] for record in records("courses")} == fields.keys()

    def test_invents_nothing(self) -> None:
        courses = records("courses")
        assert {course["language"] for course in courses} == {None}
        assert {course["duration_hours"] for course in courses} == {None}
        assert Counter(course["credits"] for course in courses)[None] == 95
        assert sum(course["description"] is None for course in courses) == 277

    def test_titles_are_clean(self) -> None:
        for record in (*records("categories"), *records("fields"), *records("courses")):
            title = record["title"]
            assert title == " ".join(title.split())
        assert all(record["title"][0].isupper() for record in records("categories"))

    def test_carries_the_notices_of_its_sources(self) -> None:
        assert (
            "This product uses the ESCO classification of the European Commission."
            in (FIXTURES / "README.md").read_text()
        )
        assert "Copyright (c) 2016 StoDevX" in (FIXTURES / "LICENSE.stolaf").read_text()

    @pytest.mark.django_db
    def test_finds_courses_where_people_look(self) -> None:
        load()
        course = Course.objects.get(code="0000000033")
        assert (course.field.title, course.field.category.title) == ("Studio Art", "Arts")
        assert course.terms[0] == "2022-autumn"
