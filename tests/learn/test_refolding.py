"""A new folding renews what is stored, loses no row, and says which two have become one."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from rest_framework.test import APIClient

from learn import checks, refolding
from learn.exporting import export
from learn.fallback import EXPORT
from learn.folding import identity_of
from learn.models import Category, Course, Field
from learn.normalise import FOLDING
from resilience.tiers.static_copy import declared

pytestmark = pytest.mark.django_db

MIGRATION = importlib.import_module("learn.migrations.0005_folding_2")


def as_before(course: Course, identity: str, **columns: str) -> None:
    """Store columns as an older folding has left them."""
    Course.objects.filter(pk=course.pk).update(identity=identity, **columns)


def pair(field: Field) -> tuple[Course, Course]:
    """Return two courses that were two before, and are one as they are folded now."""
    courses = []
    for number, title in enumerate(("Homer’s Odyssey", "Homer's Odyssey")):
        course = Course(title=title, slug=f"homer-{number}", field=field)
        course.prepare()
        course.identity = f"{number:032}"
        Course.objects.bulk_create([course])
        courses.append(course)
    return courses[0], courses[1]


def renewed() -> tuple[int, list[str]]:
    said: list[str] = []
    return refolding.renew((Category, Field, Course), "default", said.append), said


def migrated(capsys: pytest.CaptureFixture[str]) -> str:
    MIGRATION.forwards(apps, SimpleNamespace(connection=connection))
    return capsys.readouterr().out


@pytest.mark.usefixtures("on_both_databases")
class TestRenewing:
    def test_changes_what_differs_and_nothing_that_anybody_reads(self, field: Field, course: Course) -> None:
        as_before(course, "x" * 32, title_sort="old", search_text="old", level_key="old")
        Category.objects.update(title_sort="old")
        before = Course.objects.get()
        assert renewed() == (2, [])
        after = Course.objects.get()
        assert (after.title_sort, after.level_key) == ("compilers", "advanced")
        assert after.identity == course.identity
        assert list(Course.objects.filter(search_text__has="machine")) == [course]
        assert not Course.objects.filter(search_text__has="old").exists()
        assert (after.revision, after.updated) == (before.revision, before.updated)
        assert renewed() == (0, [])

    def test_raises_the_catalogue_version_with_each_batch_that_changes_something(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(refolding, "BATCH", 2)
        for number in range(5):
            Category.objects.create(title=f"Arts {number}")
        Category.objects.filter(slug__in=("arts-0", "arts-4")).update(title_sort="old")
        raised: list[str] = []
        monkeypatch.setattr(refolding, "raise_version", lambda *, using: raised.append(using))
        assert renewed() == (2, [])
        assert raised == ["default", "default"]
        assert renewed() == (0, [])
        assert len(raised) == 2

    def test_leaves_the_elder_its_identity_and_sets_the_younger_apart(self, field: Field) -> None:
        elder, younger = pair(field)
        assert renewed() == (2, ["homer-1 is the same course as homer-0"])
        elder.refresh_from_db()
        younger.refresh_from_db()
        assert elder.identity == identity_of(field_id=field.pk, title=elder.title, provider=None, code=None)
        assert younger.identity == f"{elder.identity[:12]}-{younger.pk}"
        assert renewed() == (0, ["homer-1 is the same course as homer-0"])

    def test_an_identity_that_a_younger_row_has_already_goes_to_the_elder(self, field: Field) -> None:
        _, younger = pair(field)
        taken = identity_of(field_id=field.pk, title="Homer's Odyssey", provider=None, code=None)
        as_before(younger, taken)
        renewed()
        assert list(Course.objects.order_by("pk").values_list("identity", flat=True)) == [
            taken,
            f"{taken[:12]}-{younger.pk}",
        ]

    def test_an_identity_that_goes_from_one_row_to_another_is_free_in_time(self, field: Field) -> None:
        one, other = (Course.objects.create(title=title, field=field) for title in ("A", "B"))
        as_before(one, "-swapped-")
        as_before(other, one.identity)
        as_before(one, other.identity)
        renewed()
        stored = dict(Course.objects.values_list("title", "identity"))
        assert stored == {"A": one.identity, "B": other.identity}

    def test_goes_on_where_it_was_interrupted(self, field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(refolding, "BATCH", 2)
        courses = [Course.objects.create(title=f"T{number}", field=field) for number in range(7)]
        for number, course in enumerate(courses):
            as_before(course, f"{number:032}", title_sort="old")
        write, calls = refolding._write, []

        def interrupted(*arguments: Any) -> None:
            calls.append(arguments)
            if len(calls) == 3:
                raise KeyboardInterrupt
            write(*arguments)

        monkeypatch.setattr(refolding, "_write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            renewed()
        assert Course.objects.exclude(title_sort="old").count() == 4
        monkeypatch.setattr(refolding, "_write", write)
        assert renewed() == (3, [])


class TestACourseThatWasSetApart:
    @pytest.fixture
    def twins(self, field: Field) -> tuple[Course, Course]:
        pair(field)
        renewed()
        elder, younger = Course.objects.order_by("pk")
        return elder, younger

    def test_is_listed_by_the_migration_and_by_check(
        self, field: Field, capsys: pytest.CaptureFixture[str]
    ) -> None:
        pair(field)
        assert "homer-1 is the same course as homer-0" in migrated(capsys)
        (warning,) = checks.courses_set_apart(databases=["default"])
        assert warning.id == "learn.W001"
        assert "homer-1 is the same course as homer-0" in warning.msg
        assert checks.courses_set_apart(databases=None) == []

    def test_can_be_edited_and_stays_apart(self, twins: tuple[Course, Course], staff: APIClient) -> None:
        elder, younger = twins
        answer = staff.patch(f"/api/courses/{younger.slug}", {"summary": "Books 1 to 12"}, format="json")
        assert answer.status_code == 200, answer.content
        younger.refresh_from_db()
        assert younger.identity == f"{elder.identity[:12]}-{younger.pk}"

    def test_is_a_course_of_its_own_once_its_title_is(self, twins: tuple[Course, Course]) -> None:
        _, younger = twins
        younger.title = "Odyssey, second half"
        younger.full_clean()
        younger.save()
        assert "-" not in younger.identity
        assert checks.courses_set_apart(databases=["default"]) == []

    def test_takes_the_elders_place_when_that_is_gone(self, twins: tuple[Course, Course]) -> None:
        elder, younger = twins
        identity = elder.identity
        elder.delete()
        assert checks.courses_set_apart(databases=["default"]) == []
        out = io.StringIO()
        call_command("refold_catalogue", stdout=out)
        assert "1 rows renewed." in out.getvalue()
        younger.refresh_from_db()
        assert younger.identity == identity

    def test_stays_apart_through_an_export(self, twins: tuple[Course, Course], tmp_path: Path) -> None:
        export(tmp_path)
        assert (tmp_path / "courses.json").read_text().count('"identity"') == 1
        for model in (Course, Field, Category):
            model.objects.all().delete()
        Category.objects.create(title="Another, so that keys differ")
        files = (tmp_path / f"{name}.json" for name in ("categories", "fields", "courses"))
        call_command("loaddata", *files, verbosity=0)
        (warning,) = checks.courses_set_apart(databases=["default"])
        assert "homer-1 is the same course as homer-0" in warning.msg

    def test_a_third_one_is_refused(self, twins: tuple[Course, Course], field: Field) -> None:
        with pytest.raises(IntegrityError), transaction.atomic():
            Course.objects.create(title="HOMER‘S ODYSSEY", field=field)


class TestSearch:
    @pytest.mark.parametrize("asked", ["homer's", "homer’s", "HOMER`S", "“jazz”", '"jazz"', "soft\u00adware"])
    def test_finds_what_people_type(self, field: Field, api: APIClient, asked: str) -> None:
        Course.objects.create(title="Homer’s „jazz“ software", field=field)
        assert api.get("/api/courses", {"search": asked}).json()["count"] == 1


def test_a_static_copy_of_another_folding_has_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(FOLDING) in EXPORT.version
    schema: Callable[[], str] = declared.schema
    ours = schema()
    declared._schema.cache_clear()
    object.__setattr__(EXPORT, "version", "folding 1")
    try:
        assert schema() != ours
    finally:
        object.__setattr__(EXPORT, "version", f"folding {FOLDING}")
        declared._schema.cache_clear()
    assert schema() == ours
