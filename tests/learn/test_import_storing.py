"""What an import leaves in the database."""

from __future__ import annotations

import csv
import io
import json
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError
from django.utils import timezone

from learn.importing import run as running
from learn.importing import storing
from learn.importing.keys import SeenKeys
from learn.models import Category, Course, Field
from tests.learn.importer import make_field, run, write

pytestmark = pytest.mark.django_db

FULL = {
    "category": "Science",
    "field": "Physics",
    "code": "PH-1",
    "title": "Optique géométrique",
    "summary": "Light, “rays”",
    "description": "One\ntwo\n\n  three",
    "level": "100",
    "language": "FR",
    "duration_hours": "12.5",
    "credits": "3",
    "provider": "École",
    "url": "https://example.org/optics",
    "terms": "2025-autumn|2026-spring",
}


def table(*rows: dict[str, str]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def stored() -> list[tuple[Any, ...]]:
    return [tuple(rows) for model in (Category, Field, Course) for rows in model.objects.values_list()]


class TestOneRow:
    def test_fills_every_column(self, on_both_databases: str, tmp_path: Path) -> None:
        field = make_field()
        assert run(write(tmp_path, table(FULL))).status == 0
        course = Course.objects.get()
        assert (course.field, course.code, course.provider) == (field, "PH-1", "École")
        assert (course.description, course.language) == ("One\ntwo\n\n  three", "fr")
        assert (course.duration_hours, course.credits) == (Decimal("12.50"), Decimal(3))
        assert course.terms == ["2025-autumn", "2026-spring"]
        assert course.slug == "optique-géométrique"

    def test_is_stored_as_save_would_have_stored_it(self, on_both_databases: str, tmp_path: Path) -> None:
        make_field()
        run(write(tmp_path, table(FULL)))
        imported = Course.objects.get()
        names = [field.attname for field in Course._meta.concrete_fields]
        kept = {name: getattr(imported, name) for name in names if name not in {"id", "created", "updated"}}
        imported.delete()
        columns = {name: kept[name] for name in (*FULL, "field_id") if name in kept}
        saved = Course.objects.create(**columns)
        assert {name: getattr(saved, name) for name in kept} == kept

    def test_leaves_empty_what_the_source_lacks(self, tmp_path: Path) -> None:
        make_field()
        run(write(tmp_path, "field,title,language,credits,summary,terms\nphysics,Optics,,,  ,\n"))
        course = Course.objects.get()
        assert (course.language, course.credits, course.summary, course.terms) == (None, None, None, [])

    def test_finds_the_field_by_slug_title_and_category(self, tmp_path: Path) -> None:
        physics, other = make_field(), make_field(category="Philosophy of nature")
        rows = (",physics,A", ",PHYSICS,B", "science,Physics,C", "Philosophy of Nature,Physics,D")
        ended = run(write(tmp_path, "\n".join(("category,field,title", *rows))))
        assert "line 3, field: names more than one" in ended.said
        assert dict(Course.objects.values_list("title", "field_id")) == {
            "A": physics.pk,
            "C": physics.pk,
            "D": other.pk,
        }


class TestSecondRun:
    def test_changes_nothing_and_says_so(self, on_both_databases: str, tmp_path: Path) -> None:
        make_field()
        path = write(tmp_path, table(FULL, FULL | {"code": "", "title": "Heat", "language": ""}))
        assert "2 created" in run(path).said
        before = stored()
        ended = run(path)
        assert ended == (0, "0 created, 0 updated, 2 unchanged, 0 rejected.\nNothing changed.\n")
        assert stored() == before

    def test_updates_what_differs_and_raises_the_revision(
        self, on_both_databases: str, tmp_path: Path
    ) -> None:
        make_field()
        make_field("Chemistry")
        run(write(tmp_path, table(FULL, FULL | {"code": "PH-2", "title": "Heat"})))
        other = Course.objects.get(code="PH-2")
        start = timezone.now()
        changed = FULL | {"title": "Waves", "field": "Chemistry", "credits": ""}
        ended = run(write(tmp_path, table(changed, FULL | {"code": "PH-2", "title": "Heat"})))
        assert "0 created, 1 updated, 1 unchanged" in ended.said
        course = Course.objects.get(code="PH-1")
        assert (course.title, course.field.title, course.credits) == ("Waves", "Chemistry", None)
        assert (course.revision, course.slug, course.title_sort) == (2, "optique-géométrique", "waves")
        assert list(Course.objects.filter(search_text__has="waves")) == [course]
        assert not Course.objects.filter(search_text__has="optique")
        assert course.created < start < course.updated
        assert Course.objects.get(code="PH-2") == other
        assert Course.objects.get(code="PH-2").revision == 1

    def test_leaves_columns_alone_that_the_file_has_not(self, tmp_path: Path) -> None:
        make_field()
        run(write(tmp_path, table(FULL)))
        Course.objects.update(published=False)
        run(write(tmp_path, "provider,code,field,title\nÉcole,ph-1,Physics,Optics\n"))
        course = Course.objects.get()
        assert (course.title, course.summary, course.published) == ("Optics", "Light, “rays”", False)


class TestSlugs:
    def test_are_numbered_within_a_batch_and_beside_what_is_there(
        self, on_both_databases: str, tmp_path: Path
    ) -> None:
        field = make_field()
        for slug in ("optics", "optics-3"):
            Course.objects.create(slug=slug, title=slug, field=field)
        rows = "".join(f"{code},Optics,Physics\n" for code in "abc")
        assert run(write(tmp_path, f"code,title,field\n{rows}d,光学,Physics\ne,!?,Physics\n")).status == 0
        slugs = Course.objects.exclude(code=None).order_by("code").values_list("slug", flat=True)
        assert list(slugs) == ["optics-2", "optics-4", "optics-5", "光学", "course"]

    def test_do_not_collide_with_one_that_looks_numbered(self) -> None:
        assert list(storing.free_slugs(["a", "a-2", "a", "a"])) == ["a", "a-2", "a-3", "a-4"]
        Course.objects.create(slug="a-2-2", title="A", field=make_field())
        assert list(storing.free_slugs(["a", "a", "a-2"])) == ["a", "a-2", "a-2-3"]

    def test_stay_short(self, tmp_path: Path) -> None:
        make_field()
        rows = "".join(f"{number},{'x' * 200},Physics\n" for number in range(12))
        run(write(tmp_path, f"code,title,field\n{rows}"))
        slugs = set(Course.objects.values_list("slug", flat=True))
        assert len(slugs) == 12
        assert max(map(len, slugs)) == 120


class TestOptions:
    def test_create_parents_makes_both_once(self, on_both_databases: str, tmp_path: Path) -> None:
        content = "category,field,title\nScience,Physics,A\nscience,PHYSICS,B\n,Alchemy,C\n"
        ended = run(write(tmp_path, content), "--create-parents")
        assert ended.status == 1
        assert "line 4, field: there is no field 'Alchemy', and no category is named" in ended.said
        assert [field.category.slug for field in Field.objects.all()] == ["science"]
        assert Course.objects.count() == 2

    def test_dry_run_stores_nothing(self, on_both_databases: str, tmp_path: Path) -> None:
        ended = run(write(tmp_path, table(FULL)), "--create-parents", "--dry-run")
        assert ended.status == 0
        assert "1 created" in ended.said
        assert "dry run" in ended.said
        assert stored() == []

    def test_strict_stores_all_or_nothing(self, on_both_databases: str, tmp_path: Path) -> None:
        good = "".join(f"c{number},T,Physics\n" for number in range(running.BATCH + 5))
        path = write(tmp_path, f"code,title,field\n{good}bad,T,Nowhere\n")
        make_field()
        ended = run(path, "--strict")
        assert ended.status == 1
        assert "Nothing was stored (--strict)" in ended.said
        assert not Course.objects.exists()
        assert run(write(tmp_path, f"code,title,field\n{good}"), "--strict").status == 0
        assert Course.objects.count() == running.BATCH + 5

    def test_set_wins_over_the_file(self, tmp_path: Path) -> None:
        make_field()
        run(write(tmp_path, "title,provider\nOptics,A\n"), "--set", "field=physics", "--set", "provider=B=C")
        assert Course.objects.get().provider == "B=C"

    def test_map_and_columns(self, tmp_path: Path) -> None:
        make_field()
        run(write(tmp_path, "Optics;physics;x\n"), "--columns", "name,field,rest", "--map", "title=name")
        assert Course.objects.get().title == "Optics"

    @pytest.mark.parametrize(
        "arguments", [("--map", "title"), ("--map", "nonsense=a"), ("--set", "x=y"), ("--map", "code=absent")]
    )
    def test_wrong_ones_are_explained(self, tmp_path: Path, arguments: tuple[str, str]) -> None:
        make_field()
        assert run(write(tmp_path, "title,field\nA,physics\n"), *arguments).status == 2
        assert not Course.objects.exists()

    @pytest.mark.parametrize("name", ["report.json", "report.csv"])
    def test_report_lists_every_rejected_row(self, tmp_path: Path, name: str) -> None:
        make_field()
        rows = "".join(f"T{number},{'physics' if number % 2 else 'gone'}\n" for number in range(200))
        path = tmp_path / name
        ended = run(write(tmp_path, f"title,field\n{rows}"), "--report", path)
        assert ended.said.count("there is no field 'gone'") == 20
        assert "80 more" in ended.said
        text = path.read_text()
        entries = (
            json.loads(text)["rows"] if name.endswith("json") else list(csv.DictReader(text.splitlines()))
        )
        assert [int(entry["line"]) for entry in entries] == list(range(2, 202, 2))
        assert entries[0]["column"] == "field"

    def test_report_of_a_clean_file(self, tmp_path: Path) -> None:
        make_field()
        path = tmp_path / "report.json"
        run(write(tmp_path, "title,field,x\nA,physics,\n"), "--report", path)
        assert json.loads(path.read_text()) == {
            "rows": [],
            "created": 1,
            "updated": 0,
            "unchanged": 0,
            "rejected": 0,
            "unread_values": 0,
            "stored": True,
            "problem": "",
            "guessed_encoding": "",
            "ignored_columns": ["x"],
        }

    def test_a_report_that_cannot_be_written_is_noticed_first(self, tmp_path: Path) -> None:
        make_field()
        path = write(tmp_path, "title,field\nA,physics\n")
        for report in (tmp_path, tmp_path / "missing" / "report.json"):
            assert run(path, "--report", report).status == 2
        assert not Course.objects.exists()


class TestFailures:
    def test_a_row_that_the_database_refuses_stops_no_other(
        self, on_both_databases: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_field()
        prepare = Course.prepare

        def without_identity(course: Course) -> None:
            prepare(course)
            if course.title == "T3":
                course.identity = "x" * 33 if on_both_databases == "postgresql" else None

        monkeypatch.setattr(Course, "prepare", without_identity)
        rows = "".join(f"T{number},physics\n" for number in range(9))
        ended = run(write(tmp_path, f"title,field\n{rows}"))
        assert ended.status == 1
        assert "line 5: the database refuses it" in ended.said
        assert Course.objects.count() == 8

    def test_a_course_that_somebody_else_stores_meanwhile_is_found(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        field = make_field()
        create = storing._create

        def late(courses: list[Course]) -> None:
            monkeypatch.setattr(storing, "_create", create)
            raise IntegrityError("somebody was faster")

        monkeypatch.setattr(storing, "_create", late)
        Course.objects.create(title="B", field=field)
        ended = run(write(tmp_path, "title,field\nA,physics\nB,physics\n"))
        assert ended.said.startswith("1 created, 0 updated, 1 unchanged, 0 rejected.")

    def test_a_database_that_fails_leaves_whole_batches(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_field()
        calls: list[object] = []

        def failing(rows: list[storing.Wanted]) -> Any:
            calls.append(rows)
            if len(calls) == 2:
                raise DatabaseError("server closed the connection")
            return storing.store(rows)

        monkeypatch.setattr("learn.importing.run.store", failing)
        rows = "".join(f"T{number},physics\n" for number in range(3 * running.BATCH))
        report = tmp_path / "report.json"
        ended = run(write(tmp_path, f"title,field\n{rows}"), "--report", report)
        assert ended.status == 1
        assert "server closed the connection. What is counted above is stored" in ended.said
        assert Course.objects.count() == running.BATCH
        assert json.loads(report.read_text())["created"] == running.BATCH


class TestSeenKeys:
    def test_names_the_first_line(self) -> None:
        with closing(SeenKeys()) as seen:
            assert [seen.claim("ab" * 16, 2), seen.claim("cd" * 16, 3), seen.claim("ab" * 16, 9)] == [
                None,
                None,
                2,
            ]
